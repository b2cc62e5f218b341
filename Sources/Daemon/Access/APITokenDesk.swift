import Cluster
import ControlAPI
import Foundation
import Model
import NodeIO
import Synchronization

/// The tokens for a node's API, in memory and in a file that its owner alone can read.
final class APITokenDesk: Sendable {
    private struct State {
        var book = APITokenBook()
        var limiter = WrongTokenLimiter()
    }

    private let file: String
    private let state: Mutex<State>

    /// The longest life of a token.
    static let lifetimeMax: Duration = .seconds(10 * 366 * 86_400)

    /// Reads the tokens of a data directory.
    ///
    /// - Throws: `StartFailure` when the file is there and can't be read.
    init(dataDirectory: String) throws {
        file = "\(dataDirectory)/\(DataDirectory.apiTokensName)"
        var state = State()
        if let data = FileManager.default.contents(atPath: file) {
            guard let book = try? JSONDecoder().decode(APITokenBook.self, from: data) else {
                throw StartFailure(
                    "\(file): damaged; move it away, and make new tokens with 'daemon api-token'")
            }
            state.book = book
        }
        self.state = Mutex(state)
    }

    /// All tokens that have not expired.
    func records(at now: WallTime) -> [APITokenRecord] {
        state.withLock { $0.book.records.filter { $0.expiry > now } }
    }

    /// Makes a token; it is on disk when this returns.
    func make(
        _ role: APIRole, lifetime: Duration
    ) throws -> (text: String, record: APITokenRecord) {
        guard lifetime > .zero, lifetime <= APITokenDesk.lifetimeMax else {
            throw Refusal(.invalid, "a token lives for a second at least, and ten years at most")
        }
        let now = NodeDriver.wallTime
        let secret = (0..<APITokenBook.secretSizeBytes).map { _ in UInt8.random(in: 0...255) }
        return try change { book throws(APITokenBook.Failure) in
            try book.make(role, until: now + lifetime, secret: secret, at: now)
        }
    }

    /// Takes back a token; that is on disk when this returns.
    func revoke(_ name: String) throws {
        try change { book throws(APITokenBook.Failure) in try book.revoke(name) }
    }

    private func change<Value: Sendable>(
        _ body: (inout APITokenBook) throws(APITokenBook.Failure) -> Value
    ) throws -> Value {
        try state.withLock { state in
            var book = state.book
            let value: Value
            do throws(APITokenBook.Failure) {
                value = try body(&book)
            } catch {
                throw APITokenDesk.refusal(error)
            }
            do {
                try DataDirectory.write(Array(try JSONEncoder().encode(book)), to: file)
            } catch let failure as StartFailure {
                throw Refusal(.storage, failure.message)
            }
            state.book = book
            return value
        }
    }

    private static func refusal(_ failure: APITokenBook.Failure) -> Refusal {
        switch failure {
        case .full:
            Refusal(
                .overloaded,
                "this node has \(APITokenBook.recordsMax) tokens already; take one back with "
                    + "'daemon api-token revoke'")
        case .unknown:
            Refusal(.notFound, "there is no such token here; see 'daemon api-token list'")
        case .ambiguous:
            Refusal(.conflict, "several tokens are called so; give more of the name")
        }
    }

    // MARK: Requests

    /// The token that a request from `source` shows under `authorization`, when it is good.
    func holder(
        _ header: String?, from source: PeerAddress?, at now: Instant = NodeDriver.now
    ) throws(AccessDenied) -> APITokenRecord {
        let words = (header ?? "").split(separator: " ", omittingEmptySubsequences: true)
        guard words.count == 2, words[0].lowercased() == "bearer" else { throw .noToken }
        let verdict: APITokenBook.Verdict? = state.withLock { state in
            guard state.limiter.admits(source, at: now) else { return nil }
            let verdict = state.book.check(String(words[1]), at: NodeDriver.wallTime)
            // Who shows one that has expired does not guess.
            if verdict == .unknown { state.limiter.note(source, at: now) }
            return verdict
        }
        switch verdict {
        case .good(let record): return record
        case .expired(let record): throw .spent(record, "has expired")
        case .revoked(let record): throw .spent(record, "was taken back")
        case .unknown: throw .wrongToken
        case nil: throw .tooManyWrong
        }
    }
}

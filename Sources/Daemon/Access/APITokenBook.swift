import ControlAPI
import Gossip
import Model

/// A token for the API that this node has made, without its secret.
struct APITokenRecord: Codable, Hashable, Sendable {
    /// What people call it by: the beginning of its hash.
    var name: String
    var role: APIRole
    /// The hash of the token's text, as hexadecimal digits.
    ///
    /// The text holds 256 random bits: nobody finds it by trying, however fast the hash is.
    var hash: String
    /// When it expires, in milliseconds since 1970 by this machine's clock.
    var expiresAt: Int64
    var isRevoked = false

    var expiry: WallTime { WallTime(milliseconds: expiresAt) }
}

/// The tokens for the API of one node.
struct APITokenBook: Codable, Hashable, Sendable {
    private(set) var records: [APITokenRecord] = []

    /// How many tokens a node keeps.
    static let recordsMax = 1_024
    /// What a token begins with.
    static let prefix = "mga1-"
    /// How many random bytes a token holds.
    static let secretSizeBytes = 32
    /// How many digits name a token.
    private static let nameCount = 12

    /// What a presented token is.
    enum Verdict: Equatable {
        case good(APITokenRecord)
        case expired(APITokenRecord)
        case revoked(APITokenRecord)
        case unknown
    }

    enum Failure: Error {
        case full
        case unknown
        case ambiguous
    }

    /// Keeps a new token, made of `secretSizeBytes` random bytes; those that have expired go, and
    /// when there is no room the oldest that was taken back.
    ///
    /// Its text is kept nowhere.
    mutating func make(
        _ role: APIRole, until expiry: WallTime, secret: [UInt8], at now: WallTime
    ) throws(Failure) -> (text: String, record: APITokenRecord) {
        precondition(secret.count == APITokenBook.secretSizeBytes, "a token has 32 random bytes")
        records.removeAll { $0.expiry <= now }
        if records.count >= APITokenBook.recordsMax,
            let spent = records.firstIndex(where: \.isRevoked)
        {
            records.remove(at: spent)
        }
        guard records.count < APITokenBook.recordsMax else { throw .full }
        let text = APITokenBook.prefix + APITokenBook.hexadecimal(secret)
        let hash = APITokenBook.hash(of: text)
        let record = APITokenRecord(
            name: String(hash.prefix(APITokenBook.nameCount)), role: role, hash: hash,
            expiresAt: expiry.milliseconds)
        records.append(record)
        return (text, record)
    }

    /// Takes back a token, by its name or the beginning of it.
    mutating func revoke(_ name: String) throws(Failure) {
        let found = records.indices.filter { records[$0].name.hasPrefix(name) }
        guard let first = found.first, !name.isEmpty else { throw .unknown }
        guard found.count == 1 else { throw .ambiguous }
        records[first].isRevoked = true
    }

    /// What a text is; all records are compared, each in the same time whatever it holds.
    func check(_ text: String, at now: WallTime) -> Verdict {
        let hash = Array(APITokenBook.hash(of: text).utf8)
        var match: APITokenRecord?
        for record in records {
            let other = Array(record.hash.utf8)
            guard other.count == hash.count else { continue }
            let difference = zip(hash, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
            if difference == 0 { match = record }
        }
        guard let match else { return .unknown }
        if match.isRevoked { return .revoked(match) }
        return match.expiry <= now ? .expired(match) : .good(match)
    }

    private static func hash(of text: String) -> String {
        hexadecimal(Hash.blake2b(Array("magpie-api-token-1".utf8) + Array(text.utf8)))
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}

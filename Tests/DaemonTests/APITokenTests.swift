import ControlAPI
import Foundation
import Model
import NodeIO
import Testing

@testable import Daemon

/// Tokens for the API, without any server.
@Suite struct APITokenTests {
    private static let now = WallTime(milliseconds: 1_000_000)

    private static func secret(_ number: Int) -> [UInt8] {
        Array(repeating: 0, count: 30) + [UInt8(number >> 8), UInt8(number & 0xFF)]
    }

    private func book(
        _ count: Int, lifetime: Duration = .seconds(60)
    ) throws -> (APITokenBook, [String]) {
        var book = APITokenBook()
        let texts = try (0..<count).map { number in
            try book.make(
                .read, until: APITokenTests.now + lifetime, secret: APITokenTests.secret(number),
                at: APITokenTests.now
            ).text
        }
        return (book, texts)
    }

    @Test func `a token is good until it expires, and no other text is`() throws {
        let (book, texts) = try book(2)
        let now = APITokenTests.now
        #expect(book.check(texts[0], at: now) == .good(book.records[0]))
        #expect(book.check(texts[1], at: now + .milliseconds(59_999)) == .good(book.records[1]))
        #expect(book.check(texts[1], at: now + .seconds(60)) == .expired(book.records[1]))
        for wrong in ["", "x", String(texts[0].dropLast()), texts[0] + "0", texts[0].uppercased()] {
            #expect(book.check(wrong, at: now) == .unknown)
        }
    }

    @Test func `a token that was taken back is good no more`() throws {
        var (book, texts) = try book(2)
        try book.revoke(book.records[0].name)
        #expect(book.check(texts[0], at: APITokenTests.now) == .revoked(book.records[0]))
        #expect(book.check(texts[1], at: APITokenTests.now) == .good(book.records[1]))
        #expect(throws: APITokenBook.Failure.unknown) { try book.revoke("") }
        #expect(throws: APITokenBook.Failure.unknown) { try book.revoke("zz") }
    }

    @Test
    func `no more tokens are kept than may be; those that expire or were taken back make room`()
        throws
    {
        var (book, _) = try book(APITokenBook.recordsMax)
        func make(at now: WallTime) throws {
            _ = try book.make(
                .read, until: now + .seconds(60), secret: APITokenTests.secret(5_000), at: now)
        }
        #expect(throws: APITokenBook.Failure.full) { try make(at: APITokenTests.now) }
        let third = book.records[2].name
        try book.revoke(third)
        try make(at: APITokenTests.now)
        #expect(book.records.count == APITokenBook.recordsMax)
        #expect(!book.records.contains { $0.name == third })
        #expect(throws: APITokenBook.Failure.full) { try make(at: APITokenTests.now) }
        try make(at: APITokenTests.now + .seconds(60))
        #expect(book.records.count == 1)
    }

    @Test func `the file holds no token, nobody else can read it, and it is read again`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/magpie-tokens-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let desk = try APITokenDesk(dataDirectory: folder)
        let (text, record) = try desk.make(.submit, lifetime: .seconds(60))
        let file = "\(folder)/\(DataDirectory.apiTokensName)"
        let content = try String(contentsOfFile: file, encoding: .utf8)
        #expect(!content.contains(text.dropFirst(APITokenBook.prefix.count)))
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        let again = try APITokenDesk(dataDirectory: folder)
        #expect(try again.holder("Bearer \(text)", from: nil) == record)
        try again.revoke(record.name)
        #expect(throws: AccessDenied.self) {
            try APITokenDesk(dataDirectory: folder).holder("bearer \(text)", from: nil)
        }
        try "garbage".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(throws: StartFailure.self) { try APITokenDesk(dataDirectory: folder) }
    }

    @Test func `after ten wrong tokens of a source none is looked at, until a minute is over`()
        throws
    {
        func source(_ number: Int) -> PeerAddress {
            PeerAddress(ip: [10, 0, UInt8(number >> 8), UInt8(number & 0xFF)], port: 0)
        }
        let (first, second) = (source(0), source(9_999))
        var limiter = WrongTokenLimiter()
        let now = Instant(nanoseconds: 5)
        for _ in 1..<WrongTokenLimiter.wrongMax { limiter.note(first, at: now) }
        #expect(limiter.admits(first, at: now))
        limiter.note(first, at: now)
        #expect(!limiter.admits(first, at: now))
        #expect(limiter.admits(second, at: now))
        #expect(limiter.admits(first, at: now + WrongTokenLimiter.window))
        // Beyond the bound the oldest source is forgotten, and no other.
        for number in 1..<WrongTokenLimiter.sourcesMax {
            limiter.note(source(number), at: now + .seconds(1))
        }
        #expect(!limiter.admits(first, at: now + .seconds(2)))
        limiter.note(second, at: now + .seconds(2))
        #expect(limiter.admits(first, at: now + .seconds(2)))
    }

    @Test func `a token that has expired or was taken back is no guess`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/magpie-tokens-\(UUID())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let desk = try APITokenDesk(dataDirectory: folder)
        let (spent, record) = try desk.make(.read, lifetime: .seconds(60))
        let (good, _) = try desk.make(.read, lifetime: .seconds(60))
        try desk.revoke(record.name)
        for _ in 0...WrongTokenLimiter.wrongMax {
            #expect(throws: AccessDenied.self) { try desk.holder("Bearer \(spent)", from: nil) }
        }
        #expect(try desk.holder("Bearer \(good)", from: nil).role == .read)
    }

    @Test(arguments: [
        "sha256:" + String(repeating: "aB", count: 32),
        String(repeating: "ab", count: 32),
        "SHA256:" + Array(repeating: "ab", count: 32).joined(separator: ":"),
    ])
    func `a fingerprint is read however it is written`(text: String) {
        let bytes = [UInt8](repeating: 0xAB, count: 32)
        #expect(CertificateFingerprint(text) == CertificateFingerprint(sha256: bytes))
    }

    @Test(arguments: ["", "sha256:", "sha1:" + String(repeating: "ab", count: 20), "no"])
    func `what is no fingerprint is not read`(text: String) {
        #expect(CertificateFingerprint(text) == nil)
    }
}

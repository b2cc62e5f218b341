import Foundation
import GRDB
import Model
import Testing

@testable import Daemon
@testable import NodeIO

/// What the store told, in order.
final class Told: @unchecked Sendable {
    private let lock = NSLock()
    private var list: [(tickets: [PersistTicket], failed: Bool)] = []

    func note(_ answer: WriteQueue.Answer) {
        lock.withLock {
            list.append((answer.tickets, answer.failure != nil))
            lastFailure = answer.failure ?? lastFailure
        }
    }

    private(set) var lastFailure: WriteQueue.Failure?

    var tickets: [PersistTicket] { lock.withLock { list.flatMap(\.tickets) } }
    var failedTickets: [PersistTicket] {
        lock.withLock { list.filter(\.failed).flatMap(\.tickets) }
    }
    var failures: Int { lock.withLock { list.filter(\.failed).count } }
    var transactions: Int { lock.withLock { list.count } }
}

@Suite struct StoreTests {
    private func folder() throws -> String {
        let path =
            FileManager.default.temporaryDirectory.path + "/magpie-store-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    private func put(_ key: UInt8, _ value: UInt8) -> DurableWrite {
        .put(.task, key: [key], value: [value])
    }

    @Test func `writes come back in order, joined into few transactions, and survive`() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let told = Told()
        let store = try DurableStore(path: "\(folder)/s.sqlite", done: told.note)
        for number in 1...200 as ClosedRange<UInt64> {
            store.submit([put(UInt8(number % 50), UInt8(number % 256))], PersistTicket(number))
        }
        store.flush()
        #expect(told.tickets == (1...200).map { PersistTicket($0) })
        #expect(told.transactions < 200)
        let again = try DurableStore(path: "\(folder)/s.sqlite", done: { _ in })
        let rows = try again.load()[.task]
        #expect(rows.map(\.key) == (0..<50).map { [$0] })
        #expect(rows[0].value == [200])
    }

    @Test func `ranges and keys are removed`() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try DurableStore(path: "\(folder)/s.sqlite", done: { _ in })
        store.submit((0..<10).map { put($0, 1) }, PersistTicket(1))
        store.submit(
            [
                .deleteRange(.task, from: [2], to: [5]), .delete(.task, key: [7]),
                .deleteRange(.task, from: [9], to: nil),
            ], PersistTicket(2))
        store.flush()
        #expect(try store.load()[.task].map(\.key) == [[0], [1], [5], [6], [8]])
    }

    @Test func `after a failure everything fails until it was told, and nothing stands alone`()
        throws
    {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let told = Told()
        let store = try DurableStore(path: "\(folder)/s.sqlite", done: told.note)
        try DatabaseQueue(path: "\(folder)/s.sqlite").write { database in
            try database.execute(
                sql: """
                    CREATE TRIGGER refusal BEFORE INSERT ON record WHEN NEW.key = x'01'
                    BEGIN SELECT RAISE(ABORT, 'no room'); END
                    """)
        }
        let refused = put(1, 1)
        store.submit([refused], PersistTicket(1))
        store.flush()
        store.submit([put(2, 2)], PersistTicket(2))
        store.flush()
        #expect(told.failedTickets == [PersistTicket(1), PersistTicket(2)])
        let first = try #require(told.lastFailure)
        // Asked for before the failure was told: as long as nobody knows that it failed, too,
        // nothing goes on.
        store.submit([put(3, 3)], PersistTicket(3))
        store.resume(after: first)
        store.submit([put(4, 4)], PersistTicket(4))
        store.flush()
        #expect(told.failedTickets == [1, 2, 3, 4].map { PersistTicket($0) })
        store.resume(after: try #require(told.lastFailure))
        store.submit([put(5, 5)], PersistTicket(5))
        store.flush()
        #expect(told.failedTickets.count == 4)
        #expect(try store.load()[.task].map(\.key) == [[5]])
    }

    @Test func `a damaged row is noticed, and a file that is no database refused`() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/s.sqlite"
        do {
            let store = try DurableStore(path: path, done: { _ in })
            let marker = [UInt8]("recognisable content".utf8)
            store.submit([.put(.task, key: [1], value: marker)], PersistTicket(1))
            store.flush()
        }
        var bytes = try #require(FileManager.default.contents(atPath: path))
        if bytes.firstRange(of: Data("recognisable".utf8)) == nil {
            bytes = try #require(FileManager.default.contents(atPath: path + "-wal"))
        }
        let range = try #require(bytes.firstRange(of: Data("recognisable".utf8)))
        bytes[range.lowerBound] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        #expect(throws: (any Error).self) {
            _ = try DurableStore(path: path, done: { _ in }).load()
        }
        try Data("this is no database, but long enough to be one".utf8)
            .write(to: URL(fileURLWithPath: "\(folder)/other"))
        #expect(throws: StartFailure.self) {
            _ = try DurableStore(path: "\(folder)/other", done: { _ in })
        }
    }
}

import Foundation
import GRDB
import Model
import Testing

@testable import NodeIO

/// Databases that are not what was written: what can be read is kept, what can't is named.
@Suite struct DamageTests {
    private func withDatabase(
        _ writes: [DurableWrite], _ body: (String) throws -> Void
    ) throws {
        let folder =
            FileManager.default.temporaryDirectory.path + "/magpie-damage-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/s.sqlite"
        do {
            let store = try DurableStore(path: path, done: { _ in })
            store.submit(writes, PersistTicket(1))
            store.flush()
            try store.database.close()
        }
        try body(path)
    }

    private func spoil(_ space: DurableSpace, _ key: [UInt8], in path: String) throws {
        let database = try DatabaseQueue(path: path)
        try database.write { database in
            try database.execute(
                sql: "UPDATE record SET checksum = checksum + 1 WHERE space = ? AND key = ?",
                arguments: [Int(space.rawValue), Data(key)])
        }
        try database.close()
    }

    private let sound: [DurableWrite] = [
        .put(.identity, key: [1], value: [10]), .put(.task, key: [1], value: [11]),
        .put(.task, key: [2], value: [12]), .put(.raftLog, key: [1], value: [13]),
        .put(.membership, key: [1], value: [14]),
    ]

    @Test func `a sound database is opened without a word`() throws {
        try withDatabase(sound) { path in
            let (_, image, damage) = try DurableStore.recover(path: path, done: { _ in })
            #expect(damage.isNone)
            #expect(damage.sentences.isEmpty)
            #expect(image[.task].map(\.value) == [[11], [12]])
        }
    }

    @Test func `a damaged row of the table is dropped once, and the table is told`() throws {
        try withDatabase(sound) { path in
            try spoil(.task, [1], in: path)
            let (store, image, damage) = try DurableStore.recover(path: path, done: { _ in })
            #expect(damage.rows == [.task: 1])
            #expect(!damage.concernsLock)
            #expect(damage.sentences.contains { $0.contains("other nodes") })
            #expect(image[.task].map(\.value) == [[], [12]])
            try store.database.close()
            let again = try DurableStore.recover(path: path, done: { _ in })
            #expect(again.damage.isNone)
            #expect(again.image[.task].map(\.key) == [[2]])
        }
    }

    @Test func `a damaged row of the lock is found again until the node has forsworn its vote`()
        throws
    {
        try withDatabase(sound) { path in
            try spoil(.raftLog, [1], in: path)
            for _ in 0..<2 {
                let (store, _, damage) = try DurableStore.recover(path: path, done: { _ in })
                #expect(damage.concernsLock)
                #expect(damage.sentences.contains { $0.contains("no vote") })
                try store.database.close()
            }
            let (store, _, _) = try DurableStore.recover(path: path, done: { _ in })
            store.submit([.deleteRange(.raftLog, from: [], to: nil)], PersistTicket(1))
            store.flush()
            try store.database.close()
            #expect(try DurableStore.recover(path: path, done: { _ in }).damage.isNone)
        }
    }

    @Test func `who does not know its cluster any more does not start, and nothing is changed`()
        throws
    {
        try withDatabase(sound) { path in
            try spoil(.identity, [1], in: path)
            for _ in 0..<2 {
                #expect(throws: StartFailure.self) {
                    _ = try DurableStore.recover(path: path, done: { _ in })
                }
            }
            #expect(throws: StartFailure.self) {
                _ = try DurableStore(path: path, done: { _ in }).load()
            }
        }
    }

    /// Whichever page of the file is overwritten: what is read is what was written, nothing is made
    /// up, and a second start finds no new damage.
    @Test func `a page that is overwritten takes no more than itself along`() throws {
        var writes = sound
        for number in 0..<400 as Range<Int> {
            let key = [UInt8(number >> 8), UInt8(number & 255), 7]
            writes.append(
                .put(.task, key: key, value: Array(repeating: UInt8(number & 127), count: 200)))
        }
        let written = Dictionary(
            writes.compactMap { write -> (([UInt8]), [UInt8])? in
                guard case .put(.task, let key, let value) = write else { return nil }
                return (key, value)
            }, uniquingKeysWith: { $1 })
        var outcomes: [String: Int] = [:]
        try withDatabase(writes) { path in
            let whole = try #require(FileManager.default.contents(atPath: path))
            let pageSize = 4_096
            for page in 0..<whole.count / pageSize {
                let folder = "\(path)-\(page)"
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true)
                defer { try? FileManager.default.removeItem(atPath: folder) }
                var bytes = whole
                let range = page * pageSize..<(page + 1) * pageSize
                bytes.replaceSubrange(range, with: Data(repeating: 0xA5, count: pageSize))
                let copy = "\(folder)/s.sqlite"
                try bytes.write(to: URL(fileURLWithPath: copy))
                let outcome = try check(copy, written)
                outcomes[outcome, default: 0] += 1
            }
        }
        #expect(outcomes["rebuilt", default: 0] > 10, "\(outcomes)")
        #expect(outcomes["refused", default: 0] > 0, "\(outcomes)")
        #expect(outcomes["unnoticed", default: 0] == 0, "\(outcomes)")
    }

    private func check(_ path: String, _ written: [[UInt8]: [UInt8]]) throws -> String {
        let opened: (store: DurableStore, image: DurableImage, damage: DurableDamage)
        do {
            opened = try DurableStore.recover(path: path, done: { _ in })
        } catch is StartFailure {
            return "refused"
        }
        for row in opened.image[.task] where !row.value.isEmpty {
            #expect(written[row.key] == row.value)
        }
        let kept = opened.damage.keptAs
        if let kept { #expect(FileManager.default.fileExists(atPath: kept)) }
        let isComplete = opened.image[.task].count { !$0.value.isEmpty } == written.count
        #expect(!opened.damage.isNone || isComplete)
        #expect(opened.image[.identity].map(\.value) == [[10]])
        try opened.store.database.close()
        let again = try DurableStore.recover(path: path, done: { _ in })
        #expect(again.damage.cut.isEmpty)
        #expect(again.damage.concernsLock == opened.damage.concernsLock)
        try again.store.database.close()
        return opened.damage.isNone ? "unnoticed" : kept == nil ? "dropped" : "rebuilt"
    }
}

/// Power cuts: the log of SQLite is cut at any byte, with and without rubbish behind the cut.
@Suite struct PowerCutTests {
    @Test(arguments: [false, true])
    func `what was confirmed is there, and nothing half, wherever the power goes`(
        leavesRubbish: Bool
    ) throws {
        let folder =
            FileManager.default.temporaryDirectory.path + "/magpie-cut-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/s.sqlite"
        let store = try DurableStore(path: path, done: { _ in })
        // Each write sets a key, its twin, and a counter: all or nothing.
        var confirmed: [(logSize: Int, count: Int)] = [(0, 0)]
        for number in 1...12 {
            store.submit(
                [
                    .put(.task, key: [UInt8(number)], value: [UInt8(number)]),
                    .put(.raftLog, key: [UInt8(number)], value: [UInt8(number)]),
                    .put(.session, key: [0], value: [UInt8(number)]),
                ], PersistTicket(UInt64(number)))
            store.flush()
            let log = try #require(FileManager.default.contents(atPath: path + "-wal"))
            confirmed.append((log.count, number))
        }
        let base = try #require(FileManager.default.contents(atPath: path))
        let log = try #require(FileManager.default.contents(atPath: path + "-wal"))
        let first = confirmed[1].logSize
        for size in stride(from: first, through: log.count, by: 509) {
            let copy = "\(folder)/copy-\(size).sqlite"
            try base.write(to: URL(fileURLWithPath: copy))
            let rubbish = leavesRubbish ? Data(repeating: 0x5A, count: 3_000) : Data()
            try (log.prefix(size) + rubbish).write(to: URL(fileURLWithPath: copy + "-wal"))
            let opened = try DurableStore.recover(path: copy, done: { _ in })
            #expect(opened.damage.isNone)
            let count = Int(opened.image[.session].first?.value.first ?? 0)
            let least = confirmed.last { $0.logSize <= size }?.count ?? 0
            #expect(count >= least, "cut at \(size)")
            #expect(opened.image[.task].map(\.key) == (1...count).map { [UInt8($0)] })
            #expect(opened.image[.raftLog].map(\.key) == (1...count).map { [UInt8($0)] })
            try opened.store.database.close()
        }
    }
}

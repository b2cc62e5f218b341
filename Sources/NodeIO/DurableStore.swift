import Dispatch
import Foundation
import GRDB
import Glibc
package import Model

/// The node's durable state: an ordered map per space, in one SQLite database.
///
/// One connection, write-ahead log, every commit synchronised. Which writes go together, and what a
/// failed one takes with it, is decided by `WriteQueue`, as in the simulator.
package final class DurableStore: @unchecked Sendable {
    let database: DatabaseQueue
    private let queue = DispatchQueue(label: "magpie.store")
    private let lock = NSLock()
    /// What is to be written; guarded by the lock.
    private var writes = WriteQueue()
    private var isScheduled = false
    private let done: Done

    /// Told in order which writes are on disk, or why they are not.
    package typealias Done = @Sendable (WriteQueue.Answer) -> Void

    /// Opens or makes the database.
    ///
    /// `done` is told in order which writes are on disk, or failed together.
    ///
    /// - Throws: `StartFailure` when the file is no database of ours, or can't be written.
    package init(path: String, done: @escaping Done) throws {
        self.done = done
        var configuration = Configuration()
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA synchronous = FULL")
        }
        // Tasks' environments are in it: for the owner's eyes, whatever the directory permits.
        close(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600))
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
            try database.write { database in
                try database.execute(
                    sql: """
                        CREATE TABLE IF NOT EXISTS record (
                            space INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
                            checksum INTEGER NOT NULL, PRIMARY KEY (space, key)
                        ) WITHOUT ROWID
                        """)
            }
        } catch {
            throw DurableStore.failure(error, opening: path)
        }
    }

    static func failure(_ error: any Error, opening path: String) -> StartFailure {
        let code = (error as? DatabaseError)?.resultCode
        let cause = (error as? DatabaseError)?.message ?? "\(error)"
        let remedy =
            switch code {
            case DatabaseError.SQLITE_FULL, DatabaseError.SQLITE_IOERR:
                "its disk is full or fails; make room on it, or mend it"
            case DatabaseError.SQLITE_CANTOPEN, DatabaseError.SQLITE_READONLY,
                DatabaseError.SQLITE_PERM:
                "run as the user who owns it"
            case DatabaseError.SQLITE_BUSY, DatabaseError.SQLITE_LOCKED:
                "another program holds it open; end that program"
            default:
                "it is damaged: move the data directory away and join anew, the other nodes hold "
                    + "its tasks"
            }
        var failure = StartFailure(
            "\(path): can't be opened as the node's database (\(cause)); \(remedy)")
        failure.isDamage = isDamageCode(error)
        return failure
    }

    /// Everything on disk.
    ///
    /// - Throws: `StartFailure` when the file can't be read, or a row is not what was written.
    package func load() throws -> DurableImage {
        let (image, damage) = try salvage()
        guard damage.isNone else { throw StartFailure(damage.sentences.joined(separator: "; ")) }
        return image
    }

    /// Takes a write in; returns at once.
    package func submit(_ changes: [DurableWrite], _ ticket: PersistTicket) {
        enqueue { $0.submit(changes, ticket) }
    }

    /// Tries writes again: those that are asked for from now on know of this failure.
    package func resume(after failure: WriteQueue.Failure) {
        enqueue { $0.resume(after: failure) }
    }

    private func enqueue(_ change: (inout WriteQueue) -> Void) {
        let starts = lock.withLock {
            change(&writes)
            defer { isScheduled = true }
            return !isScheduled
        }
        if starts { queue.async { [self] in commit() } }
    }

    /// Waits until everything that was taken in is on disk or has failed.
    package func flush() {
        queue.sync { commit() }
    }

    private func commit() {
        while true {
            let step = lock.withLock {
                let step = writes.next()
                if step == nil { isScheduled = false }
                return step
            }
            switch step {
            case nil: return
            case .tell(let answer): done(answer)
            case .perform(let batch):
                let error = attempt(batch)
                done(lock.withLock { writes.finish(error) })
            }
        }
    }

    /// Performs writes in one transaction; says why that failed.
    private func attempt(_ batch: [WriteQueue.Write]) -> String? {
        do {
            try database.write { database in
                for change in batch.lazy.flatMap(\.changes) {
                    try DurableStore.perform(change, on: database)
                }
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    static func perform(_ write: DurableWrite, on database: Database) throws {
        switch write {
        case .put(let space, let key, let value):
            let statement = try database.cachedStatement(
                sql: "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)")
            try statement.execute(arguments: [
                Int(space.rawValue), Data(key), Data(value), checksum(key, value),
            ])
        case .delete(let space, let key):
            let statement = try database.cachedStatement(
                sql: "DELETE FROM record WHERE space = ? AND key = ?")
            try statement.execute(arguments: [Int(space.rawValue), Data(key)])
        case .deleteRange(let space, let from, let to):
            if let to {
                try database.execute(
                    sql: "DELETE FROM record WHERE space = ? AND key >= ? AND key < ?",
                    arguments: [Int(space.rawValue), Data(from), Data(to)])
            } else {
                try database.execute(
                    sql: "DELETE FROM record WHERE space = ? AND key >= ?",
                    arguments: [Int(space.rawValue), Data(from)])
            }
        }
    }

    /// FNV-1a over key and value: notices rotten disks, not malice.
    static func checksum(_ key: [UInt8], _ value: [UInt8]) -> Int64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        hash = (hash ^ 0xFF) &* 0x0000_0100_0000_01B3
        for byte in value { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return Int64(bitPattern: hash)
    }
}

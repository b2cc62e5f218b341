import Dispatch
import Foundation
import GRDB
import Glibc
package import Model

/// The node's durable state: an ordered map per space, in one SQLite database.
///
/// Writes that arrive while a transaction runs are joined into the next one (group commit). One
/// connection, write-ahead log, every commit synchronised. From a failed transaction on everything
/// fails, until whoever asks for writes has been told and says so (`resume`): a later write never
/// stands on disk without the earlier ones.
package final class DurableStore: @unchecked Sendable {
    private let database: DatabaseQueue
    private let queue = DispatchQueue(label: "magpie.store")
    private let lock = NSLock()
    private var waiting: [Item] = []
    private var isScheduled = false
    /// Since when writes fail; used on the queue alone.
    private var failure: Failure?
    private var failureCount: UInt64 = 0
    private let done: Done

    /// Told in order which writes are on disk, or why they are not.
    package typealias Done = @Sendable ([PersistTicket], Failure?) -> Void

    /// Why writes fail, and which failure of this store it is.
    package struct Failure: Error, CustomStringConvertible {
        fileprivate let number: UInt64
        /// The cause, in words.
        package let description: String
    }

    private enum Item {
        case write([DurableWrite], PersistTicket)
        /// What was asked for from here on was asked by somebody who knows of the failure.
        case resume(UInt64)
    }

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

    private static func failure(_ error: any Error, opening path: String) -> StartFailure {
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
        return StartFailure("\(path): can't be opened as the node's database (\(cause)); \(remedy)")
    }

    /// Everything on disk.
    package func load() throws -> DurableImage {
        do {
            return try image()
        } catch let error as DatabaseError {
            throw DurableStore.failure(error, opening: database.path)
        }
    }

    private func image() throws -> DurableImage {
        var image = DurableImage()
        try database.read { database in
            for space in DurableSpace.allCases {
                let rows = try Row.fetchAll(
                    database,
                    sql: "SELECT key, value, checksum FROM record WHERE space = ? ORDER BY key",
                    arguments: [Int(space.rawValue)])
                image[space] = try rows.map { row in
                    let key: Data = row["key"]
                    let value: Data = row["value"]
                    let checksum: Int64 = row["checksum"]
                    guard checksum == DurableStore.checksum(Array(key), Array(value)) else {
                        throw StartFailure(
                            "the node's database is damaged (a row of space \(space) has a wrong "
                                + "checksum); move the data directory away and join anew: the "
                                + "other nodes hold its tasks")
                    }
                    return DurableImage.Row(key: Array(key), value: Array(value))
                }
            }
        }
        return image
    }

    /// Takes a write in; returns at once.
    package func submit(_ writes: [DurableWrite], _ ticket: PersistTicket) {
        append(.write(writes, ticket))
    }

    /// Tries writes again: those that are asked for from now on know of this failure.
    package func resume(after failure: Failure) {
        append(.resume(failure.number))
    }

    private func append(_ item: Item) {
        let starts = lock.withLock {
            waiting.append(item)
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
            let batch = lock.withLock {
                defer { waiting = [] }
                if waiting.isEmpty { isScheduled = false }
                return waiting
            }
            guard !batch.isEmpty else { return }
            var gathered: [(writes: [DurableWrite], ticket: PersistTicket)] = []
            for item in batch {
                switch item {
                case .write(let writes, let ticket): gathered.append((writes, ticket))
                case .resume(let number):
                    commit(gathered)
                    gathered = []
                    // One that answers an earlier failure says nothing about a later one.
                    if failure?.number == number { failure = nil }
                }
            }
            commit(gathered)
        }
    }

    private func commit(_ batch: [(writes: [DurableWrite], ticket: PersistTicket)]) {
        guard !batch.isEmpty else { return }
        if failure == nil {
            do {
                try database.write { database in
                    for write in batch.lazy.flatMap(\.writes) {
                        try DurableStore.perform(write, on: database)
                    }
                }
            } catch {
                failureCount += 1
                failure = Failure(number: failureCount, description: "\(error)")
            }
        }
        done(batch.map(\.ticket), failure)
    }

    private static func perform(_ write: DurableWrite, on database: Database) throws {
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

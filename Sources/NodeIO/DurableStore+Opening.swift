import Foundation
import GRDB
package import Model

/// Opening a database that may be damaged: what can be read is kept, what can't is named.
extension DurableStore {
    /// Opens or makes the database, and reads all of it.
    ///
    /// Rows with a wrong checksum are removed. Of a file that SQLite finds damaged, a new one is made
    /// with the rows that can be read; the old one is kept beside it.
    ///
    /// - Throws: `StartFailure` when the file can't be used, or what says which cluster the node
    ///   belongs to is damaged; then nothing was changed.
    package static func recover(
        path: String, done: @escaping Done
    ) throws -> (store: DurableStore, image: DurableImage, damage: DurableDamage) {
        var opened: DurableStore?
        var failure: (any Error)?
        do {
            opened = try DurableStore(path: path, done: done)
        } catch {
            guard isDamage(error) else { throw error }
            failure = error
        }
        if let store = opened {
            let (image, damage) = try store.salvage()
            try checkIdentity(damage, path)
            if damage.cut.isEmpty {
                try store.remove(damage)
                return (store, image, damage)
            }
        }
        return try rebuild(path, closing: opened, failure, done: done)
    }

    /// Whether SQLite says that the file is not what it has written.
    static func isDamage(_ error: any Error) -> Bool {
        (error as? StartFailure)?.isDamage ?? isDamageCode(error)
    }

    static func isDamageCode(_ error: any Error) -> Bool {
        guard let code = (error as? DatabaseError)?.resultCode else { return false }
        return code == .SQLITE_CORRUPT || code == .SQLITE_NOTADB
    }

    private static func checkIdentity(_ damage: DurableDamage, _ path: String) throws {
        guard damage.concernsIdentity else { return }
        throw StartFailure(
            "\(path): what says which cluster this node belongs to is damaged; move the data "
                + "directory away and join anew with an empty one, the other nodes hold its tasks")
    }

    // MARK: Reading

    /// All rows that are what was written, and what is missing.
    ///
    /// A damaged row of the table stays as one without a value, so that the table knows of it.
    func salvage() throws -> (DurableImage, DurableDamage) {
        var image = DurableImage()
        var damage = DurableDamage()
        for space in DurableSpace.allCases {
            let (rows, lost, isCut) = try rows(of: space)
            let mark = DurableImage.Row(key: DurableStore.lostKey, value: [])
            image[space] = DurableStore.isTable(space) && isCut ? rows + [mark] : rows
            if lost > 0 { damage.rows[space] = lost }
            if isCut { damage.cut.insert(space) }
        }
        return (image, damage)
    }

    /// Sorts behind all keys of the table, and stands for rows of which nothing is left.
    private static let lostKey = [UInt8](repeating: 255, count: 64)

    private static func isTable(_ space: DurableSpace) -> Bool {
        space == .task || space == .context
    }

    private func rows(
        of space: DurableSpace
    ) throws -> (rows: [DurableImage.Row], lost: Int, isCut: Bool) {
        var rows: [DurableImage.Row] = []
        var lost = 0
        do {
            try database.read { database in
                let cursor = try Row.fetchCursor(
                    database,
                    sql: "SELECT key, value, checksum FROM record WHERE space = ? ORDER BY key",
                    arguments: [Int(space.rawValue)])
                while let row = try cursor.next() {
                    guard let key = Data.fromDatabaseValue(row["key"]),
                        let value = Data.fromDatabaseValue(row["value"]),
                        let checksum = Int64.fromDatabaseValue(row["checksum"]),
                        checksum == DurableStore.checksum(Array(key), Array(value))
                    else {
                        lost += 1
                        let key = Data.fromDatabaseValue(row["key"]).map(Array.init) ?? []
                        if DurableStore.isTable(space) {
                            rows.append(DurableImage.Row(key: key, value: []))
                        }
                        continue
                    }
                    rows.append(DurableImage.Row(key: Array(key), value: Array(value)))
                }
            }
        } catch {
            guard DurableStore.isDamageCode(error) else {
                throw DurableStore.failure(error, opening: database.path)
            }
            return (rows, lost, true)
        }
        return (rows, lost, false)
    }

    private static func isLock(_ space: DurableSpace) -> Bool {
        space == .raftLog || space == .raftState || space == .session
    }

    /// Removes rows that can't be read, so that they are not found again.
    ///
    /// Those of the lock stay until the node has written down that it has no vote any more: a crash
    /// before that must not make it forget what it has lost.
    private func remove(_ damage: DurableDamage) throws {
        guard !damage.rows.isEmpty else { return }
        try database.write { database in
            for space in damage.rows.keys.sorted() where !DurableStore.isLock(space) {
                let rows = try Row.fetchAll(
                    database, sql: "SELECT key, value, checksum FROM record WHERE space = ?",
                    arguments: [Int(space.rawValue)])
                for row in rows {
                    let key: Data = row["key"]
                    let value = Data.fromDatabaseValue(row["value"]) ?? Data()
                    let checksum = Int64.fromDatabaseValue(row["checksum"])
                    guard checksum != DurableStore.checksum(Array(key), Array(value)) else {
                        continue
                    }
                    try database.execute(
                        sql: "DELETE FROM record WHERE space = ? AND key = ?",
                        arguments: [Int(space.rawValue), key])
                }
            }
        }
    }

    // MARK: A new file

    /// Makes a new database of what can be read of a damaged one, which is kept beside it.
    private static func rebuild(
        _ path: String, closing damaged: DurableStore?, _ failure: (any Error)?,
        done: @escaping Done
    ) throws -> (store: DurableStore, image: DurableImage, damage: DurableDamage) {
        guard let damaged else {
            throw failure ?? StartFailure("\(path): can't be opened")
        }
        var (image, damage) = try damaged.salvage()
        try checkIdentity(damage, path)
        try damaged.database.close()
        let kept = try setAside(path)
        damage.keptAs = kept
        let store = try DurableStore(path: path, done: done)
        let writes = DurableSpace.allCases.flatMap { space in
            image[space].filter { !$0.value.isEmpty }.map {
                DurableWrite.put(space, key: $0.key, value: $0.value)
            }
        }
        try store.database.write { database in
            for write in writes { try DurableStore.perform(write, on: database) }
            guard damage.concernsLock else { return }
            // A row that can't be read, like those that were lost.
            try database.execute(
                sql: "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)",
                arguments: [
                    Int(DurableSpace.raftState.rawValue), Data(lostKey), Data(),
                    checksum(lostKey, []) ^ 1,
                ])
        }
        if image[.identity].isEmpty {
            damage.cut.insert(.identity)
            try checkIdentity(damage, path)
        }
        return (store, image, damage)
    }

    /// Renames the database and what belongs to it.
    private static func setAside(_ path: String) throws -> String {
        let manager = FileManager.default
        var number = 1
        while manager.fileExists(atPath: "\(path).damaged-\(number)") { number += 1 }
        let kept = "\(path).damaged-\(number)"
        do {
            for suffix in ["", "-wal", "-shm"] where manager.fileExists(atPath: path + suffix) {
                try manager.moveItem(atPath: path + suffix, toPath: kept + suffix)
            }
        } catch {
            throw StartFailure("\(path): is damaged, and can't be set aside (\(error))")
        }
        return kept
    }
}

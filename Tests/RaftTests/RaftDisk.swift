import Model

@testable import Raft

/// A virtual disk: rows by space and key, as the store of a node keeps them.
struct RaftDisk {
    private var rows: [DurableSpace: [[UInt8]: [UInt8]]] = [:]

    mutating func apply(_ writes: [DurableWrite]) {
        for write in writes {
            switch write {
            case .put(let space, let key, let value): rows[space, default: [:]][key] = value
            case .delete(let space, let key): rows[space]?[key] = nil
            case .deleteRange(let space, let from, let to):
                rows[space] = rows[space]?.filter { key, _ in
                    key.lexicographicallyPrecedes(from)
                        || to.map { !key.lexicographicallyPrecedes($0) } ?? false
                }
            }
        }
    }

    var image: RaftImage {
        get throws {
            var image = DurableImage()
            for (space, rows) in rows {
                image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                    .map { DurableImage.Row(key: $0.key, value: $0.value) }
            }
            return try RaftImage(restoring: image)
        }
    }

    /// Flips a bit of one row's value, or cuts or removes it.
    mutating func damage(using random: inout SeededGenerator) {
        let spaces: [DurableSpace] = [.raftState, .raftLog]
        let space = spaces[Int(random.next() % 2)]
        let keys = (rows[space] ?? [:]).keys.sorted { $0.lexicographicallyPrecedes($1) }
        guard let key = keys.randomElement(using: &random), var value = rows[space]?[key],
            !value.isEmpty
        else { return }
        let place = Int(random.next() % UInt64(value.count))
        switch random.next() % 8 {
        case 0: rows[space]?[key] = nil
        case 1: rows[space]?[key] = Array(value[..<place])
        default:
            value[place] ^= 1 << UInt8(random.next() % 8)
            rows[space]?[key] = value
        }
    }

    var hardState: RaftHardState {
        let row = rows[.raftState]?[RaftImage.hardStateKey]
        return row.flatMap { try? RaftHardState(decoding: $0) } ?? .initial
    }

    private var snapshotIndex: UInt64 {
        guard let row = rows[.raftState]?[RaftImage.snapshotKey] else { return 0 }
        var reader = ByteReader(row)
        return (try? reader.varint()) ?? 0
    }

    var lastIndex: UInt64 { snapshotIndex + UInt64(rows[.raftLog]?.count ?? 0) }

    /// Whether an entry, or a snapshot in its place, is on this disk.
    func holds(_ index: UInt64, _ term: UInt64) -> Bool {
        guard let row = rows[.raftLog]?[RaftImage.key(of: index)] else {
            return index <= snapshotIndex
        }
        return (try? RaftEntry(decoding: row))?.term == term
    }
}

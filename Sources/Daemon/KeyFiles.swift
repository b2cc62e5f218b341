import Foundation
import Gossip
import NodeIO

/// The node's secret keys: the one under which it speaks, and the next one while it is being renewed.
///
/// A crash leaves one of both in use, never none: the next one is on disk before anybody hears of it,
/// and takes the place of the first only when the node's database says that it speaks under it.
struct KeyFiles: Sendable {
    /// The data directory.
    let path: String

    private var file: String { "\(path)/node.key" }
    private var nextFile: String { "\(path)/node.key.next" }

    /// The seed of the present key; drawn at the first start, readable by its owner alone.
    func seed() throws -> [UInt8] {
        if let seed = try read(file) { return seed }
        return try draw(to: file)
    }

    /// The key that is to take its place, if one was drawn and has not yet.
    func nextKey() throws -> NodeKey? { try read(nextFile).map { NodeKey(seed: $0) } }

    /// The key that is to take its place: the one that waits already, or a new one.
    func drawNextKey() throws -> NodeKey {
        try nextKey() ?? NodeKey(seed: try draw(to: nextFile))
    }

    /// The seed of a key, if one of the two is it.
    func seed(of key: PublicKey) throws -> [UInt8]? {
        try [read(file), read(nextFile)].compactMap { $0 }
            .first { NodeKey(seed: $0).publicKey == key }
    }

    /// The node speaks under this key: its file takes the place of the one before.
    func keep(_ key: PublicKey) throws {
        guard try nextKey()?.publicKey == key else { return }
        guard rename(nextFile, file) == 0 else {
            throw DataDirectory.unusable(file, "can't be written")
        }
    }

    private func read(_ file: String) throws -> [UInt8]? {
        guard let data = FileManager.default.contents(atPath: file) else { return nil }
        guard data.count == NodeKey.seedSizeBytes else {
            throw StartFailure(
                "\(file): damaged; restore it from a backup, or move the data directory away "
                    + "and join anew: the other nodes hold its tasks")
        }
        return Array(data)
    }

    private func draw(to file: String) throws -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        let seed = (0..<NodeKey.seedSizeBytes).map { _ in
            UInt8.random(in: 0...255, using: &generator)
        }
        try DataDirectory.write(seed, to: file)
        return seed
    }
}

import CShims
import Dispatch
import Glibc
package import Model

/// Keeps the ends of other nodes' logs, so that they can be read when those nodes are gone.
///
/// One file for each log: excerpts, each after four bytes of length. A copy holds about
/// `copySizeBytesMax`, all of them together `sizeBytesMax`; the copies that were written to least
/// recently go first. Files are not synced: a copy is a second chance, not a promise of its own.
package final class LogCopyStore: @unchecked Sendable {
    private let directory: String
    private let sizeBytesMax: Int
    private let queue = DispatchQueue(label: "magpie.log-copies")
    private var copies: [ContainerID: Copy] = [:]
    private var sizeBytes = 0
    private var lastUse: UInt64 = 0

    private struct Copy {
        var sizeBytes: Int
        var use: UInt64
        /// How far it goes; `nil` when that was not looked up yet.
        var next: LogCursor?
    }

    /// How much of a log's end a copy holds at least, when there was so much, in bytes.
    package static let copySizeBytesMax = 64 << 10
    /// How much all copies of a node hold together unless it is told otherwise, in bytes.
    package static let sizeBytesUsual = 256 << 20

    /// Finds what an earlier life has kept.
    package init(directory: String, sizeBytesMax: Int = LogCopyStore.sizeBytesUsual) {
        self.directory = directory
        self.sizeBytesMax = sizeBytesMax
        var found: [(id: ContainerID, size: Int, changed: Int)] = []
        for name in Files.names(in: directory) {
            var status = stat()
            guard let id = ContainerID(name), stat("\(directory)/\(name)", &status) == 0 else {
                Files.remove("\(directory)/\(name)")
                continue
            }
            found.append((id, Int(status.st_size), status.st_mtim.tv_sec))
        }
        for copy in found.sorted(by: { ($0.changed, $0.id) < ($1.changed, $1.id) }) {
            lastUse += 1
            copies[copy.id] = Copy(sizeBytes: copy.size, use: lastUse)
            sizeBytes += copy.size
        }
    }

    // MARK: Commands

    /// Appends an excerpt; where it overlaps with what is there, it takes its place.
    ///
    /// Returns at once.
    package func keep(_ chunk: LogChunk, of id: ContainerID) {
        queue.async { [self] in append(chunk, id) }
    }

    /// Removes a copy; returns at once.
    package func remove(_ id: ContainerID) {
        queue.async { [self] in forget(id) }
    }

    /// Reads a copy, and hands over what follows the start; `nil` when there is none.
    package func read(
        _ id: ContainerID, from start: LogStart, _ answer: @escaping @Sendable (LogChunk?) -> Void
    ) {
        queue.async { [self] in
            let excerpts = copies[id] == nil ? [] : load(id)
            answer(LogCopy(excerpts: excerpts).read(from: start))
        }
    }

    /// How much all copies take, in bytes.
    package var totalSizeBytes: Int { queue.sync { sizeBytes } }

    // MARK: Files

    private func path(_ id: ContainerID) -> String { "\(directory)/\(id)" }

    private func append(_ chunk: LogChunk, _ id: ContainerID) {
        let known = copies[id]
        guard !chunk.entries.isEmpty || chunk.isEnd || known == nil else { return }
        let record = LogCopyStore.record(chunk)
        let isFollowing = known != nil && known?.next == chunk.begin
        let size = known?.sizeBytes ?? 0
        if isFollowing, size + record.count <= 2 * LogCopyStore.copySizeBytesMax {
            guard appendBytes(record, to: path(id)) else { return forget(id) }
            settle(id, size + record.count, chunk.next)
        } else {
            var copy = LogCopy(excerpts: known == nil ? [] : load(id))
            copy.append(chunk)
            copy.shorten(to: LogCopyStore.copySizeBytesMax)
            let bytes = copy.excerpts.flatMap(LogCopyStore.record)
            guard replace(path(id), bytes) else { return forget(id) }
            settle(id, bytes.count, chunk.next)
        }
        makeRoom(for: id)
    }

    private func settle(_ id: ContainerID, _ size: Int, _ next: LogCursor) {
        lastUse += 1
        sizeBytes += size - (copies[id]?.sizeBytes ?? 0)
        copies[id] = Copy(sizeBytes: size, use: lastUse, next: next)
    }

    private func makeRoom(for id: ContainerID) {
        guard sizeBytes > sizeBytesMax else { return }
        for (other, _) in copies.sorted(by: { $0.value.use < $1.value.use })
        where sizeBytes > sizeBytesMax && other != id {
            forget(other)
        }
    }

    private func forget(_ id: ContainerID) {
        guard let copy = copies.removeValue(forKey: id) else { return }
        sizeBytes -= copy.sizeBytes
        Files.remove(path(id))
    }

    private func appendBytes(_ bytes: [UInt8], to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return write(descriptor, bytes, bytes.count) == bytes.count
    }

    private func replace(_ path: String, _ bytes: [UInt8]) -> Bool {
        do {
            try Files.makeDirectory(directory)
            try Files.write(bytes, to: path + ".new")
        } catch {
            return false
        }
        return rename(path + ".new", path) == 0
    }

    static func record(_ chunk: LogChunk) -> [UInt8] {
        var writer = ByteWriter()
        chunk.encode(into: &writer)
        let count = UInt32(writer.bytes.count)
        return (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } + writer.bytes
    }

    private func load(_ id: ContainerID) -> [LogChunk] {
        LogCopyStore.excerpts(in: Files.read(path(id)) ?? [])
    }

    /// What is whole in a file; a daemon that died while it wrote leaves the last excerpt cut.
    static func excerpts(in bytes: [UInt8]) -> [LogChunk] {
        var excerpts: [LogChunk] = []
        var begin = 0
        while begin + 4 <= bytes.count {
            let count = bytes[begin..<begin + 4].reduce(0) { $0 << 8 | Int($1) }
            guard count <= bytes.count - begin - 4 else { break }
            var reader = ByteReader(bytes[(begin + 4)..<(begin + 4 + count)])
            guard let chunk = try? LogChunk(from: &reader) else { break }
            excerpts.append(chunk)
            begin += 4 + count
        }
        return excerpts
    }
}

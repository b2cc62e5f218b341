import Foundation
import Model
import Testing

@testable import Runner

@Suite struct LogCopyTests {
    private func container(_ number: UInt64) -> ContainerID {
        ContainerID(
            task: TaskID(Wide128(high: 1, low: number)),
            token: FencingToken(generation: 1, index: number))
    }

    /// An excerpt with a line for each ten bytes of the log.
    private func chunk(
        _ begin: UInt64, _ end: UInt64, size: Int = 4, isEnd: Bool = false
    ) -> LogChunk {
        let ends = stride(from: begin + 10, through: end, by: 10)
        let entries = ends.map { end in
            LogEntry(
                stream: end % 20 == 0 ? .stderr : .stdout, time: WallTime(milliseconds: 1),
                bytes: Array("\(end)".utf8) + Array(repeating: 46, count: max(0, size - 4)) + [10],
                endOffset: end)
        }
        return LogChunk(
            entries: entries, begin: LogCursor(segment: 0, offset: begin),
            next: LogCursor(segment: 0, offset: end), isEnd: isEnd)
    }

    private func lines(_ chunk: LogChunk?) -> [String]? {
        chunk?.entries.map { $0.text.trimmingCharacters(in: .newlines) }
    }

    private func withStore(
        sizeBytesMax: Int = 1 << 20, _ body: (String, LogCopyStore) async throws -> Void
    ) async throws {
        let folder =
            FileManager.default.temporaryDirectory.path + "/magpie-copies-\(UUID().uuidString)"
        defer { Files.remove(folder) }
        try await body(folder, LogCopyStore(directory: folder, sizeBytesMax: sizeBytesMax))
    }

    private func read(
        _ store: LogCopyStore, _ id: ContainerID, _ start: LogStart = .at(.beginning)
    ) async -> LogChunk? {
        await withCheckedContinuation { continuation in
            store.read(id, from: start) { continuation.resume(returning: $0) }
        }
    }

    @Test func `excerpts follow each other, and what is repeated is there once`() {
        var copy = LogCopy(excerpts: [])
        copy.append(chunk(0, 30))
        copy.append(chunk(30, 50))
        // The answer was lost: it comes again, and goes farther.
        copy.append(chunk(20, 70, isEnd: true))
        var seen: [String] = []
        var place = LogCursor.beginning
        while let part = copy.read(from: .at(place)) {
            #expect(!part.hasGap(after: .at(place)))
            seen += lines(part) ?? []
            place = part.next
            if part.isEnd { break }
        }
        #expect(seen == ["10", "20", "30", "40", "50", "60", "70"])
    }

    @Test func `a reader that comes from the log itself goes on where it was`() {
        let copy = LogCopy(excerpts: [chunk(0, 30), chunk(30, 60)])
        let place = LogCursor(segment: 0, offset: 40)
        #expect(lines(copy.read(from: .at(place))) == ["50", "60"])
        let end = LogCursor(segment: 0, offset: 60)
        #expect(copy.read(from: .at(end))?.entries == [])
        #expect(copy.read(from: .at(end))?.isEnd == false)
    }

    @Test func `what was never copied is a gap`() {
        let copy = LogCopy(excerpts: [chunk(0, 20), chunk(50, 70)])
        let place = LogCursor(segment: 0, offset: 20)
        #expect(copy.read(from: .at(place))?.hasGap(after: .at(place)) == true)
    }

    @Test func `the last lines of a copy, of one stream too`() {
        let copy = LogCopy(excerpts: [chunk(0, 30), chunk(30, 60)])
        #expect(lines(copy.read(from: .lastLines(2, of: nil))) == ["50", "60"])
        #expect(lines(copy.read(from: .lastLines(0, of: nil))) == [])
        #expect(lines(copy.read(from: .lastLines(99, of: nil))) == ["10", "20", "30"])
        // Lines of the other stream are let through, and dropped by who asked.
        #expect(lines(copy.read(from: .lastLines(1, of: .stdout))) == ["40", "50", "60"])
        #expect(LogCopy(excerpts: []).read(from: .lastLines(1, of: nil)) == nil)
    }

    @Test func `a copy outlives the daemon, and a cut file gives what is whole`() async throws {
        try await withStore { folder, store in
            let id = container(1)
            store.keep(chunk(0, 30), of: id)
            store.keep(chunk(30, 50), of: id)
            #expect(lines(await read(store, id)) == ["10", "20", "30"])
            let path = "\(folder)/\(id)"
            let bytes = try #require(Files.read(path))
            try Files.write(Array(bytes.dropLast(3)), to: path)
            let later = LogCopyStore(directory: folder)
            #expect(lines(await read(later, id)) == ["10", "20", "30"])
            later.keep(chunk(30, 70), of: id)
            let place = LogStart.at(LogCursor(segment: 0, offset: 30))
            #expect(lines(await read(later, id, place)) == ["40", "50", "60", "70"])
            later.remove(id)
            #expect(await read(later, id) == nil)
            #expect(Files.names(in: folder).isEmpty)
        }
    }

    @Test func `a copy keeps the end of a long log`() async throws {
        try await withStore { folder, store in
            let id = container(1)
            for part in 0..<UInt64(200) {
                store.keep(chunk(part * 10, part * 10 + 10, size: 4_000), of: id)
            }
            #expect(store.totalSizeBytes <= 2 * LogCopyStore.copySizeBytesMax)
            let last = await read(store, id, .lastLines(1, of: nil))
            #expect(lines(last)?.first?.hasPrefix("2000") == true)
        }
    }

    @Test func `all copies together stay within their bound, the oldest goes first`() async throws {
        try await withStore(sizeBytesMax: 100_000) { folder, store in
            for number in 0..<UInt64(60) {
                store.keep(chunk(0, 10, size: 4_000), of: container(number))
                #expect(store.totalSizeBytes <= 100_000)
            }
            #expect(await read(store, container(0)) == nil)
            #expect(await read(store, container(59)) != nil)
            let size = Files.names(in: folder).reduce(0) {
                $0 + (Files.read("\(folder)/\($1)")?.count ?? 0)
            }
            #expect(size == store.totalSizeBytes)
        }
    }
}

import CShims
import Glibc
import Model

/// Reads a container's log: segments of lines in the format of Kubernetes.
///
/// Each line is `TIME STREAM TAG TEXT`; tag `F` ends a line of output, `P` is a part of one.
/// Rotation renames `log` to `log.N`; a cursor names the segment, so that it outlives rotation.
/// Reading and rotating need no lock between them: what was rotated under a reading is noticed.
struct LogReader: Sendable {
    let directory: String

    /// Which segments there are at one moment.
    struct Segments: Equatable {
        /// Those that were rotated and are still kept, in order.
        var rotated: [UInt32]
        /// The one that the monitor writes, or will write when it opens the next file.
        var current: UInt32 { rotated.last.map { $0 &+ 1 } ?? 0 }
    }

    /// How often a reading begins anew because the log was rotated under it.
    private static let triesMax = 16

    /// Which segments there are now.
    var segments: Segments {
        let names = Files.names(in: directory)
        let rotated = names.compactMap { name in
            name.hasPrefix("log.") ? UInt32(name.dropFirst(4)) : nil
        }
        return Segments(rotated: rotated.sorted())
    }

    /// Whether there is a log at all.
    var exists: Bool { Files.isDirectory(directory) }

    /// Whether the program has ended, and nothing more will be written.
    var hasEnded: Bool { Files.exists("\(directory)/ended") }

    /// Where a segment is.
    func path(of segment: UInt32, in segments: Segments) -> String {
        segment == segments.current ? "\(directory)/log" : "\(directory)/log.\(segment)"
    }

    /// Reads whole records from a start on, as many as fit a chunk.
    func read(from start: LogStart) -> LogChunk {
        // The mark is looked at first: what was written before it is read after.
        let hasEnded = self.hasEnded
        switch start {
        case .at(let cursor):
            return read(at: cursor, hasEnded)
        case .lastLines(let count, let stream):
            return read(at: place(ofLastLines: count, of: stream), hasEnded)
        case .newest(let cursor):
            return read(at: max(cursor, placeOfNewest), hasEnded)
        }
    }

    private func read(at cursor: LogCursor, _ hasEnded: Bool) -> LogChunk {
        var chunk = LogChunk(entries: [], begin: cursor, next: cursor, isEnd: false)
        for _ in 0..<LogReader.triesMax {
            let segments = self.segments
            moveIntoKept(&chunk, segments)
            let isCurrent = chunk.next.segment == segments.current
            let part = records(
                of: path(of: chunk.next.segment, in: segments), from: chunk.next.offset)
            // `log` is another segment by now, or the oldest one is gone: look again.
            if isCurrent ? self.segments != segments : part == nil { continue }
            if let part {
                if part.begin > chunk.next.offset {
                    chunk.begin = LogCursor(segment: chunk.next.segment, offset: part.begin)
                }
                chunk.entries = part.entries
                chunk.next.offset = part.end
            }
            if isCurrent {
                chunk.isEnd = hasEnded && part?.isCut != true
                return chunk
            }
            if !chunk.entries.isEmpty || part?.isCut == true
                || isStillWritten(chunk.next.segment, hasEnded, segments)
            {
                return chunk
            }
            chunk.next = LogCursor(segment: chunk.next.segment + 1, offset: 0)
        }
        return chunk
    }

    /// What was rotated away, or never was, gives way to the oldest segment that is left.
    private func moveIntoKept(_ chunk: inout LogChunk, _ segments: Segments) {
        let wanted = chunk.next.segment
        guard wanted != segments.current, !segments.rotated.contains(wanted) else { return }
        let oldest = segments.rotated.first { $0 > wanted } ?? segments.current
        chunk.next = LogCursor(segment: oldest, offset: 0)
        chunk.begin = chunk.next
    }

    /// Whether the monitor still writes into the segment that was rotated last: until it has opened
    /// the next one.
    private func isStillWritten(
        _ segment: UInt32, _ hasEnded: Bool, _ segments: Segments
    ) -> Bool {
        segment + 1 == segments.current && !hasEnded && !Files.exists("\(directory)/log")
    }

    // MARK: Records

    /// Whole records of one segment.
    struct Part {
        var entries: [LogEntry] = []
        /// Where the reading began: after a hole, when there was one.
        var begin: UInt64
        var end: UInt64
        /// Whether there is more.
        var isCut = false
    }

    /// - Returns: `nil` when the segment can't be opened.
    private func records(of path: String, from offset: UInt64) -> Part? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var part = Part(begin: offset, end: offset)
        skipHole(descriptor, &part)
        let limit = LogChunk.sizeBytesMax / 2
        guard let bytes = Files.read(from: descriptor, offset: part.begin, limit: limit) else {
            return nil
        }
        var begin = 0
        while let end = bytes[begin...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = bytes[begin..<end]
            begin = end + 1
            guard var entry = LogReader.entry(line) else { continue }
            entry.endOffset = part.begin + UInt64(begin)
            part.entries.append(entry)
        }
        // A record is never as long as a chunk: this is no log, and must not hold its reader.
        part.isCut = bytes.count == limit
        if part.isCut, begin == 0 { begin = bytes.count }
        part.end = part.begin + UInt64(begin)
        return part
    }

    /// The head of a segment that grew too large is a hole: go on after the first whole record.
    private func skipHole(_ descriptor: Int32, _ part: inout Part) {
        let data = magpie_data_offset(descriptor, Int64(clamping: part.begin))
        guard data > Int64(clamping: part.begin) else { return }
        let block = Files.read(
            from: descriptor, offset: UInt64(data), limit: LogReader.blockSizeBytes)
        let end = block?.firstIndex(of: UInt8(ascii: "\n")) ?? -1
        part.begin = UInt64(data) + UInt64(end + 1)
        part.end = part.begin
    }

    static func entry(_ line: ArraySlice<UInt8>) -> LogEntry? {
        let parts = line.split(
            separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        let stream: LogStream = parts[1].elementsEqual("stderr".utf8) ? .stderr : .stdout
        let isWhole = parts[2].first == UInt8(ascii: "F")
        return LogEntry(
            stream: stream, time: LogTime.parse(String(decoding: parts[0], as: UTF8.self)),
            bytes: Array(parts[3]) + (isWhole ? [UInt8(ascii: "\n")] : []))
    }

    static let blockSizeBytes = 64 << 10
}

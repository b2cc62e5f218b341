/// A place in a container's log.
package struct LogCursor: Hashable, Comparable, Sendable {
    /// Counts the log's segments (it is rotated) from 0.
    package var segment: UInt32
    /// The offset in bytes within the segment's file.
    package var offset: UInt64

    /// The first byte of the log.
    package static let beginning = LogCursor(segment: 0, offset: 0)

    /// Makes a cursor.
    package init(segment: UInt32, offset: UInt64) {
        self.segment = segment
        self.offset = offset
    }

    /// Orders by place in the log.
    package static func < (left: LogCursor, right: LogCursor) -> Bool {
        (left.segment, left.offset) < (right.segment, right.offset)
    }
}

/// Where a reading of a log begins.
package enum LogStart: Hashable, Sendable {
    /// At a place that an earlier reading gave, or at the beginning.
    case at(LogCursor)
    /// So many lines before the end, counted in one stream, or in both.
    case lastLines(UInt32, of: LogStream?)
    /// At this place, or at most `LogStart.newestSizeBytes` before the end when that is later.
    case newest(after: LogCursor)

    /// How much of a log's end `newest` reads, in bytes of the log's file.
    package static let newestSizeBytes: UInt64 = 64 << 10
    /// The most lines that `lastLines` counts back; the log's own bound comes first in practice.
    package static let linesMax: UInt32 = 10_000_000

    /// Where to begin when nothing can be read; `lastLines` has no place of its own.
    package var fallback: LogCursor {
        switch self {
        case .at(let cursor), .newest(let cursor): cursor
        case .lastLines: .beginning
        }
    }
}

/// One of a program's two output streams.
package enum LogStream: UInt8, Sendable {
    /// Standard output.
    case stdout = 1
    /// Standard error.
    case stderr = 2
}

/// A run of output bytes of one stream.
package struct LogEntry: Hashable, Sendable {
    /// Where the program wrote them.
    package var stream: LogStream
    /// When they were read from the program.
    package var time: WallTime
    /// The bytes as written, the line's end included when there was one.
    package var bytes: [UInt8]
    /// The offset in the log's segment that comes after it.
    package var endOffset: UInt64

    /// Makes an entry.
    package init(stream: LogStream, time: WallTime, bytes: [UInt8], endOffset: UInt64 = 0) {
        self.stream = stream
        self.time = time
        self.bytes = bytes
        self.endOffset = endOffset
    }
}

/// An excerpt of a container's log; its entries are all of one segment, that of `next`.
package struct LogChunk: Hashable, Sendable {
    /// The output, in the order in which it was written.
    package var entries: [LogEntry]
    /// Where the excerpt begins.
    ///
    /// Later than where it was asked to: what lay between is gone, for it
    /// was rotated away, or was never copied.
    package var begin: LogCursor
    /// Where to go on reading.
    package var next: LogCursor
    /// Whether the program has ended and all its output was read.
    package var isEnd: Bool
    /// Whether it comes from the copy that another node keeps of the end of the output.
    package var isCopy = false

    /// The most bytes that the entries of one chunk hold together.
    package static let sizeBytesMax = 256 << 10

    /// Makes a chunk; without a beginning, nothing is missing before it.
    package init(
        entries: [LogEntry], begin: LogCursor? = nil, next: LogCursor, isEnd: Bool,
        isCopy: Bool = false
    ) {
        self.entries = entries
        self.begin = begin ?? next
        self.next = next
        self.isEnd = isEnd
        self.isCopy = isCopy
    }

    /// Whether output is missing before this excerpt, which was read from `start` on.
    package func hasGap(after start: LogStart) -> Bool {
        if case .at(let cursor) = start { begin > cursor } else { false }
    }
}

extension LogCursor: WireCodable {
    /// Writes segment and offset.
    package func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(segment))
        writer.varint(offset)
    }

    /// Reads segment and offset.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let segment = try reader.varint32()
        self.init(segment: segment, offset: try reader.varint())
    }
}

extension LogStart: WireCodable {
    /// Writes which start it is, and its numbers.
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .at(let cursor):
            writer.byte(1)
            cursor.encode(into: &writer)
        case .lastLines(let count, let stream):
            writer.byte(2)
            writer.varint(UInt64(count))
            writer.byte(stream?.rawValue ?? 0)
        case .newest(let cursor):
            writer.byte(3)
            cursor.encode(into: &writer)
        }
    }

    /// Reads which start it is, and its numbers.
    package init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 1: self = .at(try LogCursor(from: &reader))
        case 2:
            let count = try reader.varint(max: UInt64(LogStart.linesMax))
            let number = try reader.byte()
            let stream = LogStream(rawValue: number)
            guard number == 0 || stream != nil else { throw .malformed }
            self = .lastLines(UInt32(count), of: stream)
        case 3: self = .newest(after: try LogCursor(from: &reader))
        default: throw .malformed
        }
    }
}

extension LogChunk: WireCodable {
    /// Writes entries, both cursors and what is to be known about them.
    package func encode(into writer: inout ByteWriter) {
        writer.list(entries) { writer, entry in
            writer.byte(entry.stream.rawValue)
            entry.time.encode(into: &writer)
            writer.varint(entry.endOffset)
            writer.blob(entry.bytes)
        }
        begin.encode(into: &writer)
        next.encode(into: &writer)
        writer.bool(isEnd)
        writer.bool(isCopy)
    }

    /// Reads entries, both cursors and what is to be known about them.
    package init(from reader: inout ByteReader) throws(CodecError) {
        var left = LogChunk.sizeBytesMax
        let entries = try reader.list(max: LogChunk.sizeBytesMax) { (reader) throws(CodecError) in
            guard let stream = LogStream(rawValue: try reader.byte()) else { throw .malformed }
            let time = try WallTime(from: &reader)
            let endOffset = try reader.varint()
            let bytes = Array(try reader.blob(max: left))
            left -= bytes.count
            return LogEntry(stream: stream, time: time, bytes: bytes, endOffset: endOffset)
        }
        let begin = try LogCursor(from: &reader)
        let next = try LogCursor(from: &reader)
        let isEnd = try reader.bool()
        self.init(
            entries: entries, begin: begin, next: next, isEnd: isEnd, isCopy: try reader.bool())
    }
}

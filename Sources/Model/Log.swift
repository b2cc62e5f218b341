/// A place in a container's log.
package struct LogCursor: Hashable, Sendable {
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

    /// Makes an entry.
    package init(stream: LogStream, time: WallTime, bytes: [UInt8]) {
        self.stream = stream
        self.time = time
        self.bytes = bytes
    }
}

/// An excerpt of a container's log.
package struct LogChunk: Hashable, Sendable {
    /// The output, in the order in which it was written.
    package var entries: [LogEntry]
    /// Where to go on reading.
    package var next: LogCursor
    /// Whether the program has ended and all its output was read.
    package var isEnd: Bool

    /// The most bytes that the entries of one chunk hold together.
    package static let sizeBytesMax = 256 << 10

    /// Makes a chunk.
    package init(entries: [LogEntry], next: LogCursor, isEnd: Bool) {
        self.entries = entries
        self.next = next
        self.isEnd = isEnd
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

extension LogChunk: WireCodable {
    /// Writes entries, next cursor and end mark.
    package func encode(into writer: inout ByteWriter) {
        writer.list(entries) { writer, entry in
            writer.byte(entry.stream.rawValue)
            entry.time.encode(into: &writer)
            writer.blob(entry.bytes)
        }
        next.encode(into: &writer)
        writer.bool(isEnd)
    }

    /// Reads entries, next cursor and end mark.
    package init(from reader: inout ByteReader) throws(CodecError) {
        let entries = try reader.list(max: LogChunk.sizeBytesMax) { (reader) throws(CodecError) in
            guard let stream = LogStream(rawValue: try reader.byte()) else { throw .malformed }
            let time = try WallTime(from: &reader)
            let bytes = Array(try reader.blob(max: LogChunk.sizeBytesMax))
            return LogEntry(stream: stream, time: time, bytes: bytes)
        }
        let next = try LogCursor(from: &reader)
        self.init(entries: entries, next: next, isEnd: try reader.bool())
    }
}

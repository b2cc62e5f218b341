import Glibc
import Model

/// Where the end of a log begins: so many lines, or so many bytes, before it ends.
extension LogReader {
    /// The place from which on `count` lines follow, of one stream or of both.
    ///
    /// Segments are read from their ends, so that the cost depends on what is shown.
    func place(ofLastLines count: UInt32, of stream: LogStream?) -> LogCursor {
        let segments = self.segments
        var counter = LineCounter(left: count, stream: stream)
        var oldest = LogCursor(segment: segments.current, offset: 0)
        for segment in (segments.rotated + [segments.current]).reversed() {
            let path = path(of: segment, in: segments)
            // Without a file: the monitor has not opened the newest one yet.
            guard let size = LogReader.size(of: path) else { continue }
            oldest = LogCursor(segment: segment, offset: 0)
            if let offset = counter.count(backwardsIn: path, size: size) {
                return LogCursor(segment: segment, offset: offset)
            }
        }
        return oldest
    }

    /// The place `LogStart.newestSizeBytes` before the end, at the beginning of a record.
    var placeOfNewest: LogCursor {
        let segments = self.segments
        var left = LogStart.newestSizeBytes
        var oldest = LogCursor(segment: segments.current, offset: 0)
        for segment in (segments.rotated + [segments.current]).reversed() {
            let path = path(of: segment, in: segments)
            guard let size = LogReader.size(of: path) else { continue }
            if size > left {
                let offset = LogReader.recordBegin(in: path, notBefore: size - left)
                return LogCursor(segment: segment, offset: offset)
            }
            left -= size
            oldest = LogCursor(segment: segment, offset: 0)
        }
        return oldest
    }

    /// The size of a file; `nil` when it is not there.
    static func size(of path: String) -> UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_size) : nil
    }

    private static func recordBegin(in path: String, notBefore offset: UInt64) -> UInt64 {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return offset }
        defer { close(descriptor) }
        // One byte earlier: a record may begin right here.
        let begin = offset > 0 ? offset - 1 : 0
        let block = Files.read(from: descriptor, offset: begin, limit: blockSizeBytes)
        guard offset > 0, let end = block?.firstIndex(of: UInt8(ascii: "\n")) else {
            return offset
        }
        return begin + UInt64(end) + 1
    }
}

/// Counts lines from a log's end.
private struct LineCounter {
    /// How many lines are still to be counted.
    var left: UInt32
    /// Whose lines count; `nil` for both.
    let stream: LogStream?
    private var isFirst = true

    init(left: UInt32, stream: LogStream?) {
        self.left = left
        self.stream = stream
    }

    /// Counts the lines of one segment from its end on.
    ///
    /// - Returns: The offset at which the lines begin; `nil` when the segment holds too few.
    mutating func count(backwardsIn path: String, size: UInt64) -> UInt64? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // The bytes of the record whose beginning has not been read yet, and where it ends.
        var head: [UInt8] = []
        var place = size
        while place > 0 {
            let length = min(place, UInt64(LogReader.blockSizeBytes))
            place -= length
            guard
                let block = Files.read(from: descriptor, offset: place, limit: Int(length))
            else { return nil }
            // The head of a segment that grew too large is a hole: no record is in it.
            if block.first == 0, block.last == 0 { return nil }
            let bytes = block + head
            var end = bytes.count
            while let newline = bytes[..<end].dropLast().lastIndex(of: UInt8(ascii: "\n")) {
                if isEnough(after: bytes[(newline + 1)..<end]) { return place + UInt64(end) }
                end = newline + 1
            }
            // What is longer than any record is none, and must not fill the memory.
            head = end > LogChunk.sizeBytesMax ? [] : Array(bytes[..<end])
        }
        return isEnough(after: head[...]) ? UInt64(head.count) : nil
    }

    /// Takes in the record before those that were counted.
    ///
    /// - Returns: Whether it belongs to a line too many.
    private mutating func isEnough(after record: ArraySlice<UInt8>) -> Bool {
        guard record.last == UInt8(ascii: "\n"), let entry = LogReader.entry(record.dropLast())
        else { return false }
        guard stream == nil || entry.stream == stream else { return false }
        let endsLine = entry.bytes.last == UInt8(ascii: "\n")
        defer { isFirst = false }
        guard endsLine || isFirst else { return false }
        guard left > 0 else { return true }
        left -= 1
        return false
    }
}

import Model

/// A copy of the end of a log: excerpts in order, with gaps where some did not come.
struct LogCopy: Equatable {
    private(set) var excerpts: [LogChunk]

    init(excerpts: [LogChunk]) {
        self.excerpts = excerpts
    }

    /// Adds an excerpt; what it repeats is dropped from those before.
    mutating func append(_ chunk: LogChunk) {
        excerpts.removeAll { $0.begin >= chunk.begin }
        if let last = excerpts.last, last.next > chunk.begin {
            var cut = last
            cut.entries = last.entries.filter {
                LogCursor(segment: last.next.segment, offset: $0.endOffset) <= chunk.begin
            }
            cut.next = chunk.begin
            excerpts[excerpts.count - 1] = cut
        }
        excerpts.append(chunk)
    }

    /// Drops the oldest excerpts, so that the others hold no more than this; the last one stays.
    mutating func shorten(to sizeBytes: Int) {
        var left = sizeBytes
        var kept = 0
        for excerpt in excerpts.reversed() {
            left -= excerpt.entries.reduce(0) { $0 + $1.bytes.count }
            guard left >= 0 || kept == 0 else { break }
            kept += 1
        }
        excerpts = excerpts.suffix(kept)
    }

    /// What follows a start, one excerpt at a time; `nil` when there is nothing at all.
    func read(from start: LogStart) -> LogChunk? {
        guard let last = excerpts.last else { return nil }
        switch start {
        case .at(let cursor), .newest(let cursor):
            for (index, excerpt) in excerpts.enumerated() where excerpt.next > cursor {
                var part = excerpt
                part.isEnd = excerpt.isEnd && index == excerpts.count - 1
                guard excerpt.begin < cursor else { return part }
                part.begin = cursor
                if cursor.segment == excerpt.next.segment {
                    part.entries.removeAll { $0.endOffset <= cursor.offset }
                }
                return part
            }
            return LogChunk(entries: [], next: cursor, isEnd: last.isEnd)
        case .lastLines(let count, let stream):
            return read(from: .at(place(ofLastLines: count, of: stream)))
        }
    }

    private func place(ofLastLines count: UInt32, of stream: LogStream?) -> LogCursor {
        var left = count
        var isFirst = true
        for excerpt in excerpts.reversed() {
            for entry in excerpt.entries.reversed()
            where stream == nil || entry.stream == stream {
                let endsLine = entry.bytes.last == UInt8(ascii: "\n")
                defer { isFirst = false }
                guard endsLine || isFirst else { continue }
                if left == 0 {
                    return LogCursor(
                        segment: excerpt.next.segment, offset: entry.endOffset)
                }
                left -= 1
            }
        }
        return excerpts.first?.begin ?? .beginning
    }
}

/// Output of a call's program that its client has not confirmed yet.
package struct CallOutputBuffer: Sendable {
    /// The place of the first byte that is still here.
    package private(set) var begin: UInt64 = 0
    /// The place behind the last one.
    package private(set) var end: UInt64 = 0
    private var runs: [CallOutput] = []

    /// How many bytes wait for the client; the program waits with the next ones.
    package static let sizeBytesMax = 256 << 10
    /// How many runs of bytes wait: a program that changes streams with each byte waits sooner.
    package static let runsMax = 4_096

    /// Makes an empty buffer.
    package init() {}

    /// How many bytes more it takes.
    package var room: Int {
        runs.count < CallOutputBuffer.runsMax
            ? CallOutputBuffer.sizeBytesMax - Int(end - begin) : 0
    }

    /// Adds what the program wrote; no more than there is room for.
    package mutating func append(_ bytes: some Collection<UInt8>, of stream: LogStream) {
        let taken = bytes.prefix(room)
        guard !taken.isEmpty else { return }
        end += UInt64(taken.count)
        if runs.last?.stream == stream {
            runs[runs.count - 1].bytes += taken
        } else {
            runs.append(CallOutput(stream: stream, bytes: Array(taken)))
        }
    }

    /// What follows a place, at most a chunk; forgets what lies before the place.
    ///
    /// - Returns: `nil` for a place that was forgotten, or that no output has reached.
    package mutating func read(
        from place: UInt64
    ) -> (runs: [CallOutput], next: UInt64)? {
        guard place >= begin, place <= end else { return nil }
        forget(upTo: place)
        var left = CallCommand.chunkSizeBytesMax
        var found: [CallOutput] = []
        for run in runs where left > 0 {
            let part = run.bytes.prefix(left)
            found.append(CallOutput(stream: run.stream, bytes: Array(part)))
            left -= part.count
        }
        return (found, place + UInt64(CallCommand.chunkSizeBytesMax - left))
    }

    private mutating func forget(upTo place: UInt64) {
        var surplus = Int(place - begin)
        begin = place
        var whole = 0
        while whole < runs.count, surplus >= runs[whole].bytes.count {
            surplus -= runs[whole].bytes.count
            whole += 1
        }
        runs.removeFirst(whole)
        if surplus > 0 { runs[0].bytes.removeFirst(surplus) }
    }
}

/// Input of a call's client that its program has not read yet.
package struct CallInputBuffer: Sendable {
    /// Up to where input was taken.
    package private(set) var taken: UInt64 = 0
    /// Whether no more input will come.
    package private(set) var isEnded = false
    /// What was taken and is still here.
    package private(set) var waiting: [UInt8] = []

    /// How many bytes wait for the program; the client waits with the next ones.
    package static let sizeBytesMax = 64 << 10

    /// Makes an empty buffer.
    package init() {}

    /// Whether it takes more.
    package var hasRoom: Bool { waiting.count < CallInputBuffer.sizeBytesMax }

    /// Takes input that begins at a place, as far as there is room; passes over what it has had.
    ///
    /// - Returns: `false` when input before that place is missing, or it had ended earlier.
    package mutating func take(_ bytes: [UInt8], at place: UInt64, isEnd: Bool) -> Bool {
        let (behind, overflows) = place.addingReportingOverflow(UInt64(bytes.count))
        guard place <= taken, !overflows else { return false }
        guard behind > taken else {
            // Had before, but perhaps not its end.
            if isEnd, behind == taken { isEnded = true }
            return true
        }
        guard !isEnded else { return false }
        let rest = bytes[Int(taken - place)...]
        let part = rest.prefix(CallInputBuffer.sizeBytesMax - waiting.count)
        waiting += part
        taken += UInt64(part.count)
        if isEnd, part.count == rest.count { isEnded = true }
        return true
    }

    /// Forgets the first bytes: the program has them.
    package mutating func passed(_ count: Int) { waiting.removeFirst(min(count, waiting.count)) }

    /// Nobody is there any more who could send some.
    package mutating func abandon() { isEnded = true }
}

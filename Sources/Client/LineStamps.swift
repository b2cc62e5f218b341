/// Puts the time before each line of output; the streams' lines do not tear each other apart.
struct LineStamps {
    private var lines: [[UInt8]] = [[], []]

    /// A line that is longer than this is shown in parts, in bytes.
    static let lineSizeBytesMax = 64 << 10

    /// Takes in output of one stream, read at `time`.
    ///
    /// - Returns: The lines that are whole by now, each after the time at which it began.
    mutating func take(_ data: some Collection<UInt8>, isError: Bool, time: String) -> [UInt8] {
        let index = isError ? 1 : 0
        var shown: [UInt8] = []
        for byte in data {
            if lines[index].isEmpty { lines[index] = Array("\(time) ".utf8) }
            lines[index].append(byte)
            if byte == UInt8(ascii: "\n") || lines[index].count >= LineStamps.lineSizeBytesMax {
                shown += lines[index]
                if byte != UInt8(ascii: "\n") { shown.append(UInt8(ascii: "\n")) }
                lines[index] = []
            }
        }
        return shown
    }

    /// What is left when nothing follows.
    mutating func finish() -> [(isError: Bool, bytes: [UInt8])] {
        defer { lines = [[], []] }
        return [(false, lines[0]), (true, lines[1])].filter { !$0.1.isEmpty }
    }
}

package import Foundation

/// Why a stream of lines can't be read on.
package enum LineFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// A line has no end within `LineSplitter.sizeBytesMax`.
    case endless

    /// The sentence for people.
    package var description: String {
        "the node sent a line of more than \(LineSplitter.sizeBytesMax) bytes"
    }
}

/// Cuts a stream of bytes into lines.
package struct LineSplitter: Sendable {
    private var rest: [UInt8] = []
    /// How many bytes of `rest` hold no line's end.
    private var searched = 0

    /// The longest line, in bytes: more than any frame or event of a node takes.
    package static let sizeBytesMax = 16 << 20

    /// Begins at the first byte of a stream.
    package init() {}

    /// Takes in what came next; returns the lines that are whole now, without their ends.
    ///
    /// - Throws: `LineFailure.endless` when a line is too long.
    package mutating func take(_ bytes: some Sequence<UInt8>) throws(LineFailure) -> [Data] {
        rest.append(contentsOf: bytes)
        var lines: [Data] = []
        var begin = 0
        while let end = rest[max(searched, begin)...].firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(Data(rest[begin..<end]))
            begin = end + 1
        }
        rest.removeFirst(begin)
        searched = rest.count
        guard rest.count <= LineSplitter.sizeBytesMax else { throw .endless }
        return lines
    }
}

/// Splits a stream of bytes into frames, one a line.
package struct FrameLines<Frame: Decodable> {
    private var lines = LineSplitter()

    /// Begins at the first byte of a stream.
    package init() {}

    /// Takes in what came next; returns the frames that are whole now.
    ///
    /// - Throws: `DecodingError` when a line is no frame, `LineFailure` when it is too long.
    package mutating func take(_ bytes: some Sequence<UInt8>) throws -> [Frame] {
        try lines.take(bytes).filter { !$0.isEmpty }.map { line in
            try JSONDecoder().decode(Frame.self, from: line)
        }
    }
}

/// Splits a stream of server-sent events, of which each has its data on one line.
///
/// Source: HTML Living Standard, "Server-sent events".
package struct EventLines: Sendable {
    private var lines = LineSplitter()
    private static let prefix = Data("data: ".utf8)

    /// Begins at the first byte of a stream.
    package init() {}

    /// Takes in what came next; returns the data of the events that are whole now.
    ///
    /// - Throws: `LineFailure` when a line is too long.
    package mutating func take(_ bytes: some Sequence<UInt8>) throws(LineFailure) -> [Data] {
        try lines.take(bytes).filter { $0.starts(with: EventLines.prefix) }.map { line in
            Data(line.dropFirst(EventLines.prefix.count))
        }
    }
}

package import Foundation
package import Model

/// Encodings that are kept in the repository: one file for each decoder, one line for each encoding.
///
/// `Scripts/fuzz --corpus` writes them anew from real encodings; lines below "found" are findings
/// that stay.
package struct Corpus: Sendable {
    /// The folder.
    package var folder: URL

    /// The largest encoding that is kept, in bytes, and how many of one decoder.
    package static let sizeBytesMax = 3_072
    /// How many encodings of one decoder are kept, findings not counted.
    package static let countMax = 24
    private static let foundLine = "# found"

    /// The corpus that is in the repository; `Fuzzing/` reaches this file by a link.
    package static let kept = Corpus(
        folder: URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("FuzzTests/Corpus"))

    /// A corpus elsewhere.
    package init(folder: URL) {
        self.folder = folder
    }

    /// Everything that is kept for a decoder; lines that are no encodings are an error.
    package func encodings(for decoder: ByteDecoder) throws -> [[UInt8]] {
        try lines(of: decoder).filter { !$0.hasPrefix("#") }.map { line in
            guard let bytes = Hex.bytes(line) else {
                throw CocoaError(.fileReadCorruptFile)
            }
            return bytes
        }
    }

    /// Writes the encodings of a decoder anew, smallest first; findings stay.
    package func write(_ encodings: [[UInt8]], for decoder: ByteDecoder) throws {
        let known = (try? lines(of: decoder)) ?? []
        let found = known.firstIndex(of: Corpus.foundLine).map { known[$0...] } ?? []
        let kept = encodings.filter { $0.count <= Corpus.sizeBytesMax && !$0.isEmpty }
            .sorted { ($0.count, Hex.text($0)) < ($1.count, Hex.text($1)) }
        let real = Corpus.spread(kept.filter(decoder.accepts), Corpus.countMax * 2 / 3)
        let wrong = kept.filter { !decoder.accepts($0) }
        let chosen = real + Corpus.spread(wrong, Corpus.countMax - real.count)
        let text = (chosen.map(Hex.text) + found).map { $0 + "\n" }.joined()
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file(of: decoder))
    }

    /// So many of a list, evenly from its beginning to its end: the smallest alone would hold next to
    /// nothing.
    private static func spread(_ list: [[UInt8]], _ countMax: Int) -> [[UInt8]] {
        let count = min(list.count, countMax)
        return (0..<count).map { list[$0 * list.count / count] }
    }

    private func file(of decoder: ByteDecoder) -> URL {
        folder.appendingPathComponent(decoder.fileName + ".hex")
    }

    private func lines(of decoder: ByteDecoder) throws -> [String] {
        try String(contentsOf: file(of: decoder), encoding: .utf8)
            .split(separator: "\n").map(String.init)
    }
}

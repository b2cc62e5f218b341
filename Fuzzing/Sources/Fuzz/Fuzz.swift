import Foundation
import Fuzzing
import LibFuzzer
import Model

/// `fuzz`: the decoders of `DecoderTable` under libFuzzer.
///
/// `fuzz list` names them; `fuzz run NAME ARGUMENTS…` hands libFuzzer's own arguments on; `fuzz
/// unpack FOLDER` writes the kept corpus as one folder for each decoder; `fuzz pack FOLDER` keeps what
/// is there.
@main
struct Fuzz {
    static func main() throws {
        let arguments = CommandLine.arguments
        switch (arguments.dropFirst().first, arguments.dropFirst(2).first) {
        case ("list", nil): for decoder in DecoderTable.all { print(decoder.fileName) }
        case ("run", let name?): run(name, Array(arguments.dropFirst(3)))
        case ("unpack", let folder?): try unpack(into: URL(fileURLWithPath: folder))
        case ("pack", let folder?): try pack(URL(fileURLWithPath: folder))
        default: fail("usage: fuzz list | run NAME … | unpack FOLDER | pack FOLDER")
        }
    }

    static func fail(_ text: String) -> Never {
        FileHandle.standardError.write(Data("fuzz: \(text)\n".utf8))
        exit(2)
    }

    // MARK: Running

    /// The decoder at which libFuzzer throws bytes; set before it begins.
    nonisolated(unsafe) private static var decoder = DecoderTable.all[0]

    private static func run(_ name: String, _ options: [String]) {
        guard let chosen = DecoderTable.all.first(where: { $0.fileName == name }) else {
            fail("there is no decoder \(name); fuzz list names them")
        }
        decoder = chosen
        var count = CInt(options.count + 1)
        var words: [UnsafeMutablePointer<CChar>?] = (["fuzz"] + options).map { strdup($0) } + [nil]
        let status = words.withUnsafeMutableBufferPointer { words in
            var base = words.baseAddress
            return LLVMFuzzerRunDriver(&count, &base) { bytes, count in
                let input = Array(UnsafeBufferPointer(start: bytes, count: count))
                if let violation = Fuzz.decoder.violation(for: input) {
                    Fuzz.report(violation)
                }
                return 0
            }
        }
        exit(status)
    }

    /// Ends the run as a trap would: libFuzzer keeps the input.
    private static func report(_ violation: String) -> Never {
        fatalError("\(decoder.name) \(violation)")
    }

    // MARK: Corpus

    private static func unpack(into folder: URL) throws {
        for decoder in DecoderTable.all {
            let encodings = (try? Corpus.kept.encodings(for: decoder)) ?? []
            try EncodingFolder(folder).add(encodings, for: decoder)
        }
    }

    private static func pack(_ folder: URL) throws {
        for decoder in DecoderTable.all {
            try Corpus.kept.write(
                try EncodingFolder(folder).encodings(for: decoder), for: decoder)
        }
    }
}

import Foundation
import Fuzzing
import LibFuzzer
import Model

/// `fuzz`: the decoders of `DecoderTable` under libFuzzer.
///
/// `fuzz list` names them; `fuzz run NAME ARGUMENTS…` hands libFuzzer's own arguments on; `fuzz
/// unpack FOLDER` writes the kept corpus as one folder for each decoder and `fuzz record FOLDER` adds
/// fresh encodings of real nodes; `fuzz pack FOLDER` keeps what is there.
@main
struct Fuzz {
    static func main() throws {
        let arguments = CommandLine.arguments
        switch (arguments.dropFirst().first, arguments.dropFirst(2).first) {
        case ("list", nil): for decoder in DecoderTable.all { print(decoder.fileName) }
        case ("run", let name?): run(name, Array(arguments.dropFirst(3)))
        case ("unpack", let folder?): try unpack(into: URL(fileURLWithPath: folder))
        case ("record", let folder?): try Recording().write(to: URL(fileURLWithPath: folder))
        case ("pack", let folder?): try pack(URL(fileURLWithPath: folder))
        default: fail("usage: fuzz list | run NAME … | unpack FOLDER | record FOLDER | pack FOLDER")
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
            try write(encodings, for: decoder, to: folder)
        }
    }

    private static func pack(_ folder: URL) throws {
        for decoder in DecoderTable.all {
            let files = try FileManager.default.contentsOfDirectory(
                at: folder.appendingPathComponent(decoder.fileName),
                includingPropertiesForKeys: nil)
            try Corpus.kept.write(
                files.map { Array(try Data(contentsOf: $0)) }, for: decoder)
        }
    }

    /// Adds files to a decoder's folder, called by what they hold.
    static func write(
        _ encodings: some Sequence<[UInt8]>, for decoder: ByteDecoder, to folder: URL
    ) throws {
        let own = folder.appendingPathComponent(decoder.fileName)
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
        for bytes in encodings {
            let name = String(Fingerprint.of(bytes), radix: 16)
            try Data(bytes).write(to: own.appendingPathComponent(name))
        }
    }

    /// A name for bytes.
    private enum Fingerprint {
        static func of(_ bytes: [UInt8]) -> UInt64 {
            bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        }
    }
}

package import Foundation
package import Model

/// Encodings as libFuzzer wants them: one folder for each decoder, one file for each encoding.
package struct EncodingFolder {
    private let folder: URL

    /// A folder, which need not be there yet.
    package init(_ folder: URL) {
        self.folder = folder
    }

    /// Adds files to a decoder's folder, called by what they hold.
    package func add(_ encodings: some Sequence<[UInt8]>, for decoder: ByteDecoder) throws {
        let own = folder.appendingPathComponent(decoder.fileName)
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
        for bytes in encodings {
            let name = String(EncodingFolder.fingerprint(of: bytes), radix: 16)
            try Data(bytes).write(to: own.appendingPathComponent(name))
        }
    }

    /// Everything in a decoder's folder.
    package func encodings(for decoder: ByteDecoder) throws -> [[UInt8]] {
        try FileManager.default.contentsOfDirectory(
            at: folder.appendingPathComponent(decoder.fileName), includingPropertiesForKeys: nil
        ).map { Array(try Data(contentsOf: $0)) }
    }

    /// A name for bytes.
    ///
    /// Source: FNV-1a, RFC 9923.
    private static func fingerprint(of bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }
}

import Glibc
package import Model

/// Everything in this target that is made from bytes or text which others wrote.
///
/// Some of it is read from files only: those are made in a folder of their own, below `TMPDIR` or in
/// memory, and go with it.
package enum RunnerDecoders {
    /// One line for each; new ones go here.
    package static let all: [ByteDecoder] = [
        ByteDecoder("Runner.ImageConfiguration", .unwritten) { bytes in
            let image = try ImageConfiguration(bytes)
            _ = try? image.checkPlatform()
            _ = try? ProcessDefaults(image, ProcessWishes(command: ["x"]))
            return []
        },
        ByteDecoder("Runner.ImageIndex", .unwritten) { bytes in
            _ = try? ImageIndex(bytes, limits: ImageLimits()).choose(tag: "latest")
            return []
        },
        ByteDecoder("Runner.ImageManifest", .unwritten) { bytes in
            _ = try ImageManifest(bytes).blobs
            return []
        },
        ByteDecoder("Runner.LayerUnpacker", .unwritten) { bytes in
            try unpack(sealed(bytes))
            return []
        },
        ByteDecoder("Runner.LogCopyStore", .settled) { bytes in
            let excerpts = LogCopyStore.excerpts(in: bytes)
            var copy = LogCopy(excerpts: [])
            for excerpt in excerpts { copy.append(excerpt) }
            copy.shorten(to: 1_024)
            for start in starts { _ = LogCopy(excerpts: excerpts).read(from: start) }
            return excerpts.flatMap(LogCopyStore.record)
        },
        ByteDecoder("Runner.LogReader", .unwritten) { bytes in
            try readLog(bytes)
            return []
        },
        ByteDecoder("Runner.SeccompProfile", .unwritten) { bytes in
            let folder = try ScratchFolder()
            try Files.write(bytes, to: "\(folder.path)/profile")
            _ = try SeccompProfile(path: "\(folder.path)/profile").rights(for: ["CAP_CHOWN"])
            return []
        },
        ByteDecoder("Runner.TarReader", .unwritten) { bytes in
            let folder = try ScratchFolder()
            var tar = TarReader(try stream(of: sealed(bytes), in: folder), needsEnd: false)
            while try tar.next() != nil {}
            return []
        },
        ByteDecoder("Runner.UserLookup", .unwritten) { bytes in
            // The same text for both files, and its first line for the user.
            let text = String(decoding: bytes, as: UTF8.self)
            let wanted = text.prefix { $0 != "\n" }.prefix(64)
            _ = try UserLookup(passwd: text, group: text).find(String(wanted))
            return []
        },
        ByteDecoder(text: "Runner.RegistryReference, text") {
            RegistryReference($0)?.description
        },
        ByteDecoder(text: "Runner.Sandbox, text") { Sandbox($0)?.description },
    ]

    private static let starts: [LogStart] = [
        .at(.beginning), .at(LogCursor(segment: 1, offset: 9)), .lastLines(3, of: .stderr),
        .newest(after: .beginning),
    ]

    // MARK: Logs

    private static func readLog(_ bytes: [UInt8]) throws {
        let folder = try ScratchFolder()
        try Files.write(bytes, to: "\(folder.path)/log")
        let reader = LogReader(directory: folder.path)
        for start in starts {
            var chunk = reader.read(from: start)
            // Whatever is in it, each reading leads further, or to the end.
            while !chunk.entries.isEmpty {
                let next = reader.read(from: .at(chunk.next))
                precondition(next.next >= chunk.next, "a log's reader went back")
                guard next.next > chunk.next else { break }
                chunk = next
            }
        }
    }

    // MARK: Archives

    /// The archive with the checksums that its headers should have: else nearly no damage would get
    /// any further than them.
    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for begin in stride(from: 0, to: bytes.count - 511, by: 512)
        where bytes[(begin + 257)..<(begin + 262)].elementsEqual("ustar".utf8) {
            for index in 148..<156 { bytes[begin + index] = 0x20 }
            let sum = bytes[begin..<begin + 512].reduce(0) { $0 + Int($1) }
            let octal = String(sum, radix: 8)
            let digits = String(repeating: "0", count: 6 - octal.count) + octal
            bytes.replaceSubrange(
                (begin + 148)..<(begin + 156), with: Array(digits.utf8) + [0, 0x20])
        }
        return bytes
    }

    private static func stream(of bytes: [UInt8], in folder: ScratchFolder) throws -> ByteStream {
        let path = "\(folder.path)/archive"
        try Files.write(bytes, to: path)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        Files.remove(path)
        guard file >= 0 else { throw ImageError.system("open", path) }
        return ByteStream(file: file, subject: "the archive", until: .now + .seconds(60))
    }

    private static func unpack(_ bytes: [UInt8]) throws {
        let folder = try ScratchFolder()
        try Files.makeDirectory("\(folder.path)/root")
        var limits = ImageLimits()
        limits.unpackedSizeBytesMax = 1 << 20
        var unpacker = try LayerUnpacker(root: "\(folder.path)/root", limits: limits)
        // What is above the lowest layer may also take away.
        for _ in 0..<2 {
            var tar = TarReader(try stream(of: bytes, in: folder), needsEnd: false)
            try unpacker.apply(&tar)
        }
        precondition(
            Files.names(in: folder.path) == ["root"], "a layer was unpacked outside of its root")
    }
}

/// A directory that goes with its last holder.
private final class ScratchFolder {
    let path: String

    init() throws(RunnerError) {
        let usual = Files.isDirectory("/dev/shm") ? "/dev/shm" : "/tmp"
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? usual
        var template = Array("\(base)/magpie-decoders-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Files.failure("make", base) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        try? Tree.remove(Array(path.utf8))
    }
}

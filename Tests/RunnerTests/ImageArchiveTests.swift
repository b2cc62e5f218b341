import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// What becomes of tar archives that strangers made.
@Suite struct ImageArchiveTests {
    /// Unpacks layers into a fresh directory; its path stays valid as long as the folder.
    private func unpack(
        _ layers: [[UInt8]], limits: ImageLimits = ImageLimits()
    ) throws -> (TemporaryFolder, String) {
        let folder = try TemporaryFolder()
        let root = "\(folder.path)/root"
        try Files.makeDirectory(root, mode: 0o755)
        try apply(layers, to: root, scratch: "\(folder.path)/layer", limits)
        return (folder, root)
    }

    private func apply(
        _ layers: [[UInt8]], to root: String, scratch: String, _ limits: ImageLimits
    ) throws {
        var unpacker = try LayerUnpacker(root: root, limits: limits)
        for layer in layers {
            try Files.write(layer, to: scratch)
            let stream = ByteStream(
                file: open(scratch, O_RDONLY | O_CLOEXEC), subject: "the layer",
                until: .now + .seconds(60))
            var tar = TarReader(stream, needsEnd: false)
            try unpacker.apply(&tar)
        }
    }

    private func code(_ layers: [[UInt8]], limits: ImageLimits = ImageLimits()) async
        -> ImageError.Code?
    {
        await imageFailure { _ = try unpack(layers, limits: limits) }
    }

    private func status(_ path: String) throws -> stat {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw Files.failure("find", path) }
        return status
    }

    // MARK: What holds

    @Test func `files, directories and links come as they were, with owner, mode and time`()
        throws
    {
        let (folder, root) = try unpack([
            TarBuilder.archive {
                $0.directory("./")
                $0.directory("closed/", mode: 0o500)
                $0.file("closed/tool", "tool", mode: 0o4755, user: 12)
                $0.link("closed/again", to: "closed/tool", isHard: true)
                $0.link("usr", to: "/closed")
                $0.file("deep/below/file", "x")
                $0.member("pipe", "6")
                $0.member("old/", "0")
            }
        ])
        defer { withExtendedLifetime(folder) {} }
        let tool = try status(root + "/closed/tool")
        #expect(tool.st_mode & 0o7777 == 0o4755 && tool.st_nlink == 2)
        #expect(tool.st_mtim.tv_sec == 1_000_000_000)
        if geteuid() == 0 { #expect(tool.st_uid == 12 && tool.st_gid == 12) }
        #expect(try status(root + "/closed").st_mode & 0o7777 == 0o500)
        #expect(try status(root + "/closed").st_mtim.tv_sec == 1_000_000_000)
        #expect(try status(root + "/usr").st_mode & S_IFMT == S_IFLNK)
        #expect(Files.text(root + "/deep/below/file") == "x")
        #expect(try status(root + "/pipe").st_mode & S_IFMT == S_IFIFO)
        #expect(Files.isDirectory(root + "/old"))
    }

    @Test func `long names come by pax records, by GNU's, and in two halves`() throws {
        let long = String(repeating: "n", count: 250)
        let (folder, root) = try unpack([
            TarBuilder.archive {
                $0.records([("path", "pax/\(long)"), ("size", "3"), ("comment", "=\n1 x")])
                $0.member("short", "0", content: Array("pax".utf8), size: 0)
                $0.member("././@LongLink", "L", content: Array("gnu/\(long)\0".utf8))
                $0.file("short", "gnu")
                $0.records([("linkpath", "../\(long)")])
                $0.link("link", to: "short")
            }
        ])
        defer { withExtendedLifetime(folder) {} }
        #expect(Files.text("\(root)/pax/\(long)") == "pax")
        #expect(Files.text("\(root)/gnu/\(long)") == "gnu")
        var target = [CChar](repeating: 0, count: 512)
        #expect(readlink("\(root)/link", &target, 512) == 253)
    }

    @Test func `whiteouts hide what is below, and nothing of their own layer`() throws {
        let (folder, root) = try unpack([
            TarBuilder.archive {
                $0.file("gone", "1")
                $0.file("tree/a/b", "1")
                $0.file("opaque/old", "1")
                $0.file("opaque/both", "1")
                $0.file("opaque/sub/old", "1")
                $0.file("kept", "1")
                $0.file(".wh.kept", "")
            },
            TarBuilder.archive {
                $0.file(".wh.gone")
                $0.file(".wh.tree")
                $0.file("opaque/both", "2")
                $0.file("opaque/sub/new", "2")
                $0.file("opaque/.wh..wh..opq")
                $0.file(".wh..wh.plnk/1")
            },
        ])
        defer { withExtendedLifetime(folder) {} }
        #expect(Files.names(in: root) == ["kept", "opaque"])
        #expect(Files.names(in: root + "/opaque") == ["both", "sub"])
        #expect(Files.text(root + "/opaque/both") == "2")
        #expect(Files.names(in: root + "/opaque/sub") == ["new"])
    }

    @Test func `upper layers replace, and a file takes a tree's place`() throws {
        let (folder, root) = try unpack([
            TarBuilder.archive {
                $0.file("file", "1")
                $0.file("tree/a/b", "1")
                $0.file("usr/lib/x", "1")
                $0.link("lib", to: "usr/lib")
                $0.file("shared", "1")
                $0.link("twin", to: "shared", isHard: true)
            },
            TarBuilder.archive {
                $0.file("file", "2")
                $0.file("tree", "2")
                $0.file("lib/y", "2")
                $0.file("shared", "2")
                $0.link("twin", to: "twin", isHard: true)
            },
        ])
        defer { withExtendedLifetime(folder) {} }
        #expect(Files.text(root + "/file") == "2" && Files.text(root + "/tree") == "2")
        #expect(Files.names(in: root + "/usr/lib") == ["x", "y"])
        // The link to itself leaves the old content where it is.
        #expect(Files.text(root + "/shared") == "2" && Files.text(root + "/twin") == "1")
    }

    @Test func `attributes that overlays would obey are dropped`() throws {
        let (folder, root) = try unpack([
            TarBuilder.archive {
                $0.records([("SCHILY.xattr.trusted.overlay.opaque", "y")])
                $0.directory("dir")
                $0.member("whiteout", "3")
            }
        ])
        defer { withExtendedLifetime(folder) {} }
        #expect(Files.names(in: root) == ["dir"])
        #expect(!LayerUnpacker.isAllowed("trusted.overlay.opaque"))
        // An overlay in a user namespace keeps its marks there.
        #expect(!LayerUnpacker.isAllowed("user.overlay.redirect"))
        #expect(LayerUnpacker.isAllowed("user.note"))
        #expect(!LayerUnpacker.isAllowed("security.selinux"))
        #expect(LayerUnpacker.isAllowed("security.capability"))
    }

    // MARK: What is refused

    @Test(arguments: ["../x", "a/../../x", "a/..", "..", "/../x", "./../x"])
    func `a path that leads out is refused`(path: String) async {
        #expect(await code([TarBuilder.archive { $0.file(path, "evil") }]) == .unsafePath)
        #expect(
            await code([TarBuilder.archive { $0.link("x", to: path, isHard: true) }])
                == .unsafePath)
    }

    @Test func `links lead nowhere but into the root`() throws {
        let outside = try TemporaryFolder()
        try Files.write(Array("safe".utf8), to: outside.path + "/victim")
        let up = "../../../../../../../../../../../.."
        for target in [outside.path, up + outside.path] {
            let (folder, root) = try unpack([
                TarBuilder.archive {
                    $0.link("out", to: target)
                    // Writes, links and removals through the link stay inside.
                    $0.directory(String(outside.path.dropFirst()))
                    $0.file("out/victim", "evil")
                    $0.file("out/new", "evil")
                },
                TarBuilder.archive { $0.file("out/.wh.victim") },
            ])
            defer { withExtendedLifetime(folder) {} }
            #expect(Files.text(outside.path + "/victim") == "safe")
            #expect(Files.names(in: outside.path) == ["victim"])
            #expect(Files.names(in: root + outside.path) == ["new"])
        }
    }

    @Test func `a hard link reaches nothing outside`() async throws {
        let outside = try TemporaryFolder()
        try Files.write(Array("secret".utf8), to: outside.path + "/secret")
        let path = outside.path
        #expect(
            await code([
                TarBuilder.archive {
                    $0.link("out", to: path)
                    $0.link("mine", to: "out/secret", isHard: true)
                }
            ]) == .notAnImage)
        #expect(
            await code([TarBuilder.archive { $0.link("a", to: "/", isHard: true) }]) == .failed)
    }

    @Test(arguments: [".wh.", ".wh...", ".wh.."]) func `a whiteout of nothing is refused`(
        name: String
    ) async {
        let lower = TarBuilder.archive { $0.file("a/b", "1") }
        #expect(await code([lower, TarBuilder.archive { $0.file("a/" + name) }]) == .unsafePath)
    }

    @Test func `directories can't be made deeper than paths can say`() async {
        // Each link shortens the way in: the real path grows without the archive's paths growing.
        var builder = TarBuilder()
        let name = String(repeating: "d", count: 90)
        builder.directory("d0/\(name)")
        for level in 0..<60 {
            builder.link("l\(level)", to: level == 0 ? "d0/\(name)" : "l\(level - 1)/\(name)")
            builder.directory("l\(level)/\(name)")
        }
        #expect(await code([builder.archive]) == .unsafePath)
    }

    @Test func `bounds hold at the bound and one past it`() async {
        var limits = ImageLimits()
        limits.entriesMax = 2
        limits.unpackedSizeBytesMax = 6
        let fitting = TarBuilder.archive {
            $0.file("a", "123")
            $0.file("b", "456")
        }
        #expect(await code([fitting], limits: limits) == nil)
        let third = TarBuilder.archive { $0.file("c") }
        #expect(await code([fitting, third], limits: limits) == .tooLarge)
        let larger = TarBuilder.archive { $0.file("a", "1234567") }
        #expect(await code([larger], limits: limits) == .tooLarge)
        let records = { (size: Int) in
            TarBuilder.archive {
                $0.member("x", "x", content: [UInt8](repeating: 0, count: size))
                $0.file("a")
            }
        }
        #expect(await code([records(TarReader.recordsSizeBytesMax + 1)]) == .tooLarge)
        #expect(await code([records(TarReader.recordsSizeBytesMax)]) == .corrupt)
    }

    @Test func `names of any length end in an error, or a file`() async {
        func long(_ length: Int) -> [UInt8] {
            TarBuilder.archive {
                $0.records([("path", String(repeating: "n", count: length))])
                $0.file("a")
            }
        }
        #expect(await code([long(255)]) == nil)
        #expect(await code([long(256)]) == .unsafePath)
        #expect(await code([long(5_000)]) == .unsafePath)
    }

    @Test func `archives that are damaged anywhere end in an error, and never in a trap`() async {
        let good = TarBuilder.archive {
            $0.records([("path", "name"), ("mtime", "1.5")])
            $0.file("a", "content")
            $0.link("b", to: "a")
            $0.member("c", "3", device: (1, 3))
        }
        for length in stride(from: 0, to: good.count - 1_024, by: 100) {
            _ = await code([Array(good.prefix(length))])
        }
        // One byte of each header, with the checksum mended so that it is looked at.
        for position in 0..<512 {
            for value in [UInt8(0), 0x39, 0x80, 0xFF] {
                for header in stride(from: 0, to: good.count - 1_024, by: 512) {
                    var bad = Array(good[header..<(header + 512)])
                    bad[position] = value
                    for index in 148..<156 { bad[index] = 0x20 }
                    let sum = bad.reduce(0) { $0 + Int($1) }
                    let digits = Array(String(sum, radix: 8).utf8)
                    bad.replaceSubrange(148..<(148 + digits.count), with: digits)
                    if let header = TarHeader(bad) {
                        _ = try? header.entry(TarRecords(), sizeBytes: 0, "the layer")
                    }
                }
            }
        }
        for records in ["", "x", "3", "6 a=\n", "99999999 a=b\n", "7 ab\nxx", "-1 a=b\n"] {
            let archive = TarBuilder.archive {
                $0.member("x", "x", content: Array(records.utf8))
                $0.file("a")
            }
            let isEmpty = records.isEmpty
            #expect(await (code([archive]) == nil) == isEmpty, "\(records)")
        }
    }

    @Test(arguments: UInt64(1)...8)
    func `random damage stays inside the root, and traps nobody`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let names = ["a", "a/b", "a/..", ".", "a/b/c", ".wh.a", "a/.wh..wh..opq", "l", "l/x"]
        for _ in 0..<40 {
            let folder = try TemporaryFolder()
            // Should the root not hold, the damage must not leave the test's own folder.
            let targets = ["a", "..", "../..", "l", "a/b", folder.path, "."]
            let layers = (0..<3).map { _ in
                TarBuilder.archive { builder in
                    for _ in 0..<Int.random(in: 1...8, using: &random) {
                        let name = names.randomElement(using: &random) ?? "a"
                        let target = targets.randomElement(using: &random) ?? "a"
                        switch Int.random(in: 0..<4, using: &random) {
                        case 0: builder.file(name, "content")
                        case 1: builder.directory(name)
                        case 2: builder.link(name, to: target)
                        default: builder.link(name, to: target, isHard: true)
                        }
                    }
                }
            }
            let damaged = layers.map { layer in
                var layer = layer
                if Bool.random(using: &random) {
                    layer[Int.random(in: 0..<layer.count, using: &random)] = .random(
                        in: 0...255, using: &random)
                }
                return layer
            }
            let root = "\(folder.path)/inner/root"
            try Files.makeDirectory(root)
            try Files.write(Array("safe".utf8), to: "\(folder.path)/a")
            try? apply(damaged, to: root, scratch: "\(folder.path)/layer", ImageLimits())
            #expect(Files.names(in: folder.path).filter { $0 != "layer" } == ["a", "inner"])
            #expect(Files.names(in: "\(folder.path)/inner") == ["root"])
            #expect(Files.text("\(folder.path)/a") == "safe")
        }
    }

    @Test(arguments: ["D", "S", "M", "V"]) func `kinds that are not known are refused`(
        type: String
    ) async {
        let archive = TarBuilder.archive { builder in
            for type in type { builder.member("a", type) }
        }
        #expect(await code([archive]) == .notAnImage)
    }
}

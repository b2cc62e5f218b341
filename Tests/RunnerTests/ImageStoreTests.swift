import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// Images come in, are unpacked, and go.
@Suite(.timeLimit(.minutes(5))) struct ImageStoreTests {
    static let small = TarBuilder.archive {
        $0.directory("./")
        $0.file("bin/tool", "tool", mode: 0o755)
        $0.link("sbin", to: "bin")
    }

    // MARK: Import

    @Test(arguments: ["cat", "gzip -nc", "xz -c", "zstd -qc"])
    func `an archive becomes an image, however it is compressed`(compress: String) async throws {
        let bench = try ImageBench()
        _ = try bench.file("root.tar", Self.small)
        try bench.shell("\(compress) < root.tar > root")
        let name = try imageName("tools:1")
        let image = try await bench.store.import("\(bench.path)/root", as: name)
        // The same input gives the same image.
        #expect(try await bench.store.import("\(bench.path)/root", as: name) == image)
        #expect(bench.store.resolve(name) == image)
        let root = try await bench.store.unpack(image)
        #expect(bench.text(root, "sbin/tool") == "tool")
        #expect(try await bench.store.configuration(image).layers == [ImageDigest(of: Self.small)])
        let list = try await bench.store.list()
        #expect(list.map(\.digest) == [image] && list.first?.names == [name])
        #expect(list.first?.isComplete == true && list.first?.unpackedSizeBytes == 4)
        #expect(bench.contents().filter { $0.hasPrefix("/work") }.isEmpty)
    }

    @Test func `a directory becomes an image, the same one each time`() async throws {
        let bench = try ImageBench()
        try bench.shell(
            """
            mkdir -p root/bin root/etc && echo tool > root/bin/tool && ln -s bin root/sbin
            ln root/bin/tool root/bin/twin && chmod 4755 root/bin/tool && mkfifo root/pipe
            touch -d '2001-02-03 04:05:06.7' root/bin/tool root/etc root/bin root
            """)
        let first = try await bench.store.import("\(bench.path)/root", as: imageName("a"))
        let second = try await bench.store.import("\(bench.path)/root", as: imageName("b"))
        #expect(first == second)
        let root = try await bench.store.unpack(first)
        var status = stat()
        #expect(lstat(root + "/bin/tool", &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o4755 && status.st_nlink == 2)
        #expect(Files.names(in: root) == ["bin", "etc", "pipe", "sbin"])
    }

    @Test func `a layout is taken as it is, from its directory or an archive of it`() async throws {
        let bench = try ImageBench()
        let configuration = #"{"Entrypoint":["/bin/tool"],"User":"app","Env":["A=1"]}"#
        let layout = try bench.layout(
            "layout", layers: [Self.small], configuration: configuration)
        let image = try await bench.store.import(layout, as: imageName("a"))
        try bench.shell("tar -C layout -cf plain.tar . && tar -C layout -czf packed.tgz .")
        for archive in ["plain.tar", "packed.tgz"] {
            let again = try await bench.store.import("\(bench.path)/\(archive)", as: imageName("b"))
            #expect(again == image)
        }
        let read = try await bench.store.configuration(image)
        #expect(read.entrypoint == ["/bin/tool"] && read.user == "app")
        #expect(read.environment == ["A=1"])
        let manifest = try await bench.store.manifest(image)
        #expect(ImageDigest(of: manifest) == image)
    }

    @Test(.enabled(if: Programs.locate("skopeo", in: Programs.searchPath) != nil, "needs skopeo"))
    func `what docker saved is read`() async throws {
        let bench = try ImageBench()
        let layout = try bench.layout(
            "layout", layers: [Self.small], configuration: #"{"Cmd":["/bin/tool"]}"#)
        try bench.shell("skopeo copy -q oci:'\(layout)' docker-archive:saved.tar:tool:1")
        let image = try await bench.store.import("\(bench.path)/saved.tar", as: imageName("tool"))
        #expect(try await bench.store.configuration(image).command == ["/bin/tool"])
        let root = try await bench.store.unpack(image)
        #expect(bench.text(root, "bin/tool") == "tool")
    }

    struct BadInput: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let make: String
        let code: ImageError.Code

        init(_ description: String, _ make: String, _ code: ImageError.Code) {
            testDescription = description
            self.make = make
            self.code = code
        }
    }

    static let badInputs = [
        BadInput("nothing there", "true", .notFound),
        BadInput("a pipe", "mkfifo input", .notAnImage),
        BadInput("an empty file", ": > input", .empty),
        BadInput("an empty directory", "mkdir input", .empty),
        BadInput("an archive of nothing", "mkdir d; tar -C d -cf input .", .empty),
        BadInput("a text", "yes text | head -c 5000 > input", .notAnImage),
        BadInput("a short text", "echo hello > input", .notAnImage),
        BadInput("a compressed text", "yes text | head -c 5000 | gzip > input", .notAnImage),
        BadInput("a cut archive", "head -c 1300 small.tar > input", .truncated),
        BadInput("an archive cut between members", "head -c 2048 small.tar > input", .truncated),
        BadInput("a cut gzip", "gzip -c small.tar | head -c 150 > input", .truncated),
        BadInput(
            "a gzip with a wrong sum",
            "gzip -c small.tar > g; head -c -8 g > input; printf 12345678 >> input", .corrupt),
        BadInput("a path that leads out", "cp evil.tar input", .unsafePath),
        BadInput(
            "a layout without a blob", "cp -r layout input; rm input/blobs/sha256/$LAYER",
            .truncated),
        BadInput(
            "a layout with a cut blob",
            "cp -r layout input; truncate -s -1 input/blobs/sha256/$LAYER", .truncated),
        BadInput(
            "a layout with a changed blob",
            "cp -r layout input; printf X | dd of=input/blobs/sha256/$LAYER conv=notrunc",
            .corrupt),
        BadInput(
            "a layout whose blob is a link out of it",
            "cp -r layout input; mv input/blobs/sha256/$LAYER x; "
                + "ln -s $PWD/x input/blobs/sha256/$LAYER", .truncated),
        BadInput(
            "a layout without an index", "cp -r layout input; echo {} > input/index.json", .empty),
        BadInput("a layout for another machine", "cp -r foreign input", .otherPlatform),
    ]

    @Test(arguments: badInputs) func `bad input is refused, and nothing stays`(
        row: BadInput
    ) async throws {
        let bench = try ImageBench()
        _ = try bench.file("small.tar", Self.small)
        _ = try bench.file("evil.tar", TarBuilder.archive { $0.file("../../evil", "x") })
        _ = try bench.layout("layout", layers: [Self.small])
        _ = try bench.layout("foreign", layers: [Self.small], architecture: "s390x")
        try bench.shell("LAYER=\(ImageDigest(of: Self.small).hex)\n\(row.make) 2>/dev/null")
        let code = await imageFailure {
            _ = try await bench.store.import("\(bench.path)/input", as: imageName("a"))
        }
        #expect(code == row.code)
        #expect(bench.contents().isEmpty)
    }

    // MARK: Unpacking

    @Test func `everybody who asks at once gets the one directory`() async throws {
        let bench = try ImageBench()
        let image = try await bench.image("a", layers: [Self.small, Self.small])
        let roots = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 { group.addTask { try await bench.store.unpack(image) } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(roots.count == 1 && roots.first == bench.store.unpackedRoot(of: image))
        #expect(Files.names(in: bench.store.directory + "/unpacked") == [image.hex])
    }

    @Test func `a blob that was damaged on disk is refused, removed, and may come again`()
        async throws
    {
        let bench = try ImageBench()
        let layout = try bench.layout("layout", layers: [Self.small])
        let image = try await bench.store.import(layout, as: imageName("a"))
        let layer = ImageDigest(of: Self.small)
        let damages = [
            "truncate -s -1 $BLOB", "printf X | dd of=$BLOB conv=notrunc seek=1500 bs=1",
        ]
        for damage in damages {
            try bench.shell("BLOB=store/blobs/sha256/\(layer.hex); \(damage) 2>/dev/null")
            #expect(await imageFailure { _ = try await bench.store.unpack(image) } == .corrupt)
            #expect(try await bench.store.missingBlobs(of: image).map(\.digest) == [layer])
            #expect(await imageFailure { _ = try await bench.store.unpack(image) } == .incomplete)
            #expect(bench.store.unpackedRoot(of: image) == nil)
            _ = try await bench.store.import(layout, as: imageName("a"))
        }
        _ = try await bench.store.unpack(image)
    }

    @Test func `an image whose layer is not what it says is refused, and its blob stays`()
        async throws
    {
        let bench = try ImageBench()
        let layout = try bench.layout(
            "layout", layers: [Self.small], contents: [ImageDigest(of: [])])
        let image = try await bench.store.import(layout, as: imageName("a"))
        #expect(await imageFailure { _ = try await bench.store.unpack(image) } == .corrupt)
        #expect(try await bench.store.missingBlobs(of: image).isEmpty)
        #expect(Files.names(in: bench.store.directory + "/unpacked").isEmpty)
        #expect(Files.names(in: bench.store.directory + "/work").isEmpty)
    }

    @Test func `what is not known is not found`() async throws {
        let bench = try ImageBench()
        let stranger = ImageDigest(of: [7])
        #expect(await imageFailure { _ = try await bench.store.unpack(stranger) } == .notFound)
        #expect(
            await imageFailure { _ = try await bench.store.configuration(stranger) } == .notFound)
        #expect(await imageFailure { _ = try await bench.store.manifest(stranger) } == .notFound)
        let name = try imageName("a")
        #expect(
            await imageFailure { try await bench.store.setName(name, to: stranger) } == .notFound)
        #expect(try await bench.store.remove(name, keeping: []) == nil)
    }

    @Test(arguments: [Compression.none, .gzip, .zstd])
    func `layers are unpacked however they are compressed`(compression: Compression) async throws {
        let bench = try ImageBench()
        let layout = try bench.layout("a", layers: [Self.small], compression: compression)
        let image = try await bench.store.import(layout, as: imageName("a"))
        let root = try await bench.store.unpack(image)
        #expect(bench.text(root, "bin/tool") == "tool")
    }

    @Test func `an image with an unknown compression is refused`() async throws {
        let bench = try ImageBench()
        let layout = try bench.layout("a", layers: [Self.small], compression: .xz)
        #expect(
            await imageFailure { _ = try await bench.store.import(layout, as: imageName("a")) }
                == .notAnImage)
    }

    // MARK: Lives

    @Test func `another life finds what was finished, and removes what was not`() async throws {
        let bench = try ImageBench()
        let image = try await bench.image("a", layers: [Self.small])
        let root = try await bench.store.unpack(image)
        try bench.shell(
            """
            cd store && mkdir -p work/XYZ/rootfs trash/old unpacked/\(ImageDigest(of: [1]).hex)
            mkfifo work/XYZ/rootfs/pipe && echo half > incoming/\(ImageDigest(of: [2]).hex)
            echo nobody > blobs/sha256/\(ImageDigest(of: [3]).hex)
            """)
        let later = try bench.reopen()
        #expect(later.notices.isEmpty)
        #expect(later.resolve(try imageName("a")) == image)
        #expect(try await later.unpack(image) == root)
        #expect(try await later.list().map(\.digest) == [image])
        #expect(try await later.list().first?.isComplete == true)
        #expect(
            bench.contents().filter { !$0.hasPrefix("/unpacked/\(image.hex)") }.count == 3 + 1 + 1)
    }

    @Test func `what may not be on disk does not outlive the boot`() async throws {
        let bench = try ImageBench()
        let image = try await bench.image("a", layers: [Self.small])
        _ = try await bench.store.unpack(image)
        try await bench.store.flushed()
        let unpacked = "\(bench.store.directory)/unpacked/\(image.hex)"
        #expect(Files.names(in: unpacked) == ["boot", "flushed", "rootfs", "size"])
        // Flushed: whatever the boot.
        try Files.write(Array("another".utf8), to: unpacked + "/boot")
        _ = try bench.reopen()
        #expect(Files.isDirectory(unpacked))
        // The daemon was started anew, the machine was not; it is flushed now.
        Files.remove(unpacked + "/flushed")
        try Files.write(Array(ImageCatalog.bootID.utf8), to: unpacked + "/boot")
        let second = try bench.reopen()
        try await second.flushed()
        #expect(Files.exists(unpacked + "/flushed"))
        // The machine was.
        Files.remove(unpacked + "/flushed")
        try Files.write(Array("another".utf8), to: unpacked + "/boot")
        let third = try bench.reopen()
        #expect(Files.names(in: third.directory + "/unpacked").isEmpty)
        let root = try await third.unpack(image)
        #expect(bench.text(root, "bin/tool") == "tool")
    }

    @Test func `a manifest that is lost is said, with its name`() async throws {
        let bench = try ImageBench()
        let image = try await bench.image("a", layers: [Self.small])
        try bench.shell("echo damaged > store/blobs/sha256/\(image.hex)")
        let later = try bench.reopen()
        #expect(later.notices.count == 2)
        #expect(later.resolve(try imageName("a")) == nil)
        #expect(bench.contents() == ["/names.json"])
        try bench.shell("echo '{' > store/names.json")
        #expect(
            await imageFailure { _ = try bench.reopen() } == .corrupt)
    }

    @Test func `nobody else may look into the store`() async throws {
        let bench = try ImageBench()
        var status = stat()
        #expect(lstat(bench.store.directory, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
    }

    // MARK: Trouble

    @Test func `a program that is missing is named with its package`() async throws {
        let bench = try ImageBench(searchPath: [])
        _ = try bench.file("root.tar", Self.small)
        try bench.shell("zstd -q root.tar && mkdir dir && echo x > dir/x")
        let attempts = [
            ("root.tar.zst", "apt-get install zstd"), ("root.tar", "apt-get install gzip"),
            ("dir", "apt-get install tar"),
        ]
        for (file, advice) in attempts {
            let error = await #expect(throws: ImageError.self) {
                _ = try await bench.store.import("\(bench.path)/\(file)", as: imageName("a"))
            }
            #expect(error?.code == .missingProgram)
            #expect(error?.description.hasSuffix(advice) == true)
        }
        let reference = try #require(RegistryReference("a"))
        let error = await #expect(throws: ImageError.self) {
            _ = try await bench.store.pull(reference)
        }
        #expect(error?.code == .missingProgram)
        #expect(error?.description.contains("apt-get install skopeo") == true)
        #expect(bench.contents().isEmpty)
    }

    @Test func `a tool that hangs is given up`() async throws {
        var limits = ImageLimits()
        limits.operationTimeMax = .milliseconds(200)
        let folder = try TemporaryFolder()
        for tool in ["gzip", "tar", "skopeo"] {
            try Files.write(
                Array("#!/bin/sh\nexec sleep 1000\n".utf8), to: "\(folder.path)/\(tool)")
            chmod("\(folder.path)/\(tool)", 0o755)
        }
        let bench = try ImageBench(limits: limits, searchPath: [folder.path])
        try bench.shell("mkdir dir && echo x > dir/x && tar -czf packed.tgz dir")
        for input in ["dir", "packed.tgz"] {
            #expect(
                await imageFailure {
                    _ = try await bench.store.import("\(bench.path)/\(input)", as: imageName("a"))
                } == .timedOut)
        }
        let reference = try #require(RegistryReference("a"))
        #expect(await imageFailure { _ = try await bench.store.pull(reference) } == .timedOut)
        #expect(bench.contents().isEmpty)
    }

    @Test(.enabled(if: geteuid() == 0, "mounting a small disk needs root"))
    func `a full disk is said to be that, and nothing stays`() async throws {
        let bench = try ImageBench()
        try bench.shell("mkdir small && mount -t tmpfs -o size=3m tmpfs small")
        defer { umount2("\(bench.path)/small", Int32(MNT_DETACH)) }
        let store = try ImageStore(directory: "\(bench.path)/small/store")
        try bench.shell("head -c 8000000 /dev/urandom > large && tar -cf large.tar large")
        #expect(
            await imageFailure {
                _ = try await store.import("\(bench.path)/large.tar", as: imageName("a"))
            } == .noSpace)
        // What fits packed, and not unpacked.
        try bench.shell("head -c 8000000 /dev/zero > large && tar -czf large.tgz large")
        let image = try await store.import("\(bench.path)/large.tgz", as: imageName("a"))
        #expect(await imageFailure { _ = try await store.unpack(image) } == .noSpace)
        #expect(Files.names(in: "\(store.directory)/work").isEmpty)
        #expect(Files.names(in: "\(store.directory)/unpacked").isEmpty)
        #expect(try await store.missingBlobs(of: image).isEmpty)
    }

    @Test func `a tool ends with those that it started`() async throws {
        let folder = try TemporaryFolder()
        let mark = "\(folder.path)/pid"
        let tool = try Spawner.spawn(
            "/bin/sh", ["-c", "sleep 1000 &\necho $! > \(mark)\nwait"], directory: nil,
            output: -1, inherited: -1, environment: [])
        func child() -> pid_t? { Files.text(mark).flatMap { pid_t($0) } }
        func state(_ id: pid_t) -> String { Files.text("/proc/\(id)/stat") ?? "" }
        while child() == nil { try await Task.sleep(for: .milliseconds(5)) }
        let sleeper = try #require(child())
        #expect(state(sleeper).contains("(sleep)") || state(sleeper).contains("(sh)"))
        ImageTools.kill(tool)
        #expect(Spawner.wait(for: tool) == 137)
        // Whoever inherits it reaps it in its own time.
        while !state(sleeper).isEmpty, !state(sleeper).contains(") Z") {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func `images are bounded`() async throws {
        var limits = ImageLimits()
        limits.imagesMax = 1
        let bench = try ImageBench(limits: limits)
        let image = try await bench.image("a", layers: [Self.small])
        _ = try await bench.image("a", layers: [Self.small])
        #expect(
            await imageFailure {
                _ = try await bench.image("b", layers: [Self.small, Self.small])
            } == .tooLarge)
        #expect(try await bench.store.list().map(\.digest) == [image])
        #expect(bench.contents().filter { $0.hasPrefix("/blobs") }.count == 3)
    }

    @Test func `names are bounded`() async throws {
        var limits = ImageLimits()
        limits.namesMax = 2
        let bench = try ImageBench(limits: limits)
        let image = try await bench.image("a", layers: [Self.small])
        try await bench.store.setName(imageName("b"), to: image)
        try await bench.store.setName(imageName("b"), to: image)
        #expect(
            await imageFailure { try await bench.store.setName(imageName("c"), to: image) }
                == .tooLarge)
        #expect(
            await imageFailure {
                _ = try await bench.image("c", layers: [Self.small, Self.small])
            } == .tooLarge)
        #expect(try await bench.store.list().count == 1)
    }
}

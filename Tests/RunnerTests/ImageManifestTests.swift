import Model
import Testing

@testable import Runner

/// What is read of the JSON that others wrote.
@Suite struct ImageManifestTests {
    static let digest = ImageDigest(of: [1])
    static let ociLayer = "application/vnd.oci.image.layer.v1.tar+gzip"

    static func manifest(layers: [(String, UInt64)], configurationSize: UInt64 = 2) -> [UInt8] {
        let entries = layers.map {
            #"{"mediaType":"\#($0.0)","digest":"\#(digest)","size":\#($0.1)}"#
        }
        return Array(
            (#"{"schemaVersion":2,"config":{"digest":"\#(digest)","size":\#(configurationSize)},"#
                + #""layers":[\#(entries.joined(separator: ","))]}"#).utf8)
    }

    private func code(_ body: () throws(ImageError) -> Void) -> ImageError.Code? {
        do {
            try body()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `a manifest names its blobs`() throws {
        let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        let manifest = try ImageManifest(
            Self.manifest(layers: [(Self.ociLayer, 10), (docker, 10)]))
        #expect(manifest.layers.map(\.compression) == [.gzip, .gzip])
        // Equal blobs are one.
        #expect(manifest.blobs == [BlobDescriptor(digest: Self.digest, sizeBytes: 2)])
    }

    @Test func `our own manifests can be read`() throws {
        let layer = BlobDescriptor(digest: ImageDigest(of: [2]), sizeBytes: 7)
        let configuration = BlobDescriptor(digest: ImageDigest(of: [3]), sizeBytes: 5)
        let manifest = try ImageManifest(
            ImageManifest.encoded(configuration: configuration, layer: layer))
        #expect(manifest.blobs == [configuration, layer])
    }

    @Test func `bounds hold at the bound and one past it`() throws {
        var limits = ImageLimits()
        limits.layersMax = 2
        limits.blobSizeBytesMax = 10
        limits.configurationSizeBytesMax = 2
        let fitting = Self.manifest(layers: [(Self.ociLayer, 10), (Self.ociLayer, 1)])
        limits.manifestSizeBytesMax = fitting.count
        #expect(
            code { () throws(ImageError) in _ = try ImageManifest(fitting, limits: limits) } == nil)
        let three = (0..<3).map { _ in (Self.ociLayer, UInt64(1)) }
        for bad in [
            Self.manifest(layers: three), Self.manifest(layers: [(Self.ociLayer, 11)]),
            Self.manifest(layers: [(Self.ociLayer, 1)], configurationSize: 3),
            fitting + [0x20],
        ] {
            #expect(
                code { () throws(ImageError) in _ = try ImageManifest(bad, limits: limits) }
                    == .tooLarge)
        }
    }

    @Test(arguments: [
        "", "[]", "{}", "null", #"{"config":7}"#, #"{"config":{"digest":"md5:1","size":1}}"#,
        #"{"config":{"digest":"\#(digest)","size":-1}}"#,
        #"{"config":{"digest":"\#(digest)","size":1.5}}"#,
        #"{"config":{"digest":"\#(digest)","size":1},"layers":[1]}"#,
        #"{"config":{"digest":"\#(digest)","size":1},"layers":[{"mediaType":"text/plain"}]}"#,
        String(repeating: "[", count: 100_000),
    ]) func `what is no manifest is refused`(text: String) {
        let code = code { () throws(ImageError) in _ = try ImageManifest(Array(text.utf8)) }
        #expect(code == .notAnImage)
    }

    @Test func `an image without layers is empty`() {
        let bytes = Self.manifest(layers: [])
        #expect(code { () throws(ImageError) in _ = try ImageManifest(bytes) } == .empty)
    }

    @Test func `a configuration is read with its nulls, and refused beyond its bounds`() throws {
        let text = """
            {"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["\(Self.digest)"]},
             "config":{"Entrypoint":null,"Cmd":["sh","-c"],"Env":["A=1"],"User":"app:staff",
             "WorkingDir":"/srv","StopSignal":"SIGINT","Labels":{"k":"v"},"Volumes":{"/x":{}}}}
            """
        let configuration = try ImageConfiguration(Array(text.utf8))
        #expect(configuration.entrypoint.isEmpty && configuration.command == ["sh", "-c"])
        #expect(configuration.environment == ["A=1"] && configuration.user == "app:staff")
        #expect(configuration.workingDirectory == "/srv" && configuration.stopSignal == "SIGINT")
        #expect(configuration.labels == ["k": "v"] && configuration.layers == [Self.digest])
        func read(words: Int) throws(ImageError) {
            let list = [String](repeating: #""x""#, count: words).joined(separator: ",")
            _ = try ImageConfiguration(Array(#"{"config":{"Cmd":[\#(list)]}}"#.utf8))
        }
        func read(length: Int) throws(ImageError) {
            let user = String(repeating: "u", count: length)
            _ = try ImageConfiguration(Array(#"{"config":{"User":"\#(user)"}}"#.utf8))
        }
        let wordsMax = ImageConfiguration.wordsMax
        let lengthMax = ImageConfiguration.wordSizeBytesMax
        #expect(code { () throws(ImageError) in try read(words: wordsMax) } == nil)
        #expect(code { () throws(ImageError) in try read(words: wordsMax + 1) } == .tooLarge)
        #expect(code { () throws(ImageError) in try read(length: lengthMax) } == nil)
        #expect(code { () throws(ImageError) in try read(length: lengthMax + 1) } == .tooLarge)
        let nul = Array(#"{"config":{"User":"a\u0000b"}}"#.utf8)
        #expect(code { () throws(ImageError) in _ = try ImageConfiguration(nul) } == .notAnImage)
    }

    @Test func `an index is searched for this machine, then for the tag`() throws {
        func entry(_ number: UInt8, _ platform: String, tag: String) -> String {
            let parts = platform.split(separator: "/")
            let shown =
                parts.isEmpty
                ? "" : #","platform":{"os":"\#(parts[0])","architecture":"\#(parts[1])"}"#
            return #"{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"#
                + #""digest":"\#(ImageDigest(of: [number]))"\#(shown),"#
                + #""annotations":{"org.opencontainers.image.ref.name":"\#(tag)"}}"#
        }
        func choose(_ entries: [String], tag: String = "latest") throws(ImageError) -> ImageDigest {
            let text = #"{"manifests":[\#(entries.joined(separator: ","))]}"#
            return try ImageIndex(Array(text.utf8), limits: ImageLimits()).choose(tag: tag).blob
                .digest
        }
        let here = entry(1, Platform.current, tag: "")
        let there = entry(2, "linux/s390x", tag: "")
        #expect(try choose([there, here]) == ImageDigest(of: [1]))
        #expect(code { () throws(ImageError) in _ = try choose([there]) } == .otherPlatform)
        #expect(code { () throws(ImageError) in _ = try choose([]) } == .empty)
        let old = entry(3, "", tag: "1")
        let new = entry(4, "", tag: "2")
        #expect(try choose([old, new], tag: "2") == ImageDigest(of: [4]))
        #expect(code { () throws(ImageError) in _ = try choose([old, new]) } == .notAnImage)
    }
}

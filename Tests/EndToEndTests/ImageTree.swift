import Foundation
import Model
import Runner

/// A small root file system, made of this machine's shell and what it needs to run.
struct ImageTree {
    let folder: URL

    /// Makes the tree in a folder that does not exist yet.
    init(at folder: URL) async throws {
        self.folder = folder
        let programs = ["/bin/sh", "/bin/sleep", "/usr/bin/id"]
        var files = Set(programs)
        for program in programs {
            let result = try await Program.run("/usr/bin/ldd", [program])
            for word in result.output.split(whereSeparator: \.isWhitespace)
            where word.hasPrefix("/") { files.insert(String(word)) }
        }
        for file in files.sorted() {
            try put(Data(contentsOf: URL(fileURLWithPath: file)), at: file, mode: 0o755)
        }
    }

    /// Puts a file into the tree.
    func put(_ content: Data, at path: String, mode: Int = 0o644) throws {
        let file = folder.appendingPathComponent(path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try content.write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
    }

    /// Packs the tree into an OCI layout whose configuration says this of the process.
    func layout(at folder: URL, process: String) async throws {
        let blobs = folder.appendingPathComponent("blobs/sha256")
        try FileManager.default.createDirectory(at: blobs, withIntermediateDirectories: true)
        let tarball = folder.appendingPathComponent("layer.tar")
        let tar = try await Program.run(
            "/usr/bin/tar", ["-C", self.folder.path, "-cf", tarball.path, "."])
        guard tar.code == 0 else { throw NeverHappened(description: tar.errors) }
        func blob(_ content: Data) throws -> String {
            let digest = ImageDigest(of: Array(content))
            try content.write(to: blobs.appendingPathComponent(digest.hex))
            return #""digest":"\#(digest)","size":\#(content.count)"#
        }
        let content = try Data(contentsOf: tarball)
        try FileManager.default.removeItem(at: tarball)
        let layer = try blob(content)
        #if arch(arm64)
            let architecture = "arm64"
        #else
            let architecture = "amd64"
        #endif
        let configuration = try blob(
            Data(
                #"""
                {"os":"linux","architecture":"\#(architecture)","config":\#(process),
                "rootfs":{"type":"layers","diff_ids":["\#(ImageDigest(of: Array(content)))"]}}
                """#.utf8))
        let type = "application/vnd.oci.image"
        let manifest = try blob(
            Data(
                #"""
                {"schemaVersion":2,"mediaType":"\#(type).manifest.v1+json",
                "config":{"mediaType":"\#(type).config.v1+json",\#(configuration)},
                "layers":[{"mediaType":"\#(type).layer.v1.tar",\#(layer)}]}
                """#.utf8))
        let index = #"""
            {"schemaVersion":2,"manifests":[{"mediaType":"\#(type).manifest.v1+json",\#(manifest)}]}
            """#
        try Data(index.utf8).write(to: folder.appendingPathComponent("index.json"))
        try Data(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)
            .write(to: folder.appendingPathComponent("oci-layout"))
    }
}

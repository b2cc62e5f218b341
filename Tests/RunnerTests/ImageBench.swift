import Foundation
import Glibc
import Model
import Synchronization

@testable import Runner

/// A store in a directory of its own, and images made for it.
final class ImageBench: Sendable {
    let folder: TemporaryFolder
    let store: ImageStore
    private let later = Mutex<[ImageStore]>([])

    init(limits: ImageLimits = ImageLimits(), searchPath: [String]? = nil) throws {
        folder = try TemporaryFolder()
        store = try ImageStore(
            directory: "\(folder.path)/store", limits: limits, searchPath: searchPath)
    }

    deinit {
        // What was put off still writes marks into the directory that goes with the folder.
        for store in [store] + later.withLock({ $0 }) {
            store.sweep.waitUntilAllOperationsAreFinished()
        }
    }

    /// Opens the store anew, as a later life of the daemon does.
    func reopen(clock: (@Sendable () -> Int64)? = nil) throws -> ImageStore {
        let opened =
            if let clock {
                try ImageStore(
                    directory: store.directory, limits: ImageLimits(), searchPath: nil, clock: clock
                )
            } else {
                try ImageStore(directory: store.directory)
            }
        later.withLock { $0.append(opened) }
        return opened
    }

    var path: String { folder.path }

    /// Writes a file into the bench's directory; its path.
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = "\(folder.path)/\(name)"
        if let slash = path.lastIndex(of: "/") {
            try Files.makeDirectory(String(path[..<slash]), mode: 0o755)
        }
        try Files.write(bytes, to: path)
        return path
    }

    /// Runs a shell command in the bench's directory.
    func shell(_ command: String) throws {
        let result = try Spawner.run("/bin/sh", ["-ec", "cd '\(folder.path)'\n\(command)"])
        guard result.code == 0 else { throw RunnerError("\(command): \(result.output)") }
    }

    /// What is in the store besides the empty directories; for checks that nothing is left behind.
    func contents() -> [String] {
        var found: [String] = []
        var pending = [""]
        while let next = pending.popLast() {
            for name in Files.names(in: "\(store.directory)\(next)") {
                let path = "\(next)/\(name)"
                if Files.isDirectory(store.directory + path) {
                    pending.append(path)
                } else {
                    found.append(path)
                }
            }
        }
        return found.sorted()
    }

    /// Writes an image layout with plain layers; its directory.
    func layout(
        _ folder: String, layers: [[UInt8]], configuration: String = "{}",
        architecture: String = Platform.architecture, contents: [ImageDigest]? = nil,
        compression: Compression = .none
    ) throws -> String {
        var described: [String] = []
        for layer in layers {
            let packed = try pack(layer, compression)
            let digest = try blob(folder, packed)
            described.append(
                #"{"mediaType":"\#(compression.layerType)","#
                    + #""digest":"\#(digest)","size":\#(packed.count)}"#)
        }
        let contents = (contents ?? layers.map { ImageDigest(of: $0) }).map { #""\#($0)""# }
        let config = Array(
            (#"{"os":"linux","architecture":"\#(architecture)","config":\#(configuration),"#
                + #""rootfs":{"type":"layers","diff_ids":[\#(contents.joined(separator: ","))]}}"#)
                .utf8)
        let manifest = Array(
            (#"{"schemaVersion":2,"config":{"#
                + #""mediaType":"application/vnd.oci.image.config.v1+json","digest":"\#(try blob(folder, config))","#
                + #""size":\#(config.count)},"layers":[\#(described.joined(separator: ","))]}"#)
                .utf8)
        try index(folder, [(manifest, "")])
        return "\(path)/\(folder)"
    }

    /// Writes an image layout with one image for this machine and one for another, below an index.
    func manyPlatforms(_ folder: String, here: [UInt8], elsewhere: [UInt8]) throws -> String {
        var manifests: [(manifest: [UInt8], platform: String)] = []
        for (layer, architecture) in [(elsewhere, "s390x"), (here, Platform.architecture)] {
            _ = try layout(folder, layers: [layer], architecture: architecture)
            let index = try ImageIndex(
                Files.read("\(path)/\(folder)/index.json") ?? [], limits: ImageLimits())
            let digest = index.entries[0].blob.digest
            manifests.append(
                (
                    Files.read("\(path)/\(folder)/blobs/sha256/\(digest.hex)") ?? [],
                    #","platform":{"os":"linux","architecture":"\#(architecture)"}"#
                ))
        }
        try index(folder, manifests)
        let inner = Files.read("\(path)/\(folder)/index.json") ?? []
        try index(folder, [(inner, "")], type: "index")
        return "\(path)/\(folder)"
    }

    private func index(
        _ folder: String, _ manifests: [([UInt8], String)], type: String = "manifest"
    ) throws {
        let entries = try manifests.map { bytes, platform in
            #"{"mediaType":"application/vnd.oci.image.\#(type).v1+json","size":\#(bytes.count),"#
                + #""digest":"\#(try blob(folder, bytes))"\#(platform)}"#
        }
        let text =
            #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","#
            + #""manifests":[\#(entries.joined(separator: ","))]}"#
        _ = try file("\(folder)/index.json", Array(text.utf8))
        _ = try file("\(folder)/oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))
    }

    private func pack(_ bytes: [UInt8], _ compression: Compression) throws -> [UInt8] {
        guard let (program, _) = compression.program else { return bytes }
        _ = try file("unpacked", bytes)
        try shell("\(program) -c < unpacked > packed")
        return Files.read("\(path)/packed") ?? []
    }

    private func blob(_ folder: String, _ bytes: [UInt8]) throws -> ImageDigest {
        let digest = ImageDigest(of: bytes)
        _ = try file("\(folder)/blobs/sha256/\(digest.hex)", bytes)
        return digest
    }

    /// Imports an image of plain layers.
    func image(
        _ name: String, layers: [[UInt8]], configuration: String = "{}"
    ) async throws -> ImageDigest {
        let layout = try layout(
            "layout-\(name)", layers: layers, configuration: configuration)
        return try await store.import(layout, as: imageName(name))
    }

    func text(_ root: String, _ path: String) -> String? { Files.text("\(root)/\(path)") }
}

func imageName(_ text: String) throws -> ImageName {
    guard let name = ImageName(text) else { throw RunnerError("'\(text)' is no name") }
    return name
}

/// The code of the error that an operation throws; `nil` when it throws none.
func imageFailure(_ body: () async throws -> Void) async -> ImageError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ImageError)?.code
    }
}

/// Makes tar archives as nobody's tar would.
struct TarBuilder {
    private(set) var bytes: [UInt8] = []

    /// The whole archive.
    var archive: [UInt8] { bytes + [UInt8](repeating: 0, count: 1_024) }

    static func archive(_ build: (inout TarBuilder) -> Void) -> [UInt8] {
        var builder = TarBuilder()
        build(&builder)
        return builder.archive
    }

    mutating func file(_ path: String, _ content: String = "", mode: Int = 0o644, user: Int = 0) {
        member(path, "0", content: Array(content.utf8), mode: mode, user: user)
    }

    mutating func directory(_ path: String, mode: Int = 0o755) {
        member(path, "5", mode: mode)
    }

    mutating func link(_ path: String, to target: String, isHard: Bool = false) {
        member(path, isHard ? "1" : "2", link: target)
    }

    mutating func records(_ records: [(String, String)]) {
        var content = ""
        for (key, value) in records {
            let rest = " \(key)=\(value)\n"
            var length = rest.utf8.count + 1
            while "\(length)".utf8.count + rest.utf8.count != length { length += 1 }
            content += "\(length)\(rest)"
        }
        member("records", "x", content: Array(content.utf8))
    }

    mutating func member(
        _ path: String, _ type: Character, content: [UInt8] = [], link: String = "",
        mode: Int = 0o644, user: Int = 0, size: Int? = nil, device: (Int, Int) = (0, 0)
    ) {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, _ length: Int) {
            for (index, byte) in text.utf8.prefix(length).enumerated() {
                block[offset + index] = byte
            }
        }
        func octal(_ number: Int, _ digits: Int) -> String {
            let text = String(number, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(path, at: 0, 100)
        put(octal(mode, 7), at: 100, 7)
        put(octal(user, 7), at: 108, 7)
        put(octal(user, 7), at: 116, 7)
        put(octal(size ?? content.count, 11), at: 124, 11)
        put(octal(1_000_000_000, 11), at: 136, 11)
        put("        ", at: 148, 8)
        put(String(type), at: 156, 1)
        put(link, at: 157, 100)
        put("ustar", at: 257, 5)
        put("00", at: 263, 2)
        put(octal(device.0, 7), at: 329, 7)
        put(octal(device.1, 7), at: 337, 7)
        put(octal(block.reduce(0) { $0 + Int($1) }, 6), at: 148, 6)
        block[154] = 0
        bytes += block + content
        bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }
}

extension ImageStore {
    /// Waits until everything that was put off is done.
    func flushed() async throws {
        try await perform(on: sweep) { () throws(ImageError) in }
    }
}

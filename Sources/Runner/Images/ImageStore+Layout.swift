import CShims
import Foundation
import Glibc
import Model

/// Images out of OCI image layouts.
///
/// Source: OCI image specification, `image-layout.md`.
extension ImageStore {
    /// How many indexes may stand between a layout and its manifest.
    private static let indexDepthMax = 4

    /// Takes an image out of a layout; each blob is hashed on its way in.
    ///
    /// With `isOurs` the layout's files may be moved instead of copied.
    func importLayout(
        at path: String, as name: ImageName?, in work: String, isOurs: Bool
    ) throws(ImageError) -> ImageDigest {
        let layout = LayoutDirectory(path: path, limits: limits)
        guard
            let index = Files.readInside(path, "index.json", limit: limits.manifestSizeBytesMax + 1)
        else { throw ImageError(.notAnImage, "\(path) has no index.json") }
        var chosen = try ImageIndex(index, limits: limits).choose(tag: name?.tag ?? "latest")
        for _ in 0..<ImageStore.indexDepthMax where chosen.isIndex {
            let bytes = try layout.read(chosen.blob, sizeBytesMax: limits.manifestSizeBytesMax)
            chosen = try ImageIndex(bytes, limits: limits).choose(tag: name?.tag ?? "latest")
        }
        guard !chosen.isIndex else {
            throw ImageError(.tooLarge, "\(path) has too many indexes above its image")
        }
        var parts = ImageParts(
            manifest: try layout.read(chosen.blob, sizeBytesMax: limits.manifestSizeBytesMax))
        let manifest = try ImageManifest(parts.manifest, limits: limits)
        let held = try holdPresent(manifest.blobs)
        defer { for digest in held { letGo(digest) } }
        for blob in manifest.blobs where !held.contains(blob.digest) {
            let file = "\(work)/\(blob.digest.hex)"
            try layout.take(blob, to: file, isOurs: isOurs, until: deadline)
            parts.files[blob.digest] = file
        }
        try check(manifest, parts)
        return try commit(parts, as: name, in: work)
    }

    /// Keeps the blobs that are here already from being removed.
    private func holdPresent(_ wanted: [BlobDescriptor]) throws(ImageError) -> [ImageDigest] {
        for blob in wanted { addHold(blob.digest) }
        return try locked { (catalog) throws(ImageError) in
            wanted.compactMap { blob in
                if catalog.blobs.has(blob) { return blob.digest }
                letGo(blob.digest)
                return nil
            }
        }
    }

    private func check(_ manifest: ImageManifest, _ parts: ImageParts) throws(ImageError) {
        let digest = manifest.configuration.digest
        let bytes: [UInt8]
        if let file = parts.files[digest] {
            bytes = Files.read(file) ?? []
        } else {
            bytes = try blobs.verified(digest, sizeBytesMax: limits.configurationSizeBytesMax)
        }
        let configuration = try ImageConfiguration(bytes, limits: limits)
        guard configuration.layers.count == manifest.layers.count else {
            throw ImageError(.notAnImage, "the image's manifest and configuration do not agree")
        }
        try configuration.checkPlatform()
    }
}

extension ImageConfiguration {
    /// Refuses an image for another kind of machine.
    func checkPlatform() throws(ImageError) {
        let isFitting =
            (operatingSystem.isEmpty || operatingSystem == "linux")
            && (architecture.isEmpty || architecture == Platform.architecture)
        guard isFitting else {
            throw ImageError(
                .otherPlatform,
                "the image is for \(operatingSystem)/\(architecture), and not for \(Platform.current)"
            )
        }
    }
}

/// Somebody's directory with an image layout in it; links in it lead nowhere else.
struct LayoutDirectory {
    let path: String
    let limits: ImageLimits

    private func path(of digest: ImageDigest) -> String { "blobs/sha256/\(digest.hex)" }

    /// Reads a small blob, and checks it.
    func read(_ blob: BlobDescriptor, sizeBytesMax: Int) throws(ImageError) -> [UInt8] {
        guard blob.sizeBytes <= UInt64(sizeBytesMax) else {
            throw ImageError(
                .tooLarge, "the blob \(blob.digest) is larger than \(sizeBytesMax) bytes")
        }
        guard let bytes = Files.readInside(path, path(of: blob.digest), limit: sizeBytesMax + 1)
        else { throw missing(blob) }
        try check(blob, ImageDigest(of: bytes), UInt64(bytes.count))
        return bytes
    }

    /// Brings a blob into a file, and checks it on the way.
    func take(
        _ blob: BlobDescriptor, to file: String, isOurs: Bool,
        until deadline: ContinuousClock.Instant
    ) throws(ImageError) {
        let root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard root >= 0 else { throw .system("open", path) }
        defer { close(root) }
        let source = magpie_open_inside(root, path(of: blob.digest), O_RDONLY | O_NONBLOCK, 0)
        guard source >= 0 else { throw missing(blob) }
        var status = stat()
        guard fstat(source, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(source)
            throw missing(blob)
        }
        let sink = isOurs ? -1 : try createOrClose(source, file)
        defer { if sink >= 0 { close(sink) } }
        let stream = ByteStream(
            file: source, subject: "the blob \(blob.digest)", copyingTo: sink, until: deadline)
        let digest = try stream.finish(sizeBytesMax: blob.sizeBytes)
        try check(blob, digest, stream.countBytes)
        guard isOurs else { return }
        // What was hashed is a plain file; a link in its place would be moved itself.
        let given = "\(path)/\(path(of: blob.digest))"
        var named = stat()
        guard lstat(given, &named) == 0, named.st_ino == status.st_ino, rename(given, file) == 0
        else { throw missing(blob) }
    }

    private func createOrClose(_ source: Int32, _ file: String) throws(ImageError) -> Int32 {
        do {
            return try Files.create(file)
        } catch {
            close(source)
            throw error
        }
    }

    private func check(
        _ blob: BlobDescriptor, _ digest: ImageDigest, _ size: UInt64
    ) throws(ImageError) {
        guard size >= blob.sizeBytes else {
            throw ImageError(
                .truncated, "the blob \(blob.digest) is cut: \(size) bytes of \(blob.sizeBytes)")
        }
        guard digest == blob.digest, size == blob.sizeBytes else {
            throw ImageError(.corrupt, "the blob \(blob.digest) is not what its digest says")
        }
    }

    private func missing(_ blob: BlobDescriptor) -> ImageError {
        ImageError(.truncated, "\(path) lacks the blob \(blob.digest)")
    }
}

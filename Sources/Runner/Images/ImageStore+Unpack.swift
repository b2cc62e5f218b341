import CShims
import Foundation
import Glibc
package import Model

/// Root file systems out of images.
extension ImageStore {
    /// Unpacks an image, unless that was done before: the directory that is shared, read-only, below
    /// the overlays of tasks.
    ///
    /// Whoever asks while it is being unpacked waits for the same. Each layer's content is hashed as
    /// it is unpacked.
    ///
    /// - Returns: The directory's path. It stays until the image is removed, which `prune` and `remove`
    ///   do not do to what they are told is in use.
    /// - Throws: `.notFound` and `.incomplete` when it is not here, `.corrupt` when a blob was damaged
    ///   on disk and is removed now, `.otherPlatform`, `.tooLarge`, `.noSpace`, `.missingProgram`, and
    ///   what is wrong with the image itself. Nothing is left behind.
    package func unpack(_ image: ImageDigest) async throws(ImageError) -> String {
        let result: Result<String, ImageError> = await withCheckedContinuation { continuation in
            let isFirst = lock.withLock {
                let isFirst = unpacking[image] == nil
                unpacking[image, default: []].append(continuation)
                if isFirst { holds[image, default: 0] += 1 }
                return isFirst
            }
            guard isFirst else { return }
            unpacks.addOperation { [self] in
                let result = Result { () throws(ImageError) in try unpackNow(image) }
                let waiters = lock.withLock { unpacking.removeValue(forKey: image) ?? [] }
                letGo(image)
                for waiter in waiters { waiter.resume(returning: result) }
            }
        }
        return try result.get()
    }

    /// Where an image is unpacked; `nil` when it is not.
    package func unpackedRoot(of image: ImageDigest) -> String? {
        let path = "\(directory)/unpacked/\(image.hex)"
        let isHere = Files.isDirectory("\(path)/rootfs") && ImageCatalog.isOurs(path)
        return isHere ? "\(path)/rootfs" : nil
    }

    /// The first owner of files in an unpacked image who is nobody on this node: root has them here.
    func foreigner(in image: ImageDigest) -> String? {
        Files.text("\(directory)/unpacked/\(image.hex)/foreigner")
    }

    private func unpackNow(_ image: ImageDigest) throws(ImageError) -> String {
        let isKnown = try locked { (catalog) throws(ImageError) in
            catalog.touch(image)
            return catalog.images[image] != nil
        }
        guard isKnown else { throw ImageError(.notFound, "the image \(image) is not on this node") }
        if let path = unpackedRoot(of: image) { return path }
        let manifest = try readManifest(image)
        let missing = manifest.blobs.filter { blobs.sizeBytes(of: $0.digest) == nil }
        guard missing.isEmpty else {
            throw ImageError(
                .incomplete,
                "\(missing.count) of \(manifest.blobs.count) blobs of the image \(image) are missing"
            )
        }
        let configuration = try readConfiguration(of: manifest)
        try configuration.checkPlatform()
        return try withWork { (work) throws(ImageError) in
            let root = "\(work)/rootfs"
            guard mkdir(root, 0o755) == 0, chmod(root, 0o755) == 0 else {
                throw .system("make", root)
            }
            let (size, foreigner) = try unpackLayers(manifest, configuration, into: root)
            try Files.put(Array("\(size)".utf8), at: "\(work)/size")
            if let mark = OrdinaryUser.current?.mark {
                try Files.put(Array(mark.utf8), at: "\(work)/\(ImageCatalog.usersMark)")
            }
            if let foreigner { try Files.put(Array(foreigner.utf8), at: "\(work)/foreigner") }
            try Files.put(Array(ImageCatalog.bootID.utf8), at: "\(work)/boot")
            let final = "\(directory)/unpacked/\(image.hex)"
            guard rename(work, final) == 0 else { throw .system("rename", work) }
            flushLater(image)
            return "\(final)/rootfs"
        }
    }

    /// Has what was unpacked on disk in its own time, and marks it then.
    ///
    /// A task need not wait for that: until it is marked, it counts for this boot of the machine only.
    /// The flush is that of the whole file system, and may have much of others' to write.
    func flushLater(_ image: ImageDigest) {
        // By its descriptor: the image may be removed meanwhile, and be unpacked again.
        let path = "\(directory)/unpacked/\(image.hex)"
        let unpacked = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard unpacked >= 0 else { return }
        sweep.addOperation {
            defer { close(unpacked) }
            guard magpie_sync_filesystem(unpacked) == 0 else { return }
            let flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC
            let mark = openat(unpacked, ImageCatalog.flushedMark, flags, 0o600)
            if mark >= 0 { close(mark) }
        }
    }

    private func unpackLayers(
        _ manifest: ImageManifest, _ configuration: ImageConfiguration, into root: String
    ) throws(ImageError) -> (sizeBytes: UInt64, foreigner: String?) {
        var unpacker = try LayerUnpacker(root: root, limits: limits)
        for (layer, content) in zip(manifest.layers, configuration.layers) {
            let digest = layer.blob.digest
            do throws(ImageError) {
                guard blobs.has(layer.blob) else { throw blobs.removeDamaged(digest) }
                let stream = try decompressed(
                    blobs.path(of: digest), layer.compression, subject: "the layer \(digest)")
                var tar = TarReader(stream, needsEnd: false)
                try unpacker.apply(&tar)
                guard try stream.finish(sizeBytesMax: limits.unpackedSizeBytesMax) == content else {
                    throw ImageError(
                        .corrupt, "the layer \(digest) does not hold what the image says")
                }
            } catch {
                let mayBeDamage: Set<ImageError.Code> = [
                    .corrupt, .truncated, .notAnImage, .unsafePath, .empty, .tooLarge,
                ]
                // Damage on this disk, or an image that was made so? The blob's own digest tells.
                if mayBeDamage.contains(error.code), blobs.sizeBytes(of: digest) != nil {
                    try blobs.verify(digest, until: deadline)
                }
                throw error
            }
        }
        return (unpacker.sizeBytes, unpacker.foreigner)
    }
}

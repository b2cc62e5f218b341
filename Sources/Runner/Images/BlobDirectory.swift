import Glibc
import Model

/// The files that are called by their digests.
struct BlobDirectory {
    let path: String

    func path(of digest: ImageDigest) -> String { "\(path)/\(digest.hex)" }

    /// The size of a blob; `nil` when it is not here.
    func sizeBytes(of digest: ImageDigest) -> UInt64? {
        var status = stat()
        guard lstat(path(of: digest), &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return UInt64(status.st_size)
    }

    /// Whether a blob is here in its full length.
    func has(_ blob: BlobDescriptor) -> Bool { sizeBytes(of: blob.digest) == blob.sizeBytes }

    /// Opens a blob for reading.
    func open(_ digest: ImageDigest) throws(ImageError) -> Int32 {
        let descriptor = Glibc.open(path(of: digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw .system("open", path(of: digest)) }
            throw ImageError(.notFound, "the blob \(digest) is not here")
        }
        return descriptor
    }

    /// Reads a small blob, and checks it.
    ///
    /// - Throws: `.corrupt` when it is not what its name says; it is removed then.
    func verified(_ digest: ImageDigest, sizeBytesMax: Int) throws(ImageError) -> [UInt8] {
        let descriptor = try open(digest)
        defer { close(descriptor) }
        guard let bytes = Files.read(from: descriptor, offset: 0, limit: sizeBytesMax + 1) else {
            throw .system("read", path(of: digest))
        }
        guard ImageDigest(of: bytes) == digest else { throw removeDamaged(digest) }
        return bytes
    }

    /// Reads a whole blob, and checks it.
    ///
    /// - Throws: `.corrupt` when it is not what its name says; it is removed then.
    func verify(
        _ digest: ImageDigest, until deadline: ContinuousClock.Instant
    ) throws(ImageError) {
        let stream = ByteStream(
            file: try open(digest), subject: "the blob \(digest)", until: deadline)
        guard try stream.finish(sizeBytesMax: .max) == digest else { throw removeDamaged(digest) }
    }

    /// Removes a blob that is damaged, and says so.
    func removeDamaged(_ digest: ImageDigest) -> ImageError {
        unlink(path(of: digest))
        return ImageError(
            .corrupt,
            "the blob \(digest) was damaged on this node's disk; it was removed and must come again"
        )
    }

    /// Makes a flushed file a blob; what was there under the same digest is replaced.
    func adopt(_ file: String, as digest: ImageDigest) throws(ImageError) {
        guard rename(file, path(of: digest)) == 0 else { throw .system("rename", file) }
    }

    /// Has the names of all blobs on disk.
    func sync() throws(ImageError) { try Tree.sync(directory: path) }

    /// All blobs that are here.
    var all: [ImageDigest] { Files.names(in: path).compactMap { ImageDigest(hex: $0) } }
}

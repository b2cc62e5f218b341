import Foundation
import Glibc
package import Model

/// What nodes ask of each other, so that an image that one has runs on all.
extension ImageStore {
    /// The most bytes that one read gives.
    package static let readSizeBytesMax = 1 << 20

    // MARK: The giving side

    /// The bytes of an image's manifest.
    ///
    /// - Throws: `.notFound`, or `.corrupt` when it was damaged on disk and is removed now.
    package func manifest(_ image: ImageDigest) async throws(ImageError) -> [UInt8] {
        try await perform(on: light) { [self] () throws(ImageError) in
            try blobs.verified(image, sizeBytesMax: limits.manifestSizeBytesMax)
        }
    }

    /// Reads a part of a blob.
    ///
    /// - Parameters:
    ///   - blob: Which one.
    ///   - offset: The first byte.
    ///   - count: How many bytes; never more than `readSizeBytesMax` come.
    /// - Returns: The bytes; fewer than asked for, or none, at the blob's end.
    /// - Throws: `.notFound` when it is not here.
    package func read(
        _ blob: ImageDigest, offset: UInt64, count: Int
    ) async throws(ImageError) -> [UInt8] {
        try await perform(on: light) { [self] () throws(ImageError) in
            let descriptor = try blobs.open(blob)
            defer { close(descriptor) }
            guard let size = blobs.sizeBytes(of: blob), offset < size, count > 0 else { return [] }
            let limit = min(count, ImageStore.readSizeBytesMax)
            guard
                let bytes = Files.read(from: descriptor, offset: offset, limit: limit)
            else { throw .system("read", blobs.path(of: blob)) }
            return bytes
        }
    }

    /// An excerpt of a blob as it travels between nodes.
    ///
    /// - Throws: `.notFound` when the blob is not here, or ends before `offset`.
    package func chunk(
        of blob: ImageDigest, from offset: UInt64
    ) async throws(ImageError) -> ImageChunk {
        let bytes = try await read(blob, offset: offset, count: ImageChunk.sizeBytesMax)
        guard let total = blobs.sizeBytes(of: blob), offset <= total,
            UInt64(bytes.count) <= total - offset
        else { throw ImageError(.notFound, "the blob \(blob) is not here") }
        return ImageChunk(offset: offset, bytes: bytes, totalBytes: total)
    }

    /// Hashes a blob, for a peer that got something else than its digest says.
    ///
    /// - Throws: `.corrupt` when it was damaged on disk and is removed now.
    package func verify(_ blob: ImageDigest) async throws(ImageError) {
        try await perform(on: intake) { [self] () throws(ImageError) in
            try blobs.verify(blob, until: deadline)
        }
    }

    // MARK: The taking side

    /// Takes in a manifest: the image is known from then on, and its blobs may come.
    ///
    /// - Throws: `.corrupt` when the bytes are not what the digest says, `.notAnImage` and `.tooLarge`
    ///   for what they announce; nothing is left behind.
    package func receive(manifest bytes: [UInt8], of image: ImageDigest) async throws(ImageError) {
        try await perform(on: light) { [self] () throws(ImageError) in
            guard bytes.count <= limits.manifestSizeBytesMax, ImageDigest(of: bytes) == image else {
                throw ImageError(.corrupt, "what came as the manifest \(image) is something else")
            }
            let parts = ImageParts(manifest: bytes)
            _ = try withWork { (work) throws(ImageError) in
                try commit(parts, as: nil, in: work)
            }
        }
    }

    /// The blobs of an image that are not here, or not in their full length, in the order in which
    /// they are needed.
    ///
    /// - Throws: `.notFound` when the image is not known: its manifest has to come first.
    package func missingBlobs(of image: ImageDigest) async throws(ImageError) -> [BlobDescriptor] {
        try await perform(on: light) { [self] () throws(ImageError) in
            try locked { (catalog) throws(ImageError) in try catalog.missing(of: image) }
        }
    }

    /// Begins, or goes on, to take in a blob of an image that is known.
    ///
    /// - Throws: `.notFound` when the image does not name such a blob, `.busy` when somebody else
    ///   takes it in or there are too many at a time.
    package func writer(
        for blob: ImageDigest, of image: ImageDigest
    ) async throws(ImageError) -> BlobWriter {
        try await perform(on: light) { [self] () throws(ImageError) in
            let descriptor = try claimBlob(blob, of: image)
            do throws(ImageError) {
                return try BlobWriter(store: self, blob: descriptor, image: image)
            } catch {
                releaseBlob(blob, of: image)
                throw error
            }
        }
    }

    private func claimBlob(
        _ blob: ImageDigest, of image: ImageDigest
    ) throws(ImageError) -> BlobDescriptor {
        let isFree = lock.withLock {
            receiving.count < limits.writersMax && receiving.insert(blob).inserted
        }
        guard isFree else {
            throw ImageError(.busy, "the blob \(blob) can't be taken in at the moment")
        }
        addHold(image)
        addHold(blob)
        let named = try locked { (catalog) throws(ImageError) in
            catalog.images[image]?.manifest.blobs.first { $0.digest == blob }
        }
        guard let named else {
            releaseBlob(blob, of: image)
            throw ImageError(.notFound, "no image \(image) with a blob \(blob) is known here")
        }
        return named
    }

    func releaseBlob(_ blob: ImageDigest, of image: ImageDigest) {
        letGo(image)
        letGo(blob)
        _ = lock.withLock { receiving.remove(blob) }
    }
}

/// Takes in one blob from a peer, piece by piece, and shows it when it is whole and right.
///
/// What has come stays when the writer goes away, so that the next one goes on behind it; until the
/// store is opened anew. One caller at a time.
package final class BlobWriter: @unchecked Sendable {
    /// What is being taken in.
    package let blob: BlobDescriptor

    private let store: ImageStore
    private let image: ImageDigest
    private let path: String
    private let descriptor: Int32
    /// Guarded by the store's lock, by convention: one caller at a time.
    private var hash = SHA256()
    private var written: UInt64 = 0
    private var isOver = false

    init(store: ImageStore, blob: BlobDescriptor, image: ImageDigest) throws(ImageError) {
        self.store = store
        self.blob = blob
        self.image = image
        path = "\(store.directory)/incoming/\(blob.digest.hex)"
        descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("make", path) }
        do throws(ImageError) {
            let copy = dup(descriptor)
            guard copy >= 0 else { throw .system("open", path) }
            // The hash goes on where the file ends.
            let stream = ByteStream(file: copy, subject: path, until: store.deadline)
            _ = try stream.finish(sizeBytesMax: blob.sizeBytes)
            hash = stream.hash
            written = stream.countBytes
        } catch {
            close(descriptor)
            unlink(path)
            throw error
        }
    }

    deinit {
        close(descriptor)
        store.releaseBlob(blob.digest, of: image)
    }

    /// How much has come; the next piece begins here.
    package var offset: UInt64 { store.lock.withLock { written } }

    /// Takes in the next piece.
    ///
    /// - Throws: `.tooLarge` for more than the manifest announced: all that came is thrown away then.
    ///   `.noSpace` and the like: the blob begins anew.
    package func append(_ bytes: [UInt8]) async throws(ImageError) {
        try await store.perform(on: store.light) { [self] () throws(ImageError) in
            guard store.lock.withLock({ !isOver }) else { throw over }
            guard UInt64(bytes.count) <= blob.sizeBytes - written else {
                throw giveUp(
                    ImageError(.tooLarge, "more came of the blob \(blob.digest) than was announced")
                )
            }
            var fresh = hash
            do throws(ImageError) {
                try Files.writeAll(bytes, to: descriptor, path)
                bytes.withUnsafeBytes { fresh.update($0) }
            } catch {
                throw giveUp(error)
            }
            store.lock.withLock {
                hash = fresh
                written += UInt64(bytes.count)
            }
        }
    }

    /// Makes the blob visible, on disk when this returns.
    ///
    /// - Throws: `.truncated` when not all has come: the rest may still come. `.corrupt` when it is
    ///   not what its digest says: all that came is thrown away.
    package func finish() async throws(ImageError) {
        try await store.perform(on: store.light) { [self] () throws(ImageError) in
            guard store.lock.withLock({ !isOver }) else { throw over }
            guard written == blob.sizeBytes else {
                throw ImageError(
                    .truncated,
                    "of the blob \(blob.digest) came \(written) of \(blob.sizeBytes) bytes")
            }
            guard hash.digest() == blob.digest else {
                throw giveUp(
                    ImageError(
                        .corrupt, "what came as the blob \(blob.digest) is something else"))
            }
            guard fsync(descriptor) == 0 else { throw giveUp(.system("write", path)) }
            do throws(ImageError) {
                try store.locked { (catalog) throws(ImageError) in
                    try catalog.blobs.adopt(path, as: blob.digest)
                    try catalog.blobs.sync()
                }
                store.lock.withLock { isOver = true }
            } catch {
                throw giveUp(error)
            }
        }
    }

    private var over: ImageError {
        ImageError(.failed, "the blob \(blob.digest) is not taken in any more")
    }

    private func giveUp(_ error: ImageError) -> ImageError {
        unlink(path)
        store.lock.withLock { isOver = true }
        return error
    }
}

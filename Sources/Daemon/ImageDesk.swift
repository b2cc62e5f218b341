import Cluster
import Model
import Runner

/// Does what the core asks of this node's image store, one part of an image at a time.
///
/// The core waits for each answer before it asks for more of the same image, so that the pieces of one
/// part arrive here in order; those of different images may be under way together.
actor ImageDesk {
    nonisolated let store: ImageStore
    /// Parts that are coming in, the longest unused one first.
    private var writers: [(part: ImageDigest, writer: BlobWriter)] = []
    /// Manifests that are coming in, the longest unused one first.
    private var manifests: [(image: ImageDigest, bytes: [UInt8])] = []

    /// How many parts, and how many manifests, are taken in at a time; the longest unused one of more
    /// begins anew later.
    static let incomingMax = 8

    init(store: ImageStore) {
        self.store = store
    }

    /// Answers one command of the core.
    func perform(_ command: ImageStoreCommand) async -> ImageStoreEvent {
        switch command {
        case .check(let image):
            return .stock(image, await stock(of: image))
        case .read(let read, let part, let offset):
            return .read(read, try? await store.chunk(of: part, from: offset))
        case .write(let image, let part, let chunk):
            let result =
                part == image
                ? await writeManifest(image, chunk) : await write(image, part, chunk)
            return .written(image: image, part: part, result)
        }
    }

    // MARK: What is here

    private func stock(of image: ImageDigest) async -> ImageStock {
        do {
            let missing = try await store.missingBlobs(of: image)
            guard !missing.isEmpty else { return .complete }
            return .lacks(
                missing.map { ImagePart(digest: $0.digest, sizeBytesMax: $0.sizeBytes) })
        } catch {
            // Unknown, or its manifest was damaged: that has to come first.
            let manifest = ImagePart(
                digest: image, sizeBytesMax: ImagePart.manifestSizeBytesMax)
            return .lacks([manifest])
        }
    }

    // MARK: What comes in

    private func writeManifest(
        _ image: ImageDigest, _ chunk: ImageChunk
    ) async -> ImageWriteResult {
        var bytes: [UInt8] = []
        if let index = manifests.firstIndex(where: { $0.image == image }) {
            bytes = manifests.remove(at: index).bytes
        }
        if chunk.offset == 0 { bytes = [] }
        guard chunk.offset == UInt64(bytes.count) else { return .stored(next: 0) }
        bytes += chunk.bytes
        guard UInt64(bytes.count) <= ImagePart.manifestSizeBytesMax else { return .corrupt }
        guard UInt64(bytes.count) == chunk.totalBytes else {
            if manifests.count >= ImageDesk.incomingMax { manifests.removeFirst() }
            manifests.append((image, bytes))
            return .stored(next: UInt64(bytes.count))
        }
        do {
            try await store.receive(manifest: bytes, of: image)
            return .finished
        } catch {
            return ImageDesk.result(of: error)
        }
    }

    private func write(
        _ image: ImageDigest, _ part: ImageDigest, _ chunk: ImageChunk
    ) async -> ImageWriteResult {
        do {
            let writer: BlobWriter
            if let index = writers.firstIndex(where: { $0.part == part }) {
                writer = writers.remove(at: index).writer
            } else {
                writer = try await store.writer(for: part, of: image)
            }
            // What an earlier source sent is still there: it goes on behind that.
            guard writer.offset == chunk.offset else {
                keep(writer, part)
                return .stored(next: writer.offset)
            }
            try await writer.append(chunk.bytes)
            guard writer.offset == chunk.totalBytes else {
                keep(writer, part)
                return .stored(next: writer.offset)
            }
            try await writer.finish()
            return .finished
        } catch {
            return ImageDesk.result(of: error)
        }
    }

    private func keep(_ writer: BlobWriter, _ part: ImageDigest) {
        if writers.count >= ImageDesk.incomingMax { writers.removeFirst() }
        writers.append((part, writer))
    }

    private static func result(of error: ImageError) -> ImageWriteResult {
        switch error.code {
        case .corrupt, .truncated, .tooLarge, .notAnImage: .corrupt
        default: .failed(reason: error.description)
        }
    }
}

import Cluster
import Model

/// The images that exist in a world: what each consists of.
struct ImageLibrary {
    /// One image: its manifest comes first among the parts.
    struct Image {
        var name: ImageName
        var digest: ImageDigest
        var parts: [ImageDigest]
    }

    let images: [Image]
    private let content: [ImageDigest: [UInt8]]

    /// How many images a world has.
    static let count = 3
    /// How much of a part one excerpt holds: small, so that many are needed.
    static let excerptSizeBytes = 400

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var images: [Image] = []
        var content: [ImageDigest: [UInt8]] = [:]
        for index in 0..<ImageLibrary.count {
            let parts = (0..<3).compactMap { _ in ImageDigest(random.bytes(ImageDigest.sizeBytes)) }
            for part in parts { content[part] = random.bytes(random.index(below: 1_500)) }
            guard let name = ImageName("app-\(index)"), let digest = parts.first else { continue }
            images.append(Image(name: name, digest: digest, parts: parts))
        }
        self.images = images
        self.content = content
    }

    func image(_ digest: ImageDigest) -> Image? { images.first { $0.digest == digest } }

    func bytes(of part: ImageDigest) -> [UInt8] { content[part] ?? [] }
}

/// One machine's image store; it outlives daemon and machine, not the disk.
struct VirtualImages {
    private var present: Set<ImageDigest> = []
    private var partial: [ImageDigest: [UInt8]] = [:]

    /// Puts a whole image in.
    mutating func add(_ image: ImageLibrary.Image) { present.formUnion(image.parts) }

    func isComplete(_ image: ImageLibrary.Image) -> Bool { present.isSuperset(of: image.parts) }

    mutating func perform(
        _ command: ImageStoreCommand, library: ImageLibrary, isFull: Bool
    ) -> ImageStoreEvent {
        switch command {
        case .check(let digest):
            return .stock(digest, stock(digest, library))
        case .read(let read, let part, let offset):
            let bytes = library.bytes(of: part)
            guard present.contains(part), offset <= bytes.count else { return .read(read, nil) }
            let excerpt = bytes[Int(offset)...].prefix(ImageLibrary.excerptSizeBytes)
            return .read(
                read,
                ImageChunk(
                    offset: offset, bytes: Array(excerpt), totalBytes: UInt64(bytes.count)))
        case .write(let image, let part, let chunk):
            return .written(
                image: image, part: part, write(part, chunk, library: library, isFull: isFull))
        }
    }

    private func stock(_ digest: ImageDigest, _ library: ImageLibrary) -> ImageStock {
        func part(_ part: ImageDigest, sizeBytesMax: UInt64) -> ImagePart {
            ImagePart(
                digest: part, sizeBytesMax: sizeBytesMax,
                presentBytes: UInt64(partial[part]?.count ?? 0))
        }
        guard present.contains(digest), let image = library.image(digest) else {
            return .lacks([part(digest, sizeBytesMax: ImagePart.manifestSizeBytesMax)])
        }
        let missing = image.parts.filter { !present.contains($0) }
        guard !missing.isEmpty else { return .complete }
        return .lacks(
            missing.map { part($0, sizeBytesMax: UInt64(library.bytes(of: $0).count)) })
    }

    private mutating func write(
        _ part: ImageDigest, _ chunk: ImageChunk, library: ImageLibrary, isFull: Bool
    ) -> ImageWriteResult {
        guard !isFull else { return .failed(reason: "no space left on device") }
        var bytes = Array((partial[part] ?? []).prefix(Int(chunk.offset)))
        bytes += chunk.bytes
        guard UInt64(bytes.count) >= chunk.totalBytes else {
            partial[part] = bytes
            return .stored(next: UInt64(bytes.count))
        }
        partial[part] = nil
        guard bytes == library.bytes(of: part) else { return .corrupt }
        present.insert(part)
        return .finished
    }
}

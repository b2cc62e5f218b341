import Model

@testable import Cluster

/// A few nodes' images with stores in memory, and a network that a test may cut.
final class ImageBench {
    /// What one node's store holds of each part.
    struct Store {
        var parts: [ImageDigest: [UInt8]] = [:]
        var partial: [ImageDigest: [UInt8]] = [:]
        var failure: String?
        /// Sends other bytes than it should.
        var isDamaged = false
    }

    /// A manifest that names other parts; every part's digest is drawn from its bytes.
    struct Image {
        var digest: ImageDigest
        var parts: [[UInt8]]
    }

    private(set) var replicas: [ImageReplica] = []
    var stores: [Store] = []
    /// What each image consists of: the manifest comes first.
    private var manifests: [ImageDigest: [ImageDigest]] = [:]
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var ready: [Int: [ImageDigest]] = [:]
    private(set) var unavailable: [Int: [String]] = [:]
    private(set) var named: [RequestID] = []
    private(set) var refused: [RequestID: Refusal] = [:]
    private(set) var sentBytes = 0
    private(set) var asks: [Int] = []
    var cut: Set<Int> = []
    /// Nodes that hear everything and say nothing.
    var mute: Set<Int> = []
    private var queue: [(from: Int, to: Int, bytes: [UInt8])] = []
    private var lastRequest: UInt64 = 0

    init(_ count: Int) {
        for index in 0..<count {
            replicas.append(
                ImageReplica(
                    node: ImageBench.id(index), restored: DurableImage(), seed: UInt64(index) + 7,
                    at: now))
            stores.append(Store())
        }
        share()
    }

    static func id(_ index: Int) -> NodeID { NodeID(Wide128(high: 0, low: UInt64(index) + 1)) }

    /// Stands for SHA-256: what matters is that other bytes have another name.
    static func digest(_ bytes: [UInt8]) -> ImageDigest {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var generator = SeededGenerator(seed: hash)
        let all = (0..<32).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        guard let digest = ImageDigest(all) else { fatalError("32 bytes are a digest") }
        return digest
    }

    /// An image of a manifest and parts of these sizes.
    func image(_ seed: UInt8, parts sizes: [Int]) -> Image {
        let parts = sizes.enumerated().map { index, size in
            (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index) ^ seed }
        }
        let digests = parts.map(ImageBench.digest)
        let manifest = digests.flatMap(\.bytes)
        let digest = ImageBench.digest(manifest)
        manifests[digest] = digests
        return Image(digest: digest, parts: [manifest] + parts)
    }

    func importImage(_ image: Image, as name: String, on index: Int) -> RequestID {
        for part in image.parts { stores[index].parts[ImageBench.digest(part)] = part }
        return setName(name, image.digest, on: index)
    }

    func setName(_ name: String, _ digest: ImageDigest?, on index: Int) -> RequestID {
        lastRequest += 1
        guard let name = ImageName(name) else { fatalError("\(name) is no name") }
        let wall = WallTime(milliseconds: now.nanoseconds / 1_000_000)
        step(
            index,
            .name(RequestID(lastRequest), name, digest, sizeBytes: 1, wall: wall))
        return RequestID(lastRequest)
    }

    func need(_ digest: ImageDigest, on index: Int) { step(index, .need(digest)) }

    func has(_ image: Image, _ index: Int) -> Bool {
        image.parts.allSatisfy { stores[index].parts[ImageBench.digest($0)] == $0 }
    }

    /// Tells everybody who is in reach.
    func share() {
        for index in replicas.indices {
            let isCut = cut.contains(index)
            let peers = replicas.indices.filter { $0 != index && !isCut && !cut.contains($0) }
            step(index, .peers(peers.map(ImageBench.id)))
        }
    }

    func run(for span: Duration) {
        let end = now + span
        deliver()
        while let next = replicas.compactMap(\.nextDeadline).min(), next <= end {
            now = max(now, next)
            for index in replicas.indices {
                if let due = replicas[index].nextDeadline, due <= now {
                    step(index, .deadlineReached)
                }
            }
            deliver()
        }
        now = end
    }

    func inject(_ bytes: [UInt8], from: Int, to: Int) {
        step(to, .received(bytes, from: ImageBench.id(from)))
        deliver()
    }

    private func deliver() {
        while !queue.isEmpty {
            let (from, to, bytes) = queue.removeFirst()
            guard !cut.contains(from), !cut.contains(to), !mute.contains(from) else { continue }
            sentBytes += bytes.count
            if case .ask? = try? ImageMessage(decoding: bytes) { asks.append(to) }
            step(to, .received(bytes, from: ImageBench.id(from)))
        }
    }

    private func step(_ index: Int, _ event: ImageEvent) {
        var events = [event]
        while !events.isEmpty {
            var effects: [ImageEffect] = []
            replicas[index].handle(events.removeFirst(), at: now) { effects.append($0) }
            for effect in effects {
                switch effect {
                case .send(let bytes, let peer):
                    if let to = replicas.firstIndex(where: { $0.node == peer }) {
                        queue.append((index, to, bytes))
                    }
                case .persist(_, let ticket):
                    events.append(.persisted(ticket, isDone: stores[index].failure == nil))
                case .store(let command):
                    events.append(.store(perform(command, on: index)))
                case .ready(let digest): ready[index, default: []].append(digest)
                case .unavailable(_, let reason):
                    unavailable[index, default: []].append(reason)
                case .named(let request): named.append(request)
                case .refused(let request, let refusal): refused[request] = refusal
                case .dropped: break
                }
            }
        }
    }

    private func perform(_ command: ImageStoreCommand, on index: Int) -> ImageStoreEvent {
        switch command {
        case .check(let digest):
            guard stores[index].parts[digest] != nil else {
                let size = stores[index].partial[digest]?.count ?? 0
                return .stock(
                    digest,
                    .lacks([
                        ImagePart(
                            digest: digest, sizeBytesMax: ImagePart.manifestSizeBytesMax,
                            presentBytes: UInt64(size))
                    ]))
            }
            let missing = (manifests[digest] ?? []).filter { stores[index].parts[$0] == nil }
            guard !missing.isEmpty else { return .stock(digest, .complete) }
            return .stock(
                digest,
                .lacks(
                    missing.map {
                        ImagePart(
                            digest: $0, sizeBytesMax: 4 << 20,
                            presentBytes: UInt64(stores[index].partial[$0]?.count ?? 0))
                    }))
        case .read(let read, let part, let offset):
            guard let bytes = stores[index].parts[part], offset <= bytes.count else {
                return .read(read, nil)
            }
            var excerpt = Array(bytes[Int(offset)...].prefix(ImageChunk.sizeBytesMax))
            if stores[index].isDamaged, !excerpt.isEmpty { excerpt[0] ^= 1 }
            return .read(
                read,
                ImageChunk(offset: offset, bytes: excerpt, totalBytes: UInt64(bytes.count)))
        case .write(let image, let part, let chunk):
            return .written(image: image, part: part, write(part, chunk, on: index))
        }
    }

    private func write(
        _ part: ImageDigest, _ chunk: ImageChunk, on index: Int
    ) -> ImageWriteResult {
        if let failure = stores[index].failure { return .failed(reason: failure) }
        var bytes = Array((stores[index].partial[part] ?? []).prefix(Int(chunk.offset)))
        bytes += chunk.bytes
        guard bytes.count == chunk.totalBytes else {
            stores[index].partial[part] = bytes
            return .stored(next: UInt64(bytes.count))
        }
        stores[index].partial[part] = nil
        guard ImageBench.digest(bytes) == part else { return .corrupt }
        stores[index].parts[part] = bytes
        return .finished
    }
}

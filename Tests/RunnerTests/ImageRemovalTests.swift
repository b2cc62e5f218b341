import Foundation
import Model
import Synchronization
import Testing

@testable import Runner

/// What goes, and what stays.
@Suite struct ImageRemovalTests {
    /// A clock that tests move.
    final class Clock: Sendable {
        private let seconds = Mutex(1_000)
        func advance(by seconds: Int = 100) { self.seconds.withLock { $0 += seconds } }
        var now: Int64 { seconds.withLock { Int64($0) * 1_000_000_000 } }
    }

    private func layer(_ name: String, size: Int = 10_000) -> [UInt8] {
        TarBuilder.archive { $0.file(name, String(repeating: "x", count: size)) }
    }

    /// A store with images `a`, `b` and `c`, used in this order; `a` and `b` share a layer.
    private func bench(_ clock: Clock) async throws -> (ImageBench, ImageStore, [ImageDigest]) {
        let bench = try ImageBench()
        let store = try bench.reopen { clock.now }
        var images: [ImageDigest] = []
        for (name, layers) in [("a", ["base", "a"]), ("b", ["base", "b"]), ("c", ["c"])] {
            let layout = try bench.layout(name, layers: layers.map { layer($0) })
            images.append(try await store.import(layout, as: imageName(name)))
            clock.advance()
        }
        return (bench, store, images)
    }

    @Test func `the longest unused go first, and take only what nobody else needs`() async throws {
        let clock = Clock()
        let (bench, store, images) = try await bench(clock)
        defer { withExtendedLifetime(bench) {} }
        _ = try await store.unpack(images[0])
        clock.advance()
        let full = try await store.sizeBytes()
        #expect(try await store.prune(keeping: [], limitBytes: full).images.isEmpty)
        let removal = try await store.prune(keeping: [], limitBytes: full - 1)
        #expect(removal.images == [images[1]])
        #expect(removal.names == [try imageName("b")])
        #expect(removal.sizeBytesBefore == full)
        let left = try await store.sizeBytes()
        #expect(removal.sizeBytesAfter == left)
        // The shared layer is still there.
        #expect(try await store.missingBlobs(of: images[0]).isEmpty)
        #expect(store.resolve(try imageName("b")) == nil)
        let rest = try await store.prune(keeping: [], limitBytes: 0)
        #expect(rest.sizeBytesAfter == 0)
        #expect(bench.contents() == ["/names.json"])
    }

    @Test func `what is in use stays, and what has no name goes first`() async throws {
        let clock = Clock()
        let (bench, store, images) = try await bench(clock)
        defer { withExtendedLifetime(bench) {} }
        try await store.setName(imageName("c"), to: images[0])
        let first = try await store.prune(
            keeping: [images[1]], limitBytes: store.sizeBytes() - 1)
        #expect(first.images == [images[2]])
        let spared = try await store.prune(keeping: [images[1]], limitBytes: 0, sparesNamed: true)
        #expect(spared.images.isEmpty)
        let second = try await store.prune(keeping: [images[1]], limitBytes: 0)
        #expect(second.images == [images[0]])
        #expect(second.names == [try imageName("a"), try imageName("c")])
        #expect(try await store.missingBlobs(of: images[1]).isEmpty)
    }

    @Test func `an image goes with its last name, unless it is in use`() async throws {
        let clock = Clock()
        let (bench, store, images) = try await bench(clock)
        defer { withExtendedLifetime(bench) {} }
        try await store.setName(imageName("a2"), to: images[0])
        #expect(try await store.remove(imageName("a2"), keeping: [])?.images.isEmpty == true)
        _ = try await store.unpack(images[0])
        #expect(try await store.remove(imageName("a"), keeping: [])?.images == [images[0]])
        #expect(store.unpackedRoot(of: images[0]) == nil)
        #expect(Files.names(in: store.directory + "/trash").isEmpty)
        #expect(
            try await store.remove(imageName("b"), keeping: [images[1]])?.images.isEmpty == true)
        #expect(try await store.list().map(\.digest) == [images[1], images[2]].sorted())
    }

    @Test func `the last use survives the process`() async throws {
        let clock = Clock()
        let (bench, store, images) = try await bench(clock)
        defer { withExtendedLifetime(bench) {} }
        try await store.touch(images[0])
        let later = try bench.reopen { clock.now }
        let removal = try await later.prune(keeping: [], limitBytes: later.sizeBytes() - 1)
        #expect(removal.images == [images[1]])
    }

    @Test func `an image that a peer is sending is not removed`() async throws {
        let giver = try ImageBench()
        let taker = try ImageBench()
        let image = try await giver.image("a", layers: [layer("a")])
        try await taker.store.receive(manifest: giver.store.manifest(image), of: image)
        let blob = try #require(try await taker.store.missingBlobs(of: image).first)
        do {
            let writer = try await taker.store.writer(for: blob.digest, of: image)
            #expect(try await taker.store.prune(keeping: [], limitBytes: 0).images.isEmpty)
            try await writer.append([1])
        }
        #expect(try await taker.store.prune(keeping: [], limitBytes: 0).images == [image])
        // What had come of it goes with it.
        #expect(Files.names(in: taker.store.directory + "/incoming").isEmpty)
    }

    @Test func `who is about to use an image can hold it`() async throws {
        let bench = try ImageBench()
        let image = try await bench.image("a", layers: [layer("a")])
        try await bench.store.hold(image)
        try await bench.store.hold(image)
        bench.store.letGo(image)
        #expect(try await bench.store.prune(keeping: [], limitBytes: 0).images.isEmpty)
        bench.store.letGo(image)
        #expect(try await bench.store.prune(keeping: [], limitBytes: 0).images == [image])
        #expect(await imageFailure { try await bench.store.hold(image) } == .notFound)
        #expect(bench.store.holds.isEmpty)
    }

    @Test(arguments: [(4_096, nil), (4_097, ImageError.Code.tooLarge)])
    func `what is sent has a bound, and is gone afterwards`(
        size: Int, refusal: ImageError.Code?
    ) async throws {
        let bench = try ImageBench()
        let pieces = AsyncThrowingStream<[UInt8], any Error> { pieces in
            pieces.yield([UInt8](repeating: 1, count: 4_000))
            pieces.yield([UInt8](repeating: 1, count: size - 4_000))
            pieces.finish()
        }
        let code = await imageFailure {
            try await bench.store.withUpload(of: pieces, sizeBytesMax: 4_096) { path in
                #expect(Files.read(path)?.count == size)
            }
        }
        #expect(code == refusal)
        #expect(Files.names(in: bench.store.directory + "/work").isEmpty)
    }

    @Test func `removing, unpacking and importing at the same time end in one of two ways`()
        async throws
    {
        let bench = try ImageBench()
        let layout = try bench.layout("a", layers: [layer("a"), layer("b")])
        let name = try imageName("a")
        let image = try await bench.store.import(layout, as: name)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<10 {
                group.addTask {
                    _ = try await bench.store.prune(keeping: [], limitBytes: 0)
                }
                group.addTask {
                    // An import under way is whole when it ends, or its image was removed since.
                    _ = try await bench.store.import(layout, as: name)
                }
                group.addTask {
                    let code = await imageFailure { _ = try await bench.store.unpack(image) }
                    #expect(code == nil || code == .notFound)
                }
            }
            try await group.waitForAll()
        }
        #expect(bench.store.holds.isEmpty && bench.store.receiving.isEmpty)
        for summary in try await bench.store.list() { #expect(summary.isComplete) }
        _ = try await bench.store.prune(keeping: [], limitBytes: 0)
        #expect(bench.contents() == ["/names.json"])
    }
}

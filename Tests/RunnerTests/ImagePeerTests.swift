import Foundation
import Glibc
import Model
import Testing

@testable import Runner

/// An image goes from one node's store to another's.
@Suite struct ImagePeerTests {
    static let layer = TarBuilder.archive {
        $0.file("tool", String(repeating: "x", count: 100_000))
    }

    /// Brings what is missing of an image over, in pieces.
    private func copy(
        _ image: ImageDigest, from giver: ImageStore, to taker: ImageStore, piece: Int = 10_000
    ) async throws {
        try await taker.receive(manifest: giver.manifest(image), of: image)
        for blob in try await taker.missingBlobs(of: image) {
            let writer = try await taker.writer(for: blob.digest, of: image)
            while writer.offset < blob.sizeBytes {
                try await writer.append(
                    giver.read(blob.digest, offset: writer.offset, count: piece))
            }
            try await writer.finish()
        }
    }

    @Test func `an image that one node has runs on another`() async throws {
        let giver = try ImageBench()
        let taker = try ImageBench()
        let image = try await giver.image(
            "a", layers: [Self.layer, ImageStoreTests.small], configuration: #"{"Cmd":["x"]}"#)
        try await copy(image, from: giver.store, to: taker.store)
        #expect(try await taker.store.missingBlobs(of: image).isEmpty)
        let root = try await taker.store.unpack(image)
        #expect(taker.text(root, "tool")?.count == 100_000)
        #expect(try await taker.store.configuration(image).command == ["x"])
        try await taker.store.setName(imageName("a"), to: image)
        #expect(taker.store.resolve(try imageName("a")) == image)
        #expect(Files.names(in: taker.store.directory + "/incoming").isEmpty)
    }

    @Test func `a blob goes on where the last writer stopped`() async throws {
        let giver = try ImageBench()
        let taker = try ImageBench()
        let image = try await giver.image("a", layers: [Self.layer])
        try await taker.store.receive(manifest: giver.store.manifest(image), of: image)
        let blob = ImageDigest(of: Self.layer)
        do {
            let writer = try await taker.store.writer(for: blob, of: image)
            try await writer.append(Array(Self.layer[..<50_000]))
            #expect(await imageFailure { try await writer.finish() } == .truncated)
            #expect(
                await imageFailure { _ = try await taker.store.writer(for: blob, of: image) }
                    == .busy)
        }
        let second = try await taker.store.writer(for: blob, of: image)
        #expect(second.offset == 50_000)
        try await second.append(Array(Self.layer[50_000...]))
        #expect(try await taker.store.missingBlobs(of: image).count == 2)
        try await second.finish()
        #expect(try await taker.store.missingBlobs(of: image).count == 1)
        #expect(await imageFailure { try await second.append([1]) } == .failed)
    }

    @Test func `what is not announced, or is something else, is thrown away`() async throws {
        let giver = try ImageBench()
        let taker = try ImageBench()
        let image = try await giver.image("a", layers: [Self.layer])
        let manifest = try await giver.store.manifest(image)
        #expect(
            await imageFailure {
                try await taker.store.receive(manifest: manifest + [0x20], of: image)
            } == .corrupt)
        let text = Array("{}".utf8)
        #expect(
            await imageFailure {
                try await taker.store.receive(manifest: text, of: ImageDigest(of: text))
            } == .notAnImage)
        #expect(taker.contents().isEmpty)
        let blob = ImageDigest(of: Self.layer)
        #expect(
            await imageFailure { _ = try await taker.store.writer(for: blob, of: image) }
                == .notFound)
        try await taker.store.receive(manifest: manifest, of: image)
        #expect(
            await imageFailure { _ = try await taker.store.writer(for: image, of: image) }
                == .notFound)
        do {
            let writer = try await taker.store.writer(for: blob, of: image)
            try await writer.append(Self.layer)
            #expect(await imageFailure { try await writer.append([1]) } == .tooLarge)
            #expect(await imageFailure { try await writer.finish() } == .failed)
        }
        do {
            let writer = try await taker.store.writer(for: blob, of: image)
            #expect(writer.offset == 0)
            try await writer.append([1] + Self.layer.dropFirst())
            #expect(await imageFailure { try await writer.finish() } == .corrupt)
        }
        #expect(Files.names(in: taker.store.directory + "/incoming").isEmpty)
        #expect(Files.names(in: taker.store.directory + "/blobs/sha256") == [image.hex])
        #expect(await imageFailure { _ = try await taker.store.unpack(image) } == .incomplete)
    }

    @Test func `a half blob does not outlive the process`() async throws {
        let giver = try ImageBench()
        let taker = try ImageBench()
        let image = try await giver.image("a", layers: [Self.layer])
        try await taker.store.receive(manifest: giver.store.manifest(image), of: image)
        let blob = ImageDigest(of: Self.layer)
        let writer = try await taker.store.writer(for: blob, of: image)
        try await writer.append([1, 2, 3])
        let later = try taker.reopen()
        #expect(Files.names(in: later.directory + "/incoming").isEmpty)
        // The image is still known, and can be completed.
        let fresh = try await later.writer(for: blob, of: image)
        #expect(fresh.offset == 0)
    }

    @Test func `reads are bounded, and end at the end`() async throws {
        let bench = try ImageBench()
        let image = try await bench.image("a", layers: [Self.layer])
        let blob = ImageDigest(of: Self.layer)
        let size = UInt64(Self.layer.count)
        let store = bench.store
        #expect(try await store.read(blob, offset: 0, count: .max) == Self.layer)
        #expect(try await store.read(blob, offset: size - 1, count: 5).count == 1)
        #expect(try await store.read(blob, offset: size, count: 5).isEmpty)
        #expect(try await store.read(blob, offset: .max, count: 5).isEmpty)
        #expect(try await store.read(blob, offset: UInt64(Int64.max), count: 5).isEmpty)
        #expect(try await store.read(blob, offset: 0, count: -1).isEmpty)
        let stranger = ImageDigest(of: [9])
        #expect(
            await imageFailure { _ = try await store.read(stranger, offset: 0, count: 1) }
                == .notFound)
        let large = [UInt8](repeating: 7, count: ImageStore.readSizeBytesMax + 1)
        try Files.write(large, to: "\(store.directory)/blobs/sha256/\(blob.hex)")
        #expect(
            try await store.read(blob, offset: 0, count: .max).count == ImageStore.readSizeBytesMax)
        // A peer that complains has it hashed.
        #expect(await imageFailure { try await store.verify(blob) } == .corrupt)
        #expect(try await store.missingBlobs(of: image).map(\.digest) == [blob])
    }

    @Test func `no more blobs come at a time than the bound`() async throws {
        var limits = ImageLimits()
        limits.writersMax = 1
        let giver = try ImageBench()
        let taker = try ImageBench(limits: limits)
        let image = try await giver.image("a", layers: [Self.layer])
        try await taker.store.receive(manifest: giver.store.manifest(image), of: image)
        let blobs = try await taker.store.missingBlobs(of: image).map(\.digest)
        let first = try await taker.store.writer(for: blobs[0], of: image)
        #expect(
            await imageFailure { _ = try await taker.store.writer(for: blobs[1], of: image) }
                == .busy)
        withExtendedLifetime(first) {}
    }
}

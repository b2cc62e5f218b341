import Cluster
import Foundation
import Model
import Runner
import Testing

@testable import Daemon

/// What a node takes in of images at a time.
struct ImageDeskTests {
    @Test func `of one manifest too many the longest unused one begins anew`() async throws {
        let bench = try DeskBench()
        let images = (0...ImageDesk.incomingMax).map { ImageDigest(of: [UInt8($0)]) }
        for image in images.dropLast() {
            #expect(await bench.write(to: image, of: image, from: 0) == .stored(next: 3))
        }
        // There may be so many: each goes on.
        for image in images.dropLast() {
            #expect(await bench.write(to: image, of: image, from: 3) == .stored(next: 6))
        }
        let one = images[ImageDesk.incomingMax]
        #expect(await bench.write(to: one, of: one, from: 0) == .stored(next: 3))
        #expect(await bench.write(to: images[1], of: images[1], from: 6) == .stored(next: 9))
        #expect(await bench.write(to: images[0], of: images[0], from: 6) == .stored(next: 0))
    }

    @Test func `of one blob too many the longest unused one is free for others`() async throws {
        let bench = try DeskBench()
        let blobs = (0...ImageDesk.incomingMax).map { ImageDigest(of: [UInt8($0)]) }
        let image = try await bench.receive(manifestOf: blobs)
        for blob in blobs.dropLast() {
            #expect(await bench.write(to: blob, of: image, from: 0) == .stored(next: 3))
        }
        for blob in blobs.dropLast() { #expect(await !bench.isFree(blob, of: image)) }
        let one = blobs[ImageDesk.incomingMax]
        #expect(await bench.write(to: one, of: image, from: 0) == .stored(next: 3))
        #expect(await bench.isFree(blobs[0], of: image))
        for blob in blobs.dropFirst() { #expect(await !bench.isFree(blob, of: image)) }
        // What has come of it is still there.
        #expect(await bench.write(to: blobs[0], of: image, from: 0) == .stored(next: 3))
        #expect(await bench.write(to: blobs[0], of: image, from: 3) == .stored(next: 6))
    }
}

/// A desk with a store in a directory of its own.
private final class DeskBench: Sendable {
    let desk: ImageDesk
    private let folder: String

    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/magpie-desk-\(UUID())"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        desk = ImageDesk(store: try ImageStore(directory: "\(folder)/images"))
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Writes three bytes of a hundred.
    func write(
        to part: ImageDigest, of image: ImageDigest, from offset: UInt64
    ) async -> ImageWriteResult? {
        let chunk = ImageChunk(offset: offset, bytes: [1, 2, 3], totalBytes: 100)
        let event = await desk.perform(.write(image: image, part: part, chunk))
        guard case .written(image, part, let result) = event else { return nil }
        return result
    }

    /// Has the store know an image with these layers, none of which is there.
    func receive(manifestOf layers: [ImageDigest]) async throws -> ImageDigest {
        let described = layers.map {
            #"{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"\#($0)","size":100}"#
        }
        let config = ImageDigest(of: [])
        let manifest = Array(
            (#"{"schemaVersion":2,"config":{"#
                + #""mediaType":"application/vnd.oci.image.config.v1+json","digest":"\#(config)","#
                + #""size":100},"layers":[\#(described.joined(separator: ","))]}"#).utf8)
        let image = ImageDigest(of: manifest)
        try await desk.store.receive(manifest: manifest, of: image)
        return image
    }

    /// Whether somebody else may take a blob in.
    func isFree(_ blob: ImageDigest, of image: ImageDigest) async -> Bool {
        (try? await desk.store.writer(for: blob, of: image)) != nil
    }
}

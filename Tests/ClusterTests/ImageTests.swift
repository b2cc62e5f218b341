import Model
import Testing

@testable import Cluster

/// Names of images, and getting images from other nodes.
@Suite struct ImageTests {
    // MARK: Names

    @Test(arguments: [
        ("busybox", "busybox:latest"), ("team/tool:1.2", "team/tool:1.2"),
        ("registry.example:5000/a/b-c_d.e:v1", "registry.example:5000/a/b-c_d.e:v1"),
        ("localhost/tool", "localhost/tool:latest"), ("a:A_1.b-2", "a:A_1.b-2"),
    ])
    func `names are read, and get a tag`(text: String, whole: String) throws {
        #expect(ImageName(text)?.description == whole)
    }

    @Test(arguments: [
        "", ":", "Busybox", "a//b", "/a", "a/", "a b", "a:", "a:-x", "-a", "a-", "a:b:c", "ä",
        "host.example/", "a@sha256",
    ])
    func `what is no name is refused`(text: String) throws {
        #expect(ImageName(text) == nil)
    }

    @Test func `a name and a tag may be as long as their bounds and no longer`() throws {
        let tag = String(repeating: "t", count: ImageName.tagLengthMax)
        #expect(ImageName("a:" + tag) != nil)
        #expect(ImageName("a:t" + tag) == nil)
        let rest = ImageName.repositoryLengthMax
        #expect(ImageName(String(repeating: "a", count: rest)) != nil)
        #expect(ImageName(String(repeating: "a", count: rest + 1)) == nil)
    }

    @Test func `a digest is read as it is written`() throws {
        let digest = ImageBench.digest([1, 2, 3])
        #expect(ImageDigest(digest.description) == digest)
        #expect(ImageDigest(digest.description.uppercased()) == nil)
        #expect(ImageDigest(String(digest.description.dropLast())) == nil)
        #expect(ImageDigest(Array(repeating: 0, count: 31)) == nil)
    }

    // MARK: The catalog

    private func catalog(_ random: inout SeededGenerator) -> ImageCatalog {
        var catalog = ImageCatalog()
        for _ in 0..<Int.random(in: 0..<6, using: &random) {
            let name = ["a", "b", "c"].randomElement(using: &random) ?? "a"
            let digest =
                Bool.random(using: &random)
                ? ImageBench.digest([UInt8.random(in: 0..<3, using: &random)]) : nil
            let entry = ImageEntry(
                digest: digest, sizeBytes: UInt64.random(in: 0..<2, using: &random),
                stamp: UInt64.random(in: 0..<3, using: &random),
                node: ImageBench.id(Int.random(in: 0..<2, using: &random)))
            guard let name = ImageName(name) else { continue }
            _ = catalog.join(ImageCatalog.Row(name: name, entry: entry))
        }
        return catalog
    }

    private func joined(_ left: ImageCatalog, _ right: ImageCatalog) -> ImageCatalog {
        right.rows.reduce(into: left) { _ = $0.join($1) }
    }

    @Test func `joins commute, associate and repeat without effect, fingerprints included`() {
        for seed in 0..<500 {
            var random = SeededGenerator(seed: UInt64(seed))
            let (a, b, c) = (catalog(&random), catalog(&random), catalog(&random))
            #expect(joined(a, b) == joined(b, a), "seed \(seed)")
            #expect(joined(joined(a, b), c) == joined(a, joined(b, c)), "seed \(seed)")
            #expect(joined(a, a) == a, "seed \(seed)")
            #expect(joined(joined(a, b), b) == joined(a, b), "seed \(seed)")
        }
    }

    @Test func `a row is read as it was written, and noise is refused`() throws {
        for seed in 0..<300 {
            var random = SeededGenerator(seed: UInt64(seed))
            for row in catalog(&random).rows {
                let bytes = row.encoded
                #expect(try ImageCatalog.Row(decoding: bytes) == row)
                for length in bytes.indices {
                    #expect(throws: CodecError.self) {
                        try ImageCatalog.Row(decoding: Array(bytes[..<length]))
                    }
                }
            }
            let noise = (0..<Int.random(in: 0..<80, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            _ = try? ImageMessage(decoding: noise)
        }
    }

    @Test func `a name beyond the bound is refused, and known ones still change`() throws {
        let bench = ImageBench(1)
        let image = bench.image(1, parts: [10])
        for index in 0..<ImageCatalog.namesMax {
            _ = bench.setName("name\(index)", image.digest, on: 0)
        }
        #expect(bench.refused.isEmpty)
        let late = bench.setName("late", image.digest, on: 0)
        #expect(bench.refused[late]?.code == .overloaded)
        let known = bench.setName("name7", nil, on: 0)
        #expect(bench.named.contains(known))
    }

    @Test func `names reach everybody, a later change wins, and a removal stays`() throws {
        let bench = ImageBench(5)
        let (old, new) = (bench.image(1, parts: [10]), bench.image(2, parts: [10]))
        let first = bench.importImage(old, as: "app", on: 0)
        #expect(bench.named.contains(first))
        bench.run(for: .seconds(1))
        bench.cut = [4]
        bench.share()
        _ = bench.importImage(new, as: "app", on: 1)
        bench.run(for: .seconds(60))
        _ = bench.setName("app", nil, on: 2)
        bench.run(for: .seconds(1))
        bench.cut = []
        bench.share()
        bench.run(for: .seconds(60))
        let name = try #require(ImageName("app"))
        for replica in bench.replicas {
            #expect(replica.catalog[name]?.digest == nil)
            #expect(replica.catalog.count == 1)
        }
        let again = bench.setName("app", nil, on: 3)
        #expect(bench.refused[again]?.code == .notFound)
    }

    @Test func `a cluster without images says nothing about them`() {
        let bench = ImageBench(5)
        bench.run(for: .seconds(600))
        #expect(bench.sentBytes == 0)
    }

    // MARK: Getting images

    @Test func `an image that was imported on one node is got by another`() throws {
        let bench = ImageBench(3)
        let image = bench.image(3, parts: [100, 3 * ImageChunk.sizeBytesMax + 5, 0])
        _ = bench.importImage(image, as: "app", on: 0)
        bench.need(image.digest, on: 2)
        bench.run(for: .seconds(1))
        #expect(bench.ready[2] == [image.digest])
        #expect(bench.has(image, 2))
    }

    @Test func `the image outlives the node that had it first`() throws {
        let bench = ImageBench(6)
        let image = bench.image(4, parts: [1_000])
        _ = bench.importImage(image, as: "app", on: 0)
        bench.run(for: .seconds(40))
        let holders = bench.replicas.indices.filter { bench.has(image, $0) }
        #expect((2...3).contains(holders.count), "it is on \(holders)")
        bench.cut = [0]
        bench.share()
        bench.run(for: .seconds(40))
        #expect(bench.replicas.indices.count { $0 != 0 && bench.has(image, $0) } == 2)
        let last = try #require(bench.replicas.indices.last { !bench.has(image, $0) })
        bench.need(image.digest, on: last)
        bench.run(for: .seconds(1))
        #expect(bench.ready[last] == [image.digest])
    }

    @Test func `a source that is silent, damaged or gone is passed over`() throws {
        let bench = ImageBench(4)
        let image = bench.image(5, parts: [2 * ImageChunk.sizeBytesMax, 70])
        for index in 1..<4 {
            for part in image.parts { bench.stores[index].parts[ImageBench.digest(part)] = part }
        }
        bench.stores[1].isDamaged = true
        bench.mute = [2]
        bench.need(image.digest, on: 0)
        bench.run(for: .seconds(60))
        #expect(bench.ready[0] == [image.digest])
        #expect(bench.has(image, 0))
    }

    @Test func `what nobody has is unavailable after a bounded number of questions`() throws {
        let bench = ImageBench(ImageFetch.sourcesMax + 8)
        let image = bench.image(6, parts: [10])
        bench.need(image.digest, on: 0)
        bench.run(for: .seconds(1))
        #expect(bench.unavailable[0]?.count == 1)
        #expect(bench.asks.count == ImageFetch.sourcesMax)
        #expect(bench.replicas[0].fetches.isEmpty)
    }

    @Test func `a store that is full ends the fetch, and says why`() throws {
        let bench = ImageBench(2)
        let image = bench.image(7, parts: [10])
        _ = bench.importImage(image, as: "app", on: 0)
        bench.stores[1].failure = "no space left"
        bench.need(image.digest, on: 1)
        bench.run(for: .seconds(1))
        #expect(bench.unavailable[1] == ["no space left"])
    }

    @Test func `a part that a peer calls too large is not taken`() throws {
        let bench = ImageBench(2)
        let image = bench.image(8, parts: [10])
        let big = [UInt8](repeating: 1, count: Int(ImagePart.manifestSizeBytesMax) + 1)
        bench.stores[1].parts[image.digest] = big
        bench.need(image.digest, on: 0)
        bench.run(for: .seconds(1))
        #expect(bench.unavailable[0]?.count == 1)
        #expect(bench.stores[0].partial.isEmpty)
    }

    @Test func `only so many fetches run at once, and needed ones go first`() throws {
        let bench = ImageBench(2)
        bench.mute = [1]
        let images = (0..<UInt8(ImageFetch.activeMax + 2)).map { bench.image($0, parts: [10]) }
        for image in images { bench.need(image.digest, on: 0) }
        bench.run(for: .seconds(1))
        #expect(bench.asks.count == ImageFetch.activeMax)
        #expect(bench.replicas[0].waiting.count == 2)
    }

    @Test func `only so many readings are served at once`() {
        var replica = ImageReplica(
            node: ImageBench.id(0), restored: DurableImage(), seed: 1,
            at: Instant(nanoseconds: 0))
        var reads = 0
        for index in 0...ImageFetch.servingMax {
            let ask = ImageMessage.ask(
                ImageReadID(UInt64(index)), ImageBench.digest([1]), offset: 0)
            let event = ImageEvent.received(ask.encoded, from: ImageBench.id(1))
            replica.handle(event, at: Instant(nanoseconds: 0)) {
                if case .store(.read) = $0 { reads += 1 }
            }
        }
        #expect(reads == ImageFetch.servingMax)
    }
}

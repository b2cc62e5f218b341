import Model
import Testing

@Suite struct TaggedFieldTests {
    private func fields(_ tags: [UInt64]) -> [UInt8] {
        var writer = ByteWriter()
        for tag in tags { writer.field(tag) { $0.byte(UInt8(truncatingIfNeeded: tag)) } }
        return writer.bytes
    }

    @Test(
        arguments: [
            ([1, 5, 9], []), ([], [0, 3]), ([1, 5, 9], [0, 3, 7, 200]), ([5], [6]),
            ([300], [0, 299]),
        ] as [([UInt64], [UInt64])])
    func `fields that are not known keep their place`(known: [UInt64], unknown: [UInt64]) {
        var writer = ByteWriter()
        writer.fields(fields(known), and: fields(unknown))
        #expect(writer.bytes == fields((known + unknown).sorted()))
    }

    /// Found by fuzzing: such a spec was written again with its fields out of order.
    @Test(arguments: [0, 16, 33, 53, 60] as [UInt64])
    func `a spec with a field of a newer version comes back byte for byte`(tag: UInt64) throws {
        var spec = TaskSpec(command: ["a"])
        spec.rootfs = .image(try #require(ImageName("busybox")), nil)
        spec.unknownFields = fields([tag])
        let read = try TaskSpec(decoding: spec.encoded)
        #expect(read.unknownFields == fields([tag]))
        #expect(read.encoded == spec.encoded)
    }

    @Test func `frames come out of a stream whole, wherever it is cut, up to the bound`() throws {
        let stream: [UInt8] = [0, 0, 0, 1, 7, 0, 0, 0, 3, 1, 2, 3]
        for size in 1...stream.count {
            var splitter = FrameSplitter()
            var frames: [[UInt8]] = []
            for begin in stride(from: 0, to: stream.count, by: size) {
                splitter.append(stream[begin..<min(begin + size, stream.count)])
                while let frame = try splitter.next() { frames.append(frame) }
            }
            #expect(frames == [[7], [1, 2, 3]])
            #expect(splitter.heldSizeBytes == 0)
        }
        for (size, isTooLarge) in [
            (Channel.frameSizeBytesMax, false), (4 << 20 | 1, true), (0, true),
        ] {
            var splitter = FrameSplitter()
            splitter.append((0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) })
            if isTooLarge {
                #expect(throws: FrameSplitter.Failure.wrongSize(UInt32(size))) {
                    _ = try splitter.next()
                }
            } else {
                #expect(try splitter.next() == nil)
            }
        }
    }
}

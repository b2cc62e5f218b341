import Model
import Testing

/// What a newer version has written comes back as it came.
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
}

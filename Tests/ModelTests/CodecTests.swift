import Model
import Testing

@Suite struct CodecTests {
    struct Integer: CustomTestStringConvertible, Sendable {
        let value: UInt64
        let bytes: [UInt8]
        var testDescription: String { "\(value)" }
    }

    @Test(arguments: [
        Integer(value: 0, bytes: [0]), Integer(value: 127, bytes: [127]),
        Integer(value: 128, bytes: [0x80, 1]), Integer(value: 300, bytes: [0xAC, 2]),
        Integer(
            value: .max, bytes: [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
    ])
    func `an integer has one encoding`(row: Integer) throws {
        var writer = ByteWriter()
        writer.varint(row.value)
        #expect(writer.bytes == row.bytes)
        var reader = ByteReader(row.bytes)
        #expect(try reader.varint() == row.value)
        try reader.end()
    }

    @Test func `an integer that is longer than needed is refused`() {
        var reader = ByteReader([0x80, 0x00])
        #expect(throws: CodecError.notCanonical) { try reader.varint() }
    }

    @Test func `an integer of more than 64 bits is refused`() {
        var reader = ByteReader([UInt8](repeating: 0xFF, count: 9) + [2])
        #expect(throws: CodecError.outOfBounds) { try reader.varint() }
    }

    @Test(arguments: [Int64.min, -1, 0, 1, 63, -64, .max])
    func `a signed integer comes back`(value: Int64) throws {
        var writer = ByteWriter()
        writer.signed(value)
        var reader = ByteReader(writer.bytes)
        #expect(try reader.signed() == value)
    }

    @Test func `a count at its bound is read and one past it is refused`() throws {
        var writer = ByteWriter()
        writer.blob([1, 2, 3])
        var fitting = ByteReader(writer.bytes)
        #expect(try Array(fitting.blob(max: 3)) == [1, 2, 3])
        var tight = ByteReader(writer.bytes)
        #expect(throws: CodecError.outOfBounds) { try tight.blob(max: 2) }
    }

    @Test func `a list that claims more elements than there are bytes is refused at once`() {
        var writer = ByteWriter()
        writer.varint(1_000_000)
        var reader = ByteReader(writer.bytes)
        #expect(throws: CodecError.truncated) {
            try reader.list(max: 1_000_000) { (reader) throws(CodecError) in try reader.byte() }
        }
    }

    @Test func `text that is not UTF-8 is refused`() {
        var reader = ByteReader([1, 0xFF])
        #expect(throws: CodecError.malformed) { try reader.string(max: 8) }
    }

    @Test(arguments: [0, 1, 127, 128, 16_383, 16_384])
    func `a field's size stands before its content, however long that is`(count: Int) throws {
        var writer = ByteWriter()
        writer.byte(7)
        writer.field(3) { $0.raw(Array(repeating: 5, count: count)) }
        var plain = ByteWriter()
        plain.byte(7)
        plain.varint(3)
        plain.blob(Array(repeating: UInt8(5), count: count))
        #expect(writer.bytes == plain.bytes)
    }

    @Test func `fields must rise`() {
        var writer = ByteWriter()
        writer.field(2) { $0.byte(1) }
        writer.field(1) { $0.byte(1) }
        var reader = ByteReader(writer.bytes)
        #expect(throws: CodecError.notCanonical) {
            try reader.fields { (_, content) throws(CodecError) in
                _ = content.rest()
                return true
            }
        }
    }
}

@Suite struct TaskSpecCodecTests {
    static let full: TaskSpec = {
        var spec = TaskSpec(command: ["sh", "-c", "exit 3"])
        spec.environment = ["A=1", "B=zwei"]
        spec.workingDirectory = "/tmp"
        spec.rootfs = .directory("/srv/root")
        spec.resources = Resources(cpuMillis: 1_500, memoryBytes: 1 << 30)
        spec.pidsMax = 17
        spec.volumes = [VolumeMount(source: "/data", target: "/mnt", isReadOnly: true)]
        spec.restart = .onFailure(restartsMax: 3)
        spec.onPartition = .wait
        spec.timeout = .seconds(90)
        spec.grace = .milliseconds(1_500)
        spec.constraints = ["zone=a"]
        return spec
    }()

    @Test(arguments: [TaskSpec(command: ["true"]), full])
    func `a spec comes back as it was`(spec: TaskSpec) throws {
        #expect(try TaskSpec(decoding: spec.encoded) == spec)
    }

    @Test func `unknown fields are kept and written again`() throws {
        var newer = ByteWriter()
        var current = ByteReader(TaskSpecCodecTests.full.encoded)
        newer.raw(try current.blob(max: TaskSpec.sizeBytesMax))
        newer.field(99) { $0.string("from the future") }
        var framed = ByteWriter()
        framed.blob(newer.bytes)
        let spec = try TaskSpec(decoding: framed.bytes)
        #expect(!spec.unknownFields.isEmpty)
        #expect(spec.encoded == framed.bytes)
    }

    @Test func `no truncation and no flipped bit traps`() {
        let bytes = TaskSpecCodecTests.full.encoded
        for count in 0..<bytes.count {
            #expect(throws: CodecError.self) { try TaskSpec(decoding: bytes.prefix(count)) }
        }
        for position in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[position] ^= 1 << bit
                if let spec = try? TaskSpec(decoding: flipped) {
                    #expect(spec != TaskSpecCodecTests.full)
                }
            }
        }
    }

    @Test func `random bytes never trap`() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0..<80, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if let spec = try? TaskSpec(decoding: bytes) { #expect(spec.encoded == bytes) }
        }
    }
}

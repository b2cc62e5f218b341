import Fuzzing
import Model
import Testing

/// Every decoder there is, on every encoding that is kept and on much that is not one.
@Suite struct DecoderTests {
    /// A decoder by its name, for the tests' titles.
    struct Row: CustomTestStringConvertible, Sendable {
        let decoder: ByteDecoder
        var testDescription: String { decoder.name }
    }

    static let rows = DecoderTable.all.map(Row.init)

    /// How many damaged encodings each decoder gets here; `Scripts/fuzz` gives it many more.
    private static let damagedCount = 400

    @Test(arguments: rows)
    func `what is kept is read as it was written, and some of it is accepted`(row: Row) throws {
        let encodings = try Corpus.kept.encodings(for: row.decoder)
        #expect(encodings.contains { row.decoder.accepts($0) }, "nothing real is kept")
        for bytes in encodings { #expect(row.decoder.violation(for: bytes) == nil) }
    }

    @Test(arguments: rows)
    func `every cut and every flipped bit is refused, or read as what it then says`(
        row: Row
    ) throws {
        // The largest would take long, and are damaged elsewhere.
        for bytes in try Corpus.kept.encodings(for: row.decoder) where bytes.count <= 128 {
            for count in bytes.indices {
                #expect(row.decoder.violation(for: Array(bytes.prefix(count))) == nil)
            }
            for bit in 0..<(8 * min(bytes.count, row.decoder.costsFiles ? 8 : 128)) {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(row.decoder.violation(for: damaged) == nil)
            }
        }
    }

    @Test(arguments: rows)
    func `damage of all kinds traps nothing, and breaks no promise`(row: Row) throws {
        let encodings = try Corpus.kept.encodings(for: row.decoder)
        var mutator = Mutator(seed: 5, corpus: encodings)
        for _ in 0..<(row.decoder.costsFiles ? 40 : DecoderTests.damagedCount) {
            #expect(row.decoder.violation(for: mutator.next()) == nil)
        }
    }

    @Test func `no two decoders have one name`() {
        #expect(Set(DecoderTable.all.map(\.fileName)).count == DecoderTable.all.count)
    }

    // MARK: The check itself

    @Test func `a broken promise is noticed`() {
        let sloppy = ByteDecoder("sloppy", .canonical) { $0.filter { $0 != 0 } }
        #expect(sloppy.violation(for: [1, 2]) == nil)
        #expect(sloppy.violation(for: [1, 0, 2]) != nil)
        let unsettled = ByteDecoder("unsettled", .settled) { $0 + [0] }
        #expect(unsettled.violation(for: []) != nil)
        let mute = ByteDecoder("mute", .settled) { bytes in
            guard bytes.isEmpty else { throw CodecError.malformed }
            return [1]
        }
        #expect(mute.violation(for: []) != nil)
        #expect(mute.violation(for: [2]) == nil)
    }

    @Test func `damage depends on the seed alone, stays within its size, and varies`() {
        var first = Mutator(seed: 1, corpus: [[1, 2, 3]])
        var second = Mutator(seed: 1, corpus: [[1, 2, 3]])
        var seen: Set<[UInt8]> = []
        for _ in 0..<1_000 {
            let bytes = first.next()
            #expect(bytes == second.next())
            #expect(bytes.count <= Mutator.sizeBytesMax)
            seen.insert(bytes)
        }
        #expect(seen.count > 500)
    }
}

extension ByteDecoder {
    /// Whether each reading makes files.
    fileprivate var costsFiles: Bool { name.hasPrefix("Runner.") }
}

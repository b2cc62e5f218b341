import Testing

@testable import CRDT

/// The laws of joins over seeded random values; a counterexample is shrunk to a small seed.
@Suite struct LatticeTests {
    /// SplitMix64; the CRDT module knows no other.
    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private func laws<Value: Lattice & Equatable>(
        _ name: String, _ draw: (inout Generator) -> Value
    ) {
        for seed in 0..<300 as Range<UInt64> {
            var generator = Generator(state: seed)
            let a = draw(&generator)
            let b = draw(&generator)
            let c = draw(&generator)
            func join(_ left: Value, _ right: Value) -> Value {
                var joined = left
                joined.join(right)
                return joined
            }
            #expect(join(a, b) == join(b, a), "\(name) is not commutative, seed \(seed)")
            #expect(
                join(join(a, b), c) == join(a, join(b, c)),
                "\(name) is not associative, seed \(seed)")
            #expect(join(a, a) == a, "\(name) is not idempotent, seed \(seed)")
            var grown = a
            let hasGrown = grown.join(b)
            #expect(hasGrown == (grown != a), "\(name) misjudges its growth, seed \(seed)")
            #expect(join(grown, b) == grown, "\(name) is not inflationary, seed \(seed)")
        }
    }

    private func dots(_ generator: inout Generator) -> DotSet {
        var set = DotSet()
        for _ in 0..<Int.random(in: 0..<12, using: &generator) {
            let lower = UInt64.random(in: 0..<20, using: &generator)
            set.insert(
                lower...(lower + UInt64.random(in: 0..<5, using: &generator)),
                of: UInt64.random(in: 1...2, using: &generator))
        }
        return set
    }

    @Test func `all lattices obey the laws`() {
        laws("RaisedFlag") { RaisedFlag(isRaised: Bool.random(using: &$0)) }
        laws("MaxRegister") { MaxRegister(Int.random(in: 0..<5, using: &$0)) }
        laws("TopMap") { generator in
            var map = TopMap<Int, MaxRegister<Int>>(capacity: 3)
            for _ in 0..<Int.random(in: 0..<6, using: &generator) {
                map.join(
                    MaxRegister(Int.random(in: 0..<4, using: &generator)),
                    at: Int.random(in: 0..<8, using: &generator))
            }
            return map
        }
        laws("DotSet", dots)
    }

    @Test func `a set of dots agrees with a plain set`() {
        for seed in 0..<200 as Range<UInt64> {
            var generator = Generator(state: seed)
            let left = dots(&generator)
            let right = dots(&generator)
            let all = (1...2 as ClosedRange<UInt64>).flatMap { origin in
                (0..<30 as Range<UInt64>).map { Dot(origin: origin, sequence: $0) }
            }
            var difference = DotSet()
            for (origin, interval) in left.subtracting(right) {
                difference.insert(interval, of: origin)
            }
            for dot in all {
                let expected = left.contains(dot) && !right.contains(dot)
                #expect(difference.contains(dot) == expected, "seed \(seed), \(dot)")
            }
            var union = right
            union.join(left)
            #expect(left.isSubset(of: union))
        }
    }

    @Test func `intervals merge with their neighbours, at the ends of the range too`() {
        var set = DotSet()
        set.insert(5...5, of: 1)
        set.insert(7...9, of: 1)
        set.insert(6...6, of: 1)
        #expect(set.intervals(of: 1) == [5...9])
        set.insert(0...0, of: 1)
        set.insert(UInt64.max...UInt64.max, of: 1)
        set.insert((UInt64.max - 1)...UInt64.max, of: 1)
        #expect(set.intervals(of: 1) == [0...0, 5...9, (UInt64.max - 1)...UInt64.max])
        let isNew = set.insert(6...8, of: 1)
        #expect(!isNew)
    }

    @Test func `a full map drops its smallest key, and takes no smaller one`() {
        var map = TopMap<Int, MaxRegister<Int>>(capacity: 2)
        for key in [5, 7] { map.join(MaxRegister(key), at: key) }
        #expect(map.entries.map(\.key) == [5, 7])
        let isKept = map.join(MaxRegister(1), at: 3)
        #expect(!isKept)
        map.join(MaxRegister(1), at: 9)
        #expect(map.entries.map(\.key) == [7, 9])
    }
}

import LatticeLaws
import Testing

@testable import CRDT

/// The laws of joins over seeded random values; a counterexample is shrunk to few steps.
@Suite struct LatticeTests {
    typealias Interval = (origin: UInt64, interval: ClosedRange<UInt64>)

    private func expectLaws<Step, Value: Lattice & Equatable>(
        _ name: String, _ laws: LatticeLaws<Step, Value>
    ) {
        guard let found = laws.counterexample(seeds: 0..<400) else { return }
        Issue.record("\(name) is not \(found.law), seed \(found.seed): \(found.steps)")
    }

    private static func interval(_ generator: inout Splitmix) -> Interval {
        let lower = UInt64.random(in: 0..<20, using: &generator)
        return (
            UInt64.random(in: 1...2, using: &generator),
            lower...(lower + UInt64.random(in: 0..<5, using: &generator))
        )
    }

    private static func set(_ steps: [Interval]) -> DotSet {
        var set = DotSet()
        for step in steps { set.insert(step.interval, of: step.origin) }
        return set
    }

    /// A number under a key.
    private struct Numbered: KeyedLattice, Equatable {
        let key: Int
        var number: MaxRegister<Int>

        init(key: Int, _ number: Int) {
            self.key = key
            self.number = MaxRegister(number)
        }

        mutating func join(_ other: Numbered) -> Bool { number.join(other.number) }
    }

    @Test func `all lattices obey the laws`() {
        expectLaws(
            "RaisedFlag",
            LatticeLaws(
                hasDeltas: true, draw: { Bool.random(using: &$0) },
                build: { RaisedFlag(isRaised: $0.contains(true)) }))
        expectLaws(
            "MaxRegister",
            LatticeLaws(
                hasDeltas: true, draw: { Int.random(in: 0..<5, using: &$0) },
                build: { MaxRegister($0.max()) }))
        expectLaws(
            "TopMap",
            LatticeLaws(hasDeltas: true) { generator in
                (
                    Int.random(in: 0..<8, using: &generator),
                    Int.random(in: 0..<4, using: &generator)
                )
            } build: { steps in
                var map = TopMap<3, Numbered>()
                for (key, value) in steps { map.join(Numbered(key: key, value)) }
                return map
            })
        expectLaws(
            "DotSet",
            LatticeLaws(hasDeltas: true, draw: LatticeTests.interval, build: LatticeTests.set))
    }

    /// The value that was joined last: no lattice.
    private struct LastWriter: Lattice, Equatable {
        var value: Int?
        mutating func join(_ other: LastWriter) -> Bool {
            defer { value = other.value ?? value }
            return other.value.map { $0 != value } ?? false
        }
    }

    @Test func `a value that is no lattice is found out, in few steps`() {
        let laws = LatticeLaws<Int, LastWriter>(hasDeltas: false) {
            Int.random(in: 0..<3, using: &$0)
        } build: { steps in
            LastWriter(value: steps.last)
        }
        let found = laws.counterexample(seeds: 0..<400)
        #expect(found?.law == .commutative)
        #expect(found?.steps.map(\.count).reduce(0, +) == 2)
    }

    @Test func `a set of dots agrees with a plain set`() {
        for seed in 0..<200 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            func draw() -> DotSet {
                LatticeTests.set(
                    (0..<Int.random(in: 0..<12, using: &generator)).map { _ in
                        LatticeTests.interval(&generator)
                    })
            }
            let left = draw()
            let right = draw()
            let all = (1...2 as ClosedRange<UInt64>).flatMap { origin in
                (0..<30 as Range<UInt64>).map { Dot(origin: origin, sequence: $0) }
            }
            let difference = LatticeTests.set(left.subtracting(right))
            for dot in all {
                let expected = left.contains(dot) && !right.contains(dot)
                #expect(difference.contains(dot) == expected, "seed \(seed), \(dot)")
            }
            // Minimal: what is joined back is what was missing, in no more pieces than needed.
            var union = right
            union.join(difference)
            var whole = right
            whole.join(left)
            #expect(union == whole && left.isSubset(of: union))
            #expect(difference.intervalCount == left.subtracting(right).count)
            let numbers = left.origins.flatMap { left.intervals(of: $0) }.count
            #expect(left.intervalCount == numbers)
        }
    }

    @Test func `fingerprints follow the content, however it came about`() {
        for seed in 0..<200 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            let steps = (0..<12).map { _ in LatticeTests.interval(&generator) }
            let left = LatticeTests.set(steps)
            let right = LatticeTests.set(steps.shuffled(using: &generator))
            #expect(left == right)
            #expect(left.fingerprint == right.fingerprint)
            #expect(left.bucketFingerprints.reduce(0, &+) == left.fingerprint)
            var other = right
            other.insert(Dot(origin: 3, sequence: seed))
            #expect(other.fingerprint != left.fingerprint)
        }
    }

    @Test func `pages tell all of a set, each its own part`() {
        for seed in 0..<200 as Range<UInt64> {
            var generator = Splitmix(state: seed)
            let set = LatticeTests.set((0..<12).map { _ in LatticeTests.interval(&generator) })
            var joined = DotSet()
            var next = Dot.first
            for _ in 0..<100 {
                let (part, end) = set.page(from: next, through: .last, intervalsMax: 1)
                #expect(part == set.clipped(from: next, through: end), "seed \(seed)")
                joined.join(part)
                guard end < .last else { break }
                next = Dot(origin: end.origin, sequence: end.sequence + 1)
            }
            #expect(joined == set, "seed \(seed)")
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
        #expect(set.contains(6...8, of: 1) && !set.contains(4...6, of: 1))
        #expect(set.interval(joining: 1...4, of: 1) == 0...9)
    }

    @Test func `a full map drops its smallest key, and takes no smaller one`() {
        var map = TopMap<2, Numbered>()
        for key in [5, 7] { map.join(Numbered(key: key, key)) }
        #expect(map.values.map(\.key) == [5, 7])
        let isKept = map.join(Numbered(key: 3, 1))
        #expect(!isKept)
        map.join(Numbered(key: 9, 1))
        #expect(map.values.map(\.key) == [7, 9])
    }
}

import CRDT
import LatticeLaws
import Model
import Testing

@testable import Cluster

/// Lists and indices of dots agree with plain arrays and dictionaries.
@Suite struct DotIndexTests {
    private static func dot(_ generator: inout Splitmix) -> Dot {
        let sequences: [UInt64] = [0, 1, 2, 3, 7, .max - 1, .max]
        return Dot(
            origin: UInt64.random(in: 0...4, using: &generator),
            sequence: sequences.randomElement(using: &generator) ?? 0)
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `an index agrees with a dictionary`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        var index = DotIndex()
        var plain: [Dot: TaskID] = [:]
        for _ in 0..<200 {
            let dot = DotIndexTests.dot(&generator)
            if Bool.random(using: &generator) {
                let id = TaskID(Wide128(high: 1, low: generator.next() % 4))
                index.set(id, for: dot)
                plain[dot] = id
            } else {
                index.remove(dot)
                plain[dot] = nil
            }
            #expect(index.count == plain.count && index[dot] == plain[dot])
        }
        index.checkInvariants()
        for origin in 0...5 as ClosedRange<UInt64> {
            for interval in [0...UInt64.max, 2...7, UInt64.max...UInt64.max] {
                var found: [UInt64] = []
                index.forEach(in: interval, of: origin) { sequence, id in
                    #expect(plain[Dot(origin: origin, sequence: sequence)] == id)
                    found.append(sequence)
                    return true
                }
                let expected = plain.keys.filter {
                    $0.origin == origin && interval.contains($0.sequence)
                }
                #expect(found == expected.map(\.sequence).sorted())
            }
        }
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `a list agrees with an array`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        var list = DotList()
        var plain: [Dot] = []
        for _ in 0..<40 {
            if Int.random(in: 0..<4, using: &generator) > 0 {
                let dot = DotIndexTests.dot(&generator)
                list.append(dot)
                plain.append(dot)
            } else {
                let count = Int.random(in: 0...min(plain.count, 3), using: &generator)
                list.removeFirst(count)
                plain.removeFirst(count)
            }
            #expect(Array(list) == plain && list == DotList(plain))
            let probe = DotIndexTests.dot(&generator)
            #expect(list.contains(probe) == plain.contains(probe))
        }
        #expect(list.isSubset(of: DotList(plain.reversed())))
        let isSubset = DotList([Dot(origin: 9, sequence: 9)]).isSubset(of: list)
        #expect(!isSubset)
    }

    @Test func `a record that is copied keeps what it had`() {
        let submission = TaskRecord.Submission(
            birth: BirthDot(origin: BootID(1), sequence: 1), spec: TaskSpec(command: ["x"]),
            submitted: WallTime(milliseconds: 1))
        let first = TaskRecord(id: TableBench.task(1), submission: Box(submission))
        var second = first
        var delta = TaskDelta(id: TableBench.task(1), dots: [])
        delta.isCancelRequested = true
        let hasGrown = second.join(delta)
        #expect(hasGrown && second.isCancelRequested && !first.isCancelRequested)
        #expect(first.fingerprint != second.fingerprint)
    }
}

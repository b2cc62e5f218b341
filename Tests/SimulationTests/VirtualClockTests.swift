import Model
import SimulationHarness
import Testing

@Suite struct VirtualClockTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var drift: Int64
        var offset: Int64
        var testDescription: String { "\(drift) parts per billion from \(offset)" }
    }

    static let rows = [
        Row(drift: 0, offset: 0), Row(drift: 9_000_000, offset: 77),
        Row(drift: -9_000_000, offset: 1 << 50), Row(drift: 1, offset: -5_000),
    ]

    @Test(arguments: rows)
    func `the virtual time of an instant is the first that shows it`(row: Row) {
        let clock = VirtualClock(offset: row.offset, driftPartsPerBillion: row.drift)
        var random = SeededGenerator(seed: 4)
        for _ in 0..<500 {
            let time = Int64(random.next() % 4_000_000_000_000)
            let found = clock.virtual(of: clock.local(at: time))
            #expect(found <= time)
            #expect(clock.local(at: found) == clock.local(at: time))
            #expect(found == 0 || clock.local(at: found - 1) < clock.local(at: found))
        }
    }

    @Test(arguments: rows)
    func `a clock never runs backwards`(row: Row) {
        let clock = VirtualClock(offset: row.offset, driftPartsPerBillion: row.drift)
        let starts: [Int64] = [0, 999_999_000, 2_000_000_000_000]
        for start in starts {
            for time in start..<start + 2_000 {
                #expect(clock.local(at: time) <= clock.local(at: time + 1))
            }
        }
    }

    @Test func `drift adds up to its share of the time`() {
        let clock = VirtualClock(driftPartsPerBillion: 5_000_000)
        #expect(clock.local(at: 1_000_000_000_000).nanoseconds == 1_005_000_000_000)
    }

    @Test func `a deadline beyond all times never comes`() {
        #expect(VirtualClock(offset: -3).virtual(of: .distantFuture) == .max)
    }
}

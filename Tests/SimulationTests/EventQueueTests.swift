import Model
import SimulationHarness
import Testing

@Suite struct EventQueueTests {
    @Test func `the earliest event comes out first`() {
        var queue = EventQueue<String>()
        queue.insert("late", at: 30)
        queue.insert("early", at: 10)
        queue.insert("middle", at: 20)
        #expect(queue.firstTime == 10)
        #expect(drain(&queue) == ["early", "middle", "late"])
        #expect(queue.firstTime == nil)
    }

    @Test func `events of one instant come out in the order of their insertion`() {
        var queue = EventQueue<Int>()
        for number in 0..<1_000 { queue.insert(number, at: 5) }
        #expect(drain(&queue) == Array(0..<1_000))
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a long history comes out as a stable sort would give it`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = EventQueue<Int>()
        var waiting: [(time: Int64, number: Int)] = []
        for number in 0..<5_000 {
            let time = Int64(random.next() % 300)
            queue.insert(number, at: time)
            waiting.append((time, number))
            guard random.next() % 3 == 0 else { continue }
            // The first of the earliest, as `min` finds it.
            let first = waiting.indices.min { waiting[$0].time < waiting[$1].time }
            let expected = first.map { waiting.remove(at: $0) }
            let popped = queue.popFirst()
            #expect(popped?.event == expected?.number)
            #expect(popped?.time == expected?.time)
        }
        let sorted = waiting.sorted { ($0.time, $0.number) < ($1.time, $1.number) }
        #expect(drain(&queue) == sorted.map(\.number))
    }

    @Test func `places of events that came out are used again`() {
        var queue = EventQueue<Int>()
        for round in 0..<10_000 {
            queue.insert(round, at: Int64(round))
            let popped = queue.popFirst()
            #expect(popped?.event == round)
        }
        #expect(queue.count == 0)
    }

    private func drain<Event>(_ queue: inout EventQueue<Event>) -> [Event] {
        var events: [Event] = []
        while let (_, event) = queue.popFirst() { events.append(event) }
        return events
    }
}

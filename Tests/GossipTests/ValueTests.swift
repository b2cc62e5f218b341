import Model
import Testing

@testable import Gossip

private func node(_ number: Int) -> NodeID { NodeID(Wide128(high: 0, low: UInt64(number))) }

@Suite struct ReplayWindowLawTests {
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a window agrees with a set that forgets nothing`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let floor = random.next() % 3_000
        var window = ReplayWindow(above: floor)
        var seen: Set<UInt64> = []
        var highest = floor
        for _ in 0..<3_000 {
            let back = random.next() % (ReplayWindow.width + 200)
            let counter = highest + random.next() % 40 - min(back, highest)
            let isOld = highest >= ReplayWindow.width && counter <= highest - ReplayWindow.width
            let isNew = counter > floor && !isOld && !seen.contains(counter)
            #expect(window.accepts(counter) == isNew, "\(counter) under \(highest)")
            guard isNew else { continue }
            window.insert(counter)
            seen.insert(counter)
            highest = max(highest, counter)
        }
    }

    @Test func `counters up to the floor are seen already, at its edge and beyond`() {
        let window = ReplayWindow(above: 10)
        #expect(!window.accepts(10))
        #expect(window.accepts(11))
        #expect(!ReplayWindow(above: .max).accepts(.max))
    }
}

@Suite struct PeerLifeTests {
    private func packet(_ size: Int) -> PeerLife.Held {
        PeerLife.Held(
            bytes: [UInt8](repeating: 0, count: size), source: VirtualNetwork.address(1),
            channel: .datagram)
    }

    @Test func `each channel has its own window`() {
        var life = PeerLife()
        _ = life.settle(BootID(1), above: 0)
        life.take(5_000, via: .datagram)
        let isStreamFresh = life.admits(BootID(1), 1, via: .stream, at: .zero)
        let isDatagramFresh = life.admits(BootID(1), 1, via: .datagram, at: .zero)
        #expect(isStreamFresh)
        #expect(!isDatagramFresh)
    }

    @Test func `a former boot ID stays former, and few of its packets are looked at`() {
        var life = PeerLife()
        _ = life.settle(BootID(1), above: 0)
        _ = life.settle(BootID(2), above: 0)
        #expect(life.isRetired(BootID(1)) && !life.isRetired(BootID(2)))
        let looks = (1...100 as ClosedRange<UInt64>).filter {
            life.admits(BootID(1), $0, via: .datagram, at: .zero)
        }
        #expect(looks.count == PeerLife.formerPerSecondMax)
        // Found with `simulate run --nodes 3 --faults clone,…`: the frames of a former life that goes on
        // used up what its datagrams may, and it was never heard again.
        var other = life
        let later = Instant.zero + .seconds(2)
        for counter in 1...100 as ClosedRange<UInt64> {
            let isLookedAt = other.admits(BootID(1), counter, via: .stream, at: later)
            #expect(!isLookedAt)
        }
        let isDatagramLookedAt = other.admits(BootID(1), 101, via: .datagram, at: later)
        #expect(isDatagramLookedAt)
    }

    @Test func `former boot IDs are remembered up to the bound`() {
        var life = PeerLife()
        for boot in 0...PeerLife.retiredMax { _ = life.settle(BootID(UInt64(boot)), above: 0) }
        #expect(life.retired.count == PeerLife.retiredMax)
        #expect(life.isRetired(BootID(0)))
        _ = life.settle(BootID(99), above: 0)
        #expect(life.retired.count == PeerLife.retiredMax)
        #expect(!life.isRetired(BootID(0)) && life.isRetired(BootID(1)))
    }

    @Test func `unproven boot IDs are asked at intervals, up to the bound`() {
        var life = PeerLife()
        let first = life.asks(BootID(1), via: .datagram, at: .zero)
        let early = life.asks(BootID(1), via: .datagram, at: .zero + .milliseconds(99))
        let again = life.asks(BootID(1), via: .datagram, at: .zero + PeerLife.challengeInterval)
        #expect(first && !early && again)
        for boot in 2...9 as ClosedRange<UInt64> {
            _ = life.asks(BootID(boot), via: .datagram, at: .zero + .seconds(Int64(boot)))
        }
        #expect(life.pending.count == PeerLife.pendingMax)
        #expect(life.pending.map(\.boot.value) == [6, 7, 8, 9])
    }

    @Test func `packets wait for proof up to the bounds, and come back when it is given`() {
        var life = PeerLife()
        _ = life.asks(BootID(1), via: .datagram, at: .zero)
        for _ in 0..<PeerLife.heldMax {
            let isHeld = life.hold(packet(10), of: BootID(1))
            #expect(isHeld)
        }
        let isOneTooMany = life.hold(packet(10), of: BootID(1))
        #expect(!isOneTooMany)
        let ofAnother = life.hold(packet(10), of: BootID(2))
        #expect(!ofAnother)
        let held = life.settle(BootID(1), above: 0)
        #expect(held.count == PeerLife.heldMax)

        _ = life.asks(BootID(3), via: .datagram, at: .zero)
        let isLargest = life.hold(packet(PeerLife.heldSizeBytesMax), of: BootID(3))
        let isOneByteMore = life.hold(packet(1), of: BootID(3))
        #expect(isLargest && !isOneByteMore)
    }
}

@Suite struct CounterMarksTests {
    @Test func `the floor is one to two intervals old`() {
        var marks = CounterMarks(at: .zero)
        var counters: [Instant: UInt64] = [.zero: 0]
        var now = Instant.zero
        var random = SeededGenerator(seed: 4)
        for counter in 1...400 as ClosedRange<UInt64> {
            now = now + random.duration(upTo: .milliseconds(40))
            marks.note(counter - 1, at: now)
            counters[now] = counter
            let floor = marks.floor(at: now, counter: counter)
            let newest = counters.filter { $0.key <= now - .seconds(1) }.values.max() ?? 0
            let oldest = counters.filter { $0.key <= now - .milliseconds(2_100) }.values.max() ?? 0
            #expect(floor <= max(newest, 0) && floor >= oldest)
        }
    }

    @Test func `after a long silence nothing before it is believed`() {
        var marks = CounterMarks(at: .zero)
        marks.note(0, at: .zero + .milliseconds(1_100))
        #expect(marks.floor(at: .zero + .seconds(3_600), counter: 50) == 50)
    }
}

@Suite struct SuspicionTimingTests {
    private struct Row {
        var needed: Int
        var confirmations: Int
        /// The wait, in hundredths of the way from the longest (0) to the shortest (100).
        var hundredths: Int
    }

    private static let rows = [
        Row(needed: 0, confirmations: 0, hundredths: 100),
        Row(needed: 1, confirmations: 0, hundredths: 0),
        Row(needed: 1, confirmations: 1, hundredths: 100),
        Row(needed: 2, confirmations: 0, hundredths: 0),
        Row(needed: 2, confirmations: 1, hundredths: 63),
        Row(needed: 2, confirmations: 2, hundredths: 100),
        Row(needed: 3, confirmations: 1, hundredths: 50),
        Row(needed: 3, confirmations: 2, hundredths: 79),
        Row(needed: 3, confirmations: 3, hundredths: 100),
        Row(needed: 3, confirmations: 9, hundredths: 100),
    ]

    @Test(arguments: rows.indices)
    func `confirmations shorten the wait by the logarithm`(index: Int) {
        let row = SuspicionTimingTests.rows[index]
        var suspicion = Suspicion(
            at: .zero, witness: node(0), shortest: .seconds(1), longest: .seconds(101),
            confirmationsNeeded: row.needed)
        for witness in 0..<row.confirmations { _ = suspicion.confirm(by: node(witness + 1)) }
        let wait = (suspicion.deadline - .zero).seconds
        #expect(Int((101 - wait).rounded()) == row.hundredths)
        #expect(suspicion.witnesses.count <= row.needed + 1)
    }

    private struct Size {
        var count: Int
        var shortestMillis: Int64
        var needed: Int
    }

    private static let sizes = [
        Size(count: 2, shortestMillis: 3_150, needed: 0),
        Size(count: 3, shortestMillis: 3_150, needed: 1),
        Size(count: 4, shortestMillis: 3_150, needed: 2),
        Size(count: 10, shortestMillis: 3_150, needed: 2),
        Size(count: 100, shortestMillis: 6_300, needed: 2),
        Size(count: 1_000, shortestMillis: 9_450, needed: 2),
    ]

    @Test(arguments: sizes.indices)
    func `suspicions last by the size of the cluster`(index: Int) throws {
        let size = SuspicionTimingTests.sizes[index]
        let network = VirtualNetwork(seed: 1, count: 1)
        try network.found()
        let membership = try #require(network.machines[0].membership)
        let suspicion = membership.suspicion(by: node(1), amongst: size.count)
        let shortest = suspicion.shortest.nanoseconds / 1_000_000
        #expect(abs(shortest - size.shortestMillis) <= 1)
        #expect(suspicion.longest == suspicion.shortest * 6.0)
        #expect(suspicion.confirmationsNeeded == size.needed)
    }

    @Test func `a standstill puts off the end`() {
        var suspicion = Suspicion(
            at: .zero, witness: node(0), shortest: .seconds(1), longest: .seconds(2),
            confirmationsNeeded: 0)
        suspicion.standstill += .seconds(30)
        #expect(suspicion.deadline == .zero + .seconds(31))
    }
}

@Suite struct LocalHealthTests {
    @Test func `what goes wrong stretches time, what goes well mends it, within bounds`() {
        var health = LocalHealth(scoreMax: 3)
        #expect(health.stretch == 1)
        health.improve()
        #expect(health.score == 0)
        health.probeFailed(nacksExpected: 3, nacks: 3)
        #expect(health.score == 0)
        health.probeFailed(nacksExpected: 3, nacks: 1)
        #expect(health.score == 2)
        health.improve()
        health.probeFailed(nacksExpected: 0, nacks: 0)
        #expect(health.score == 2)
        health.wasSuspected()
        health.wasSuspected()
        #expect(health.score == 3)
        #expect(health.stretch == 4)
        var still = LocalHealth(scoreMax: 8)
        still.stoodStill(forIntervals: 2.5)
        #expect(still.score == 3)
        still.stoodStill(forIntervals: .infinity)
        #expect(still.score == 8)
    }
}

@Suite struct LimitTests {
    @Test func `an allowance is used up, and fills up again`() {
        var limit = RateLimit(perSecond: 10, at: .zero)
        #expect((0..<20).count { _ in limit.admits(at: .zero) } == 10)
        let later = Instant.zero + .milliseconds(500)
        #expect(!limit.isFull(at: later))
        #expect((0..<20).count { _ in limit.admits(at: later) } == 5)
        #expect(limit.isFull(at: later + .seconds(1)))
    }

    @Test func `sources are told apart up to the bound, and idle ones make room`() {
        func address(_ number: Int) -> PeerAddress {
            PeerAddress(ip: [9, 9, UInt8(number / 256), UInt8(number % 256)], port: 1)
        }
        var limiter = SourceLimiter(at: .zero, packetsPerSecondMax: 2, sourcesMax: 3)
        for number in 0..<3 {
            #expect((0..<5).count { _ in limiter.admits(address(number), at: .zero) } == 2)
        }
        // One past the bound: all further sources share what one may have.
        #expect((3..<9).count { limiter.admits(address($0), at: .zero) } == 2)
        #expect(limiter.count == 3)
        // When the first are idle again, they make room.
        let later = Instant.zero + .seconds(2)
        #expect((0..<5).count { _ in limiter.admits(address(100), at: later) } == 2)
        #expect(limiter.count == 1)
    }
}

@Suite struct ProbesTests {
    private func probe(_ number: Int, _ reason: Probe.Reason = .round) -> Probe {
        Probe(
            target: node(number), number: UInt64(number), reason: reason,
            helpAt: .zero + .milliseconds(Int64(number)), endsAt: .zero + .seconds(1))
    }

    @Test func `so many probes are under way, and reconnections besides`() {
        var probes = Probes()
        for number in 1..<Probes.activeMax { probes.begin(probe(number)) }
        #expect(probes.hasRoom)
        probes.begin(probe(500, .reconnection))
        #expect(probes.hasRoom)
        probes.begin(probe(Probes.activeMax))
        #expect(!probes.hasRoom)
        probes.end(1)
        #expect(probes.hasRoom)
        #expect(!probes.isProbing(node(1)) && probes.isProbing(node(2)))
        probes.abandon()
        #expect(probes.isEmpty && probes.hasRoom)
    }

    @Test func `only helpers that were asked count, and each once`() {
        var probes = Probes()
        probes.begin(probe(1))
        probes.askedForHelp(1, helpers: [node(2), node(3)])
        probes.nacked(1, by: node(2))
        probes.nacked(1, by: node(2))
        probes.nacked(1, by: node(9))
        probes.nacked(8, by: node(3))
        #expect(probes[1]?.nacks == 1)
        #expect(probes[1]?.nacksExpected == 2)
    }

    @Test func `a suspect waits once, and not while it is probed`() {
        var probes = Probes()
        probes.begin(probe(1))
        for number in [1, 2, 3, 2] { probes.enqueue(node(number)) }
        #expect(probes.waiting == [node(2), node(3)])
        #expect(probes.dequeue() == node(2))
    }

    @Test func `attention is due for help, then for the end; reconnections need no help`() {
        var probes = Probes()
        probes.begin(probe(5))
        probes.begin(probe(6, .reconnection))
        #expect(probes.nextDue == .zero + .milliseconds(5))
        #expect(probes.due(at: .zero + .milliseconds(5)).map(\.number) == [5])
        probes.askedForHelp(5, helpers: [])
        #expect(probes.due(at: .zero + .milliseconds(900)).isEmpty)
        #expect(probes.due(at: .zero + .seconds(1)).map(\.number) == [5, 6])
    }
}

@Suite struct RelaysTests {
    private func relay(_ number: UInt64, origin: Int = 1) -> Relays.Relay {
        Relays.Relay(
            origin: node(origin), number: number, target: node(50),
            nackAt: .zero + .milliseconds(300), endsAt: .zero + .seconds(1))
    }

    @Test func `one member gets so much help, all together so much`() {
        var relays = Relays()
        for number in 0..<UInt64(Relays.perOriginMax) {
            let isTaken = relays.begin(relay(number))
            #expect(isTaken)
        }
        let isOnePast = relays.begin(relay(999))
        #expect(!isOnePast)
        var origin = 2
        while relays.count < Relays.activeMax {
            let number = UInt64(relays.count % Relays.perOriginMax)
            if !relays.begin(relay(number, origin: origin)) { origin += 1 }
        }
        let isOnePastAll = relays.begin(relay(1, origin: 9_999))
        #expect(!isOnePastAll)
        #expect(relays.count == Relays.activeMax)
        let silent = relays.expire(at: .zero + .seconds(1))
        #expect(silent.count == Relays.activeMax)
        #expect(relays.count == 0)
        let isTakenAgain = relays.begin(relay(1))
        #expect(isTakenAgain)
    }

    @Test func `an answer is passed on once, and only the target's`() {
        var relays = Relays()
        _ = relays.begin(relay(7))
        let isTwice = relays.begin(relay(7))
        #expect(!isTwice)
        #expect(relays.answered(7, for: node(1), by: node(51)) == nil)
        #expect(relays.answered(7, for: node(2), by: node(50)) == nil)
        #expect(relays.answered(7, for: node(1), by: node(50)) != nil)
        #expect(relays.answered(7, for: node(1), by: node(50)) == nil)
    }

    @Test func `the origin is told once that there is no answer yet, and may still get one`() {
        var relays = Relays()
        _ = relays.begin(relay(7))
        let none = relays.expire(at: .zero + .milliseconds(299))
        let first = relays.expire(at: .zero + .milliseconds(300))
        let second = relays.expire(at: .zero + .milliseconds(301))
        #expect(none.isEmpty && first.count == 1 && second.isEmpty)
        #expect(relays.answered(7, for: node(1), by: node(50)) != nil)
    }
}

@Suite struct RumourQueueLawTests {
    private func rumour(_ number: Int, incarnation: UInt64 = 1) -> Rumour {
        .leave(
            LeaveStatement(
                subject: node(number), incarnation: incarnation, signature: Samples.signature))
    }

    @Test func `each rumour is told as often as it should be, and not once more`() {
        var queue = RumourQueue()
        for number in 0..<50 { queue.insert(rumour(number)) }
        var tellings: [Rumour: Int] = [:]
        var rounds = 0
        while !queue.isEmpty {
            rounds += 1
            for rumour in queue.take(sizeBytesMax: 500, tellingsMax: 7) {
                tellings[rumour, default: 0] += 1
            }
        }
        #expect(tellings.count == 50)
        #expect(tellings.values.allSatisfy { $0 == 7 })
        #expect(rounds < 200)
    }

    @Test func `nothing is told a second time before everything was told once`() {
        var queue = RumourQueue()
        for number in 0..<20 { queue.insert(rumour(number)) }
        var told: Set<Rumour> = []
        while queue.untoldCount > 0 {
            for rumour in queue.take(sizeBytesMax: 200, tellingsMax: 3) {
                let isFirst = told.insert(rumour).inserted
                #expect(isFirst)
            }
        }
        #expect(told.count == 20)
    }

    @Test func `a newer word takes the place of the older, and starts anew`() {
        var queue = RumourQueue()
        queue.insert(rumour(1))
        _ = queue.take(sizeBytesMax: 1_000, tellingsMax: 3)
        queue.insert(rumour(1, incarnation: 2))
        #expect(queue.count == 1)
        #expect(queue.untoldCount == 1)
        #expect(queue.take(sizeBytesMax: 1_000, tellingsMax: 1) == [rumour(1, incarnation: 2)])
        #expect(queue.isEmpty && queue.untoldCount == 0)
    }

    @Test func `a topic that changes without end takes no more room`() {
        var queue = RumourQueue()
        for incarnation in 0..<100_000 as Range<UInt64> {
            queue.insert(rumour(1, incarnation: incarnation))
        }
        #expect(queue.count == 1)
        #expect(queue.take(sizeBytesMax: 1_000, tellingsMax: 3).count == 1)
    }

    @Test func `at the bound the most told rumour makes room`() {
        var queue = RumourQueue()
        for number in 0..<GossipConfiguration.rumoursMax { queue.insert(rumour(number)) }
        let told = queue.take(sizeBytesMax: RumourQueue.rumourSizeBytesMin, tellingsMax: 9)
        #expect(told == [rumour(0)])
        queue.insert(rumour(GossipConfiguration.rumoursMax))
        #expect(queue.count == GossipConfiguration.rumoursMax)
        #expect(queue.untoldCount == GossipConfiguration.rumoursMax)
    }

    @Test func `what does not fit is passed over, not lost`() {
        var queue = RumourQueue()
        queue.insert(.alive(Samples.alive))
        queue.insert(rumour(2))
        let small = queue.take(sizeBytesMax: 100, tellingsMax: 1)
        #expect(small == [rumour(2)])
        #expect(queue.take(sizeBytesMax: 1_000, tellingsMax: 1) == [.alive(Samples.alive)])
    }
}

@Suite struct NodeMapTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a map agrees with a dictionary, and is in order`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var map = NodeMap<Int>()
        var known: [NodeID: Int] = [:]
        for step in 0..<2_000 {
            // Of these some come again, so that values are replaced and taken away.
            let node = NodeID(Wide128(high: (random.next() % 97) << 55, low: random.next() % 5))
            let value = step % 3 == 0 ? nil : step
            map[node] = value
            known[node] = value
            #expect(map[node] == value)
            #expect(map.count == known.count)
            guard step % 100 == 0 else { continue }
            let sorted = known.sorted { $0.key < $1.key }
            #expect(map.nodes == sorted.map(\.key))
            #expect(map.values == sorted.map(\.value))
            for rank in sorted.indices { #expect(map.node(at: rank) == sorted[rank].key) }
        }
        #expect(known.count > 128, "the map must have been spread")
    }

    @Test func `a change of a copy is no change of the original`() {
        var map = NodeMap<Int>()
        for number in 0..<100 as Range<UInt64> {
            map[NodeID(Wide128(high: number << 56, low: number))] = 1
        }
        let copy = map
        let node = NodeID(Wide128(high: 7 << 56, low: 7))
        map[node] = 2
        #expect(copy[node] == 1)
        #expect(map[node] == 2)
    }
}

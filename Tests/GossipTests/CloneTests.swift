import Model
import Testing

@testable import Gossip

/// A copy of a data directory runs elsewhere: the younger of the two stops, and nobody else suffers.
@Suite struct CloneTests {
    /// How the network is.
    struct Weather: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var loss = 0.0
        var duplication = 0.0
        var delayMax: Duration = .milliseconds(1)

        static let all = [
            Weather(testDescription: "fair"), Weather(testDescription: "lossy", loss: 0.2),
            Weather(testDescription: "doubling", duplication: 0.5),
            Weather(testDescription: "overtaking", delayMax: .milliseconds(40)),
            Weather(
                testDescription: "foul", loss: 0.1, duplication: 0.3, delayMax: .milliseconds(30)),
        ]
    }

    /// Five members; the sixth machine is empty, and gets a copy of machine 2's disk.
    private func cluster(
        seed: UInt64, in weather: Weather = Weather.all[0]
    ) throws -> VirtualNetwork {
        let network = VirtualNetwork(seed: seed, count: 6)
        try network.found()
        for number in 1..<5 {
            try network.join(number, by: network.token())
            network.run(for: .milliseconds(20))
        }
        network.run(for: .seconds(10))
        network.datagramLoss = weather.loss
        network.duplication = weather.duplication
        network.delayMax = weather.delayMax
        return network
    }

    private func startCopy(in network: VirtualNetwork) throws {
        network.machines[5].disk = network.machines[2].disk
        try network.start(5, key: network.machines[2].key)
    }

    private let members = [0, 1, 3, 4]

    /// Whether all members believe in the original, and know where it is.
    private func keepsOriginal(_ network: VirtualNetwork) -> Bool {
        let boot = network.machines[2].membership?.boot
        return members.allSatisfy { number in
            let known = network.machines[number].membership?.member(network.id(2))
            return known?.state == .alive && known?.bootID == boot
                && known?.address == VirtualNetwork.address(2)
                && network.machines[number].membership?.lives[network.id(2)]?.boot == boot
        }
    }

    /// Lets time pass and counts the moments in which a member looks elsewhere.
    private func lapses(_ network: VirtualNetwork, for duration: Duration) -> Int {
        var count = 0
        network.run(for: duration) {
            if !keepsOriginal(network) { count += 1 }
            return false
        }
        return count
    }

    private func expectYoungerStopped(_ network: VirtualNetwork) {
        #expect(network.machines[5].notes.elder == VirtualNetwork.address(2))
        #expect(network.machines[2].notes.elder == nil)
        #expect(network.machines[5].membership?.nextDeadline == nil)
        for number in members {
            #expect(network.machines[number].notes.elder == nil)
            #expect(network.machines[number].notes.clonesRefused.isEmpty)
        }
        #expect(network.allSee(0..<5))
    }

    @Test(arguments: Weather.all, 1...4 as ClosedRange<UInt64>)
    func `a copy stops before any member has heard of it`(weather: Weather, seed: UInt64) throws {
        let network = try cluster(seed: seed, in: weather)
        try startCopy(in: network)
        #expect(lapses(network, for: .seconds(20)) == 0)
        expectYoungerStopped(network)
        if weather.testDescription == "fair" {
            #expect(network.machines[2].notes.clonesRefused == [VirtualNetwork.address(5)])
        }
    }

    @Test(arguments: Weather.all, 1...4 as ClosedRange<UInt64>)
    func `members refuse a copy that can't reach the original, and it says nothing to them`(
        weather: Weather, seed: UInt64
    ) throws {
        let network = try cluster(seed: seed, in: weather)
        network.isOpen = { from, to, _ in !(from + to == 7 && abs(from - to) == 3) }
        try startCopy(in: network)
        network.run(for: .milliseconds(300))
        for round in 0..<20 as Range<UInt8> {
            for number in members {
                network.tell(
                    5, .send(payload: [round], to: network.id(number), via: .datagram))
            }
            network.run(for: .milliseconds(50))
        }
        if weather.loss == 0 {
            #expect(network.machines[5].membership?.refusers.isEmpty == false)
            #expect(members.allSatisfy { network.machines[$0].notes.delivered.isEmpty })
            #expect(lapses(network, for: .seconds(2)) == 0)
        }
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(20))
        expectYoungerStopped(network)
        #expect(keepsOriginal(network))
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `a copy that took over while the original stood still stops when it is back`(
        seed: UInt64
    ) throws {
        let network = try cluster(seed: seed)
        network.freeze(2)
        try startCopy(in: network)
        network.run(for: .seconds(3))
        #expect(network.machines[5].notes.elder == nil, "nobody can know yet")
        network.thaw(2)
        network.run(for: .seconds(5)) { network.machines[5].notes.elder != nil }
        network.run(for: .seconds(15))
        expectYoungerStopped(network)
        #expect(keepsOriginal(network))
    }

    @Test(arguments: [[0], [0, 1], [0, 1, 3], []], 1...3 as ClosedRange<UInt64>)
    func `two that lived apart: the younger stops when they meet`(
        side: [Int], seed: UInt64
    ) throws {
        let network = try cluster(seed: seed)
        let group = Set(side + [2])
        network.isOpen = { from, to, _ in group.contains(from) == group.contains(to) }
        try startCopy(in: network)
        network.run(for: .seconds(90))
        #expect(network.machines[5].notes.elder == nil)
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(60))
        expectYoungerStopped(network)
        #expect(keepsOriginal(network))
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a copy that only a part of the cluster hears is refused there, too`(seed: UInt64) throws {
        let network = try cluster(seed: seed)
        // Machines 3 and 4 reach the copy, and the original not; all others reach everybody.
        network.isOpen = { from, to, _ in
            let ends = [min(from, to), max(from, to)]
            return ends[1] != 5 || ends[0] == 3 || ends[0] == 4
        }
        try startCopy(in: network)
        network.run(for: .seconds(5))
        #expect(network.machines[5].membership?.refusers.isEmpty == false)
        #expect(keepsOriginal(network))
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(10))
        expectYoungerStopped(network)
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `members that restarted beside the copy can't make both stop`(seed: UInt64) throws {
        let network = try cluster(seed: seed)
        let group: Set<Int> = [0, 2]
        network.isOpen = { from, to, _ in group.contains(from) == group.contains(to) }
        try startCopy(in: network)
        network.run(for: .seconds(30))
        for number in [1, 3, 4] {
            network.kill(number)
            try network.start(number)
        }
        network.run(for: .seconds(30))
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(60))
        expectYoungerStopped(network)
        #expect(keepsOriginal(network))
    }

    @Test func `who has lived longer stops when nobody keeps to it`() throws {
        let network = try cluster(seed: 5)
        network.isOpen = { from, to, _ in from != 5 && to != 5 }
        try startCopy(in: network)
        network.run(for: .seconds(60))
        // The original is younger now, and known to all.
        network.kill(2)
        try network.start(2)
        network.run(for: .seconds(30))
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(30))
        expectYoungerStopped(network)
        #expect(keepsOriginal(network))
    }

    @Test func `a lone node's copy stops when the original wakes up`() throws {
        let network = VirtualNetwork(seed: 6, count: 6)
        try network.found()
        network.run(for: .seconds(10))
        network.freeze(0)
        network.machines[5].disk = network.machines[0].disk
        try network.start(5, key: network.machines[0].key)
        network.run(for: .seconds(3))
        #expect(network.machines[5].notes.elder == nil)
        network.thaw(0)
        network.run(for: .seconds(3))
        #expect(network.machines[5].notes.elder == VirtualNetwork.address(0))
        #expect(network.machines[0].notes.elder == nil)
    }

    /// Found with `simulate run --nodes 3 --faults clone,…`.
    @Test func `a copy that reaches nobody but the original's place stops for whoever is there`()
        throws
    {
        let network = try cluster(seed: 11)
        network.isOpen = { from, to, _ in
            (from != 5 && to != 5) || from == 2 || to == 2
        }
        network.kill(2)
        try startCopy(in: network)
        network.run(for: .seconds(120))
        // The original's next life is the younger one, and all members keep to it.
        try network.start(2)
        network.run(for: .seconds(10))
        expectYoungerStopped(network)
    }

    // MARK: Restarts

    @Test(arguments: [true, false], 1...6 as ClosedRange<UInt64>)
    func `a restart is taken up within half a second, at another address too`(
        isMoved: Bool, seed: UInt64
    ) throws {
        let network = try cluster(seed: seed)
        network.kill(2)
        network.run(for: .milliseconds(Int64(seed) * 150))
        let number = isMoved ? 5 : 2
        if isMoved { network.machines[5].disk = network.machines[2].disk }
        try network.start(number, key: network.machines[2].key)
        let boot = network.machines[number].membership?.boot
        let address = VirtualNetwork.address(number)
        let time = network.run(for: .seconds(10)) {
            members.allSatisfy { member in
                let known = network.machines[member].membership?.member(network.id(2))
                return known?.bootID == boot && known?.address == address
                    && known?.state == .alive
                    && network.machines[member].membership?.lives[network.id(2)]?.boot == boot
            }
        }
        #expect(time <= .milliseconds(500))
        network.run(for: .seconds(20))
        #expect(network.machines.allSatisfy { $0.notes.elder == nil })
        #expect(network.machines.allSatisfy { $0.notes.clonesRefused.isEmpty })
    }

    @Test(arguments: Weather.all, 1...4 as ClosedRange<UInt64>)
    func `restarts one upon the other, here and there, are never taken for clones`(
        weather: Weather, seed: UInt64
    ) throws {
        let network = try cluster(seed: seed, in: weather)
        var place = 2
        for round in 0..<8 {
            network.kill(place)
            network.run(for: .milliseconds([5, 100, 400, 1_100][round % 4]))
            let next = (round + Int(seed)) % 3 == 0 ? 7 - place : place
            network.machines[next].disk = network.machines[place].disk
            network.machines[next].key = network.machines[place].key
            place = next
            try network.start(place)
            network.run(for: .milliseconds([30, 700, 250, 1_500][round % 4]))
        }
        network.run(for: .seconds(60))
        #expect(network.machines.allSatisfy { $0.notes.elder == nil })
        #expect(network.allSee(members + [place]))
    }

    // MARK: Bounds and thieves

    @Test func `the known life may answer until its time is up, and not later`() throws {
        for (late, isKept) in [(Duration.zero, false), (.milliseconds(-1), true)] {
            let network = try cluster(seed: 7)
            network.isOpen = { from, to, _ in from != 2 && to != 2 }
            network.recorded = []
            try startCopy(in: network)
            network.run(for: .seconds(1)) {
                network.machines[0].membership?.inquiries[network.id(2)] != nil
            }
            let inquiry = try #require(
                network.machines[0].membership?.inquiries[network.id(2)])
            #expect(
                inquiry.endsAt - inquiry.begun == GossipConfiguration(profile: .lan).lifeTimeout)
            let question = try #require(
                network.recorded?.last { $0.from == 0 && $0.to == 2 && $0.channel == .datagram })
            network.tell(
                2,
                .received(question.bytes, from: VirtualNetwork.address(0), via: .datagram))
            let answer = try #require(network.recorded?.last { $0.from == 2 && $0.to == 0 })
            let due = inquiry.endsAt + late
            network.run(for: due - network.now)
            network.tell(0, .deadlineReached)
            network.tell(
                0, .received(answer.bytes, from: VirtualNetwork.address(2), via: .datagram))
            let believed = network.machines[0].membership?.lives[network.id(2)]?.boot
            let original = network.machines[2].membership?.boot
            #expect((believed == original) == isKept)
        }
    }

    @Test func `inquiries are bounded, one for a node, and asked so often and not more`() {
        var inquiries = Inquiries()
        func inquiry(_ number: Int) -> Inquiry {
            Inquiry(
                node: NodeID(Wide128(high: 0, low: UInt64(number))), boot: BootID(1),
                address: VirtualNetwork.address(1), number: 1, begun: .zero,
                endsAt: .zero + .seconds(1), nextAsk: .zero)
        }
        for number in 0..<Inquiries.activeMax {
            let isTaken = inquiries.begin(inquiry(number))
            #expect(isTaken)
        }
        let isOver = inquiries.begin(inquiry(Inquiries.activeMax))
        #expect(!isOver && inquiries.count == Inquiries.activeMax)
        inquiries.end(inquiry(0).node)
        let isRepeated = inquiries.begin(inquiry(1))
        #expect(!isRepeated)
        let isRoom = inquiries.begin(inquiry(Inquiries.activeMax))
        #expect(isRoom)
        for time in 1...Inquiry.asksMax {
            #expect(inquiries[inquiry(1).node]?.due == .zero + .milliseconds(Int64(time - 1)))
            inquiries.ask(
                inquiry(1).node, at: .zero + .milliseconds(Int64(time - 1)),
                interval: .milliseconds(1))
        }
        #expect(inquiries[inquiry(1).node]?.due == .zero + .seconds(1))
    }

    @Test func `a flood of questions in the node's own name is answered so often and not more`()
        throws
    {
        let network = try cluster(seed: 8)
        network.recorded = []
        for number in 0...UInt64(GossipConfiguration.twinWordsPerSecondMax) {
            network.machines[5].key = network.machines[2].key
            network.speak(
                as: 5, boot: BootID(77), to: 2,
                .lifeQuestion(number: number, ageMilliseconds: .max))
        }
        let sent = network.recorded?.count { $0.from == 2 && $0.to == 5 }
        #expect(sent == GossipConfiguration.twinWordsPerSecondMax)
        #expect(network.machines[2].notes.dropped["busy"] ?? 0 >= 1)
        #expect(network.machines[2].notes.elder == nil)
    }

    @Test func `a thief that claims to be older than all can't stop the original`() throws {
        let network = try cluster(seed: 9)
        network.isOpen = { from, to, _ in from != 5 && to != 5 }
        try startCopy(in: network)
        network.run(for: .seconds(60))
        network.kill(2)
        try network.start(2)
        network.run(for: .seconds(30))
        // It speaks to the original alone, and says that it has lived for longer, which is true.
        network.isOpen = { from, to, _ in (from != 5 && to != 5) || from == 2 || to == 2 }
        let original = network.machines[2].membership?.boot
        if let boot = original {
            network.tell(
                5,
                .received(
                    network.packet(
                        GossipMessage.lifeQuestion(number: 1, ageMilliseconds: 1).encoded,
                        by: network.machines[2].key, boot: boot, counter: 1_000_000, to: 2,
                        via: .datagram),
                    from: VirtualNetwork.address(2), via: .datagram))
        }
        network.run(for: .seconds(20))
        #expect(network.machines[2].membership?.twin?.isElder == true)
        #expect(network.machines[2].notes.elder == nil)
        #expect(keepsOriginal(network))
    }

    @Test func `nothing that was said about a clone can be said again`() throws {
        let network = try cluster(seed: 10)
        network.recorded = []
        network.isOpen = { from, to, _ in from + to != 7 || abs(from - to) != 3 }
        try startCopy(in: network)
        network.run(for: .seconds(2))
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(5))
        expectYoungerStopped(network)
        let recording = network.recorded ?? []
        network.kill(5)
        // The original ends, and comes back where the copy was: none of it is of use against it.
        network.kill(2)
        network.machines[5].disk = network.machines[2].disk
        network.machines[5].notes = VirtualNetwork.Notes()
        try network.start(5)
        for round in 0..<4 {
            for packet in recording {
                for to in network.machines.indices where network.machines[to].membership != nil {
                    network.tell(
                        to,
                        .received(
                            packet.bytes, from: VirtualNetwork.address(packet.from),
                            via: packet.channel))
                }
            }
            network.run(for: .milliseconds(round == 0 ? 100 : 2_000))
        }
        network.run(for: .seconds(20))
        #expect(network.machines.allSatisfy { $0.notes.elder == nil })
        #expect(network.allSee(members + [5]))
    }
}

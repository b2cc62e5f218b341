import Model
import SimulationHarness
import Testing

@Suite struct VirtualNetworkTests {
    private func packet(_ number: UInt8) -> Packet {
        Packet(bytes: [number], sender: 0, senderLife: 1, receiverLife: 1)
    }

    /// Looks at a stream until nothing is under way, and tells what arrived when.
    private func arrivals(
        _ network: inout VirtualNetwork, _ link: Int, from start: Int64
    ) -> [(number: UInt8, time: Int64)] {
        var arrived: [(number: UInt8, time: Int64)] = []
        var now = start
        while true {
            switch network.look(at: link, at: now) {
            case .idle, .lost: return arrived
            case .waiting(let until): now = until
            case .arrived(let packet, let next):
                arrived.append((packet.bytes[0], now))
                guard let next else { return arrived }
                now = next
            }
        }
    }

    @Test(arguments: [0, 0.05, 0.3])
    func `the share of lost and doubled datagrams is what was asked for`(share: Double) {
        var network = VirtualNetwork(count: 2, seed: 9)
        network.conditions.loss = share
        network.conditions.duplication = share
        let copies = (0..<20_000).map { _ in network.datagram(on: 1, at: 0) }
        let lost = Double(copies.count { $0.0 == nil }) / 20_000
        let doubled = Double(copies.count { $0.1 != nil }) / 20_000
        #expect(abs(lost - share) < 0.01)
        #expect(abs(doubled - share * (1 - share)) < 0.01)
    }

    @Test func `a datagram takes between the shortest and the longest way`() {
        var network = VirtualNetwork(count: 2, seed: 3)
        let least = network.conditions.delayMin.nanoseconds
        let most = network.conditions.delayMax.nanoseconds
        for _ in 0..<1_000 {
            let arrival = network.datagram(on: 1, at: 500).0 ?? 0
            #expect((500 + least...500 + most).contains(arrival))
        }
    }

    @Test func `frames of a stream keep their order, whatever their delays`() {
        var network = VirtualNetwork(count: 2, seed: 5)
        network.conditions.delayMax = .milliseconds(50)
        network.conditions.loss = 0.5
        var first: Int64?
        for number in 0..<200 {
            let due = network.send(packet(UInt8(number)), on: 1, at: Int64(number) * 1_000)
            first = first ?? due
        }
        let arrived = arrivals(&network, 1, from: first ?? 0)
        #expect(arrived.map(\.number) == (0..<200).map { UInt8($0) })
        #expect(zip(arrived, arrived.dropFirst()).allSatisfy { $0.time <= $1.time })
    }

    @Test func `a stream waits for a cut that is mended in time`() {
        var network = VirtualNetwork(count: 2, seed: 5)
        network.cut(from: [0], to: [1])
        let due = network.send(packet(7), on: 1, at: 0) ?? 0
        guard case .waiting(let until) = network.look(at: 1, at: due) else {
            Issue.record("the frame passed a cut link")
            return
        }
        network.mend(from: [0], to: [1])
        let arrived = arrivals(&network, 1, from: until)
        #expect(arrived.map(\.number) == [7])
    }

    @Test(arguments: [true, false])
    func `a cut in either direction ends a connection after a while`(isForward: Bool) {
        var network = VirtualNetwork(count: 2, seed: 5)
        network.cut(from: [isForward ? 0 : 1], to: [isForward ? 1 : 0])
        let due = network.send(packet(7), on: 1, at: 0) ?? 0
        _ = network.send(packet(8), on: 1, at: 0)
        var arrived = arrivals(&network, 1, from: due)
        #expect(arrived.isEmpty)
        network.mendAll()
        let again = network.send(packet(9), on: 1, at: 60_000_000_000)
        // Whoever looks after the loss finds the new frame alone.
        arrived = arrivals(&network, 1, from: again ?? 61_000_000_000)
        #expect(arrived.map(\.number) == [9])
    }

    @Test func `a one-way cut stops datagrams in one direction only`() {
        var network = VirtualNetwork(count: 3, seed: 1)
        network.cut(from: [0], to: [1, 2])
        let passes = [(0, 1), (1, 0), (1, 2)].map { from, to in
            network.datagram(on: network.link(from: from, to: to), at: 0).0 != nil
        }
        #expect(passes == [false, true, true])
    }

    @Test func `cuts add up until each of them is mended`() {
        var network = VirtualNetwork(count: 2, seed: 1)
        network.cut(from: [0], to: [1])
        network.cut(from: [0], to: [1])
        network.mend(from: [0], to: [1])
        #expect(network.isCut(network.link(from: 0, to: 1)))
        network.mend(from: [0], to: [1])
        #expect(!network.isCut(network.link(from: 0, to: 1)))
    }

    @Test func `a clogged link lets nothing through before its time`() {
        var network = VirtualNetwork(count: 2, seed: 1)
        network.clog(1, until: 9_000_000_000)
        let datagram = network.datagram(on: 1, at: 0).0 ?? 0
        let frame = network.send(packet(1), on: 1, at: 0) ?? 0
        let elsewhere = network.datagram(on: 2, at: 0).0 ?? .max
        #expect(datagram >= 9_000_000_000)
        #expect(frame >= 9_000_000_000)
        #expect(elsewhere < 9_000_000_000)
    }

    @Test func `a broken connection loses what was under way`() {
        var network = VirtualNetwork(count: 2, seed: 1)
        let due = network.send(packet(1), on: 1, at: 0) ?? 0
        _ = network.send(packet(2), on: 1, at: 0)
        let lost = network.reset(1)
        #expect(lost == 2)
        let arrived = arrivals(&network, 1, from: due)
        #expect(arrived.isEmpty)
    }

    @Test func `what a dying daemon had sent is handed out link by link`() {
        var network = VirtualNetwork(count: 3, seed: 1)
        for number in 1...3 { _ = network.send(packet(UInt8(number)), on: 1, at: 0) }
        _ = network.send(packet(9), on: 2, at: 0)
        let abandoned = network.abandonStreams(from: 0)
        #expect(abandoned.map(\.link) == [1, 2])
        #expect(abandoned.map { $0.frames.map { $0.bytes[0] } } == [[1, 2, 3], [9]])
        let again = network.abandonStreams(from: 0)
        #expect(again.isEmpty)
    }
}

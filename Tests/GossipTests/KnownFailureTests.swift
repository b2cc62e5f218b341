import Model
import Testing

@testable import Gossip

/// Failures that other implementations are known for, each played through here.
///
/// Mass restart, leaving and undecodable packets are in `BehaviourTests` and `ThiefTests`.
@Suite struct KnownFailureTests {
    /// memberlist#312: a view from before the death brings the dead member back, for hours.
    @Test func `an old view does not revive the dead`() throws {
        let network = VirtualNetwork(seed: 1, count: 12)
        try network.form()
        // Node 11 knows nothing of what follows.
        network.isOpen = { from, to, _ in from != 11 && to != 11 }
        network.run(for: .seconds(2))
        network.freeze(11)
        network.kill(5)
        network.run(for: .seconds(60))
        let rest = (0..<11).filter { $0 != 5 }
        #expect(rest.allSatisfy { network.state(of: 5, at: $0) == .dead })
        let begin = network.now
        network.isOpen = { _, _, _ in true }
        network.thaw(11)
        // It tells everybody its old view, again and again, and a newcomer learns from it.
        for _ in 0..<30 {
            for other in rest { tellOldView(of: 11, to: other, in: network) }
            network.run(for: .seconds(1))
        }
        for observer in rest {
            let revivals = network.machines[observer].notes.changes.filter {
                $0.at >= begin && $0.member == network.id(5)
            }
            #expect(revivals.isEmpty)
        }
        network.run(for: .seconds(60)) { network.state(of: 5, at: 11) == .dead }
        #expect(network.state(of: 5, at: 11) == .dead)
        #expect(network.deaths(of: rest, seenBy: rest, since: begin) == 0)
    }

    private func tellOldView(of teller: Int, to other: Int, in network: VirtualNetwork) {
        guard var membership = network.machines[teller].membership else { return }
        let target = network.id(other)
        var frames: [[UInt8]] = []
        membership.sendView(to: target, wantsReply: true) { effect in
            if case .send(let bytes, _, _, .stream) = effect { frames.append(bytes) }
        }
        network.machines[teller].membership = membership
        for frame in frames {
            network.push(.packet(frame, from: teller, .stream), to: other, at: network.now)
        }
    }

    @Test func `a newcomer does not bring back the dead of whom it is told`() throws {
        let network = VirtualNetwork(seed: 2, count: 6)
        try network.found()
        for number in 1..<5 { try network.join(number, by: network.token()) }
        network.run(for: .seconds(10))
        network.kill(4)
        network.run(for: .seconds(60))
        let begin = network.now
        try network.join(5, by: network.token())
        network.run(for: .seconds(120))
        #expect(network.state(of: 4, at: 5) == .dead)
        for observer in 0..<4 {
            #expect(
                !network.machines[observer].notes.changes.contains {
                    $0.at >= begin && $0.member == network.id(4)
                })
        }
    }

    /// serf#605: after a long partition nobody tries any more; here nobody ever stops.
    @Test func `a partition of a week heals in seconds`() throws {
        let network = VirtualNetwork(seed: 3, count: 6)
        try network.form()
        network.isOpen = { from, to, _ in (from < 3) == (to < 3) }
        network.run(for: .seconds(60))
        // The days between, in which only the attempts to reconnect matter: all processes leap.
        for number in 0..<6 { network.freeze(number) }
        network.run(for: .seconds(7 * 86_400))
        for number in 0..<6 { network.thaw(number) }
        network.run(for: .seconds(600))
        #expect(network.allSee(0..<3) && network.allSee(3..<6))
        network.isOpen = { _, _, _ in true }
        let taken = network.run(for: .seconds(60)) { network.allSee(0..<6) }
        #expect(taken < .seconds(10))
    }

    @Test func `the halves of a large cluster merge as soon as those of a small one`() throws {
        let network = VirtualNetwork(seed: 4, count: 60)
        try network.form()
        network.isOpen = { from, to, _ in (from < 30) == (to < 30) }
        network.run(for: .seconds(180))
        #expect(network.allSee(0..<30) && network.allSee(30..<60))
        network.isOpen = { _, _, _ in true }
        let taken = network.run(for: .seconds(60)) { network.allSee(0..<60) }
        #expect(taken < .seconds(10))
    }

    /// memberlist#299: a storm of news must not hold up what the node itself has to say.
    @Test func `news does not starve what other parts of the node say`() throws {
        let network = VirtualNetwork(seed: 5, count: 30)
        try network.form()
        // Everybody has news at once, twice a second.
        var sent = 0
        for round in 0..<40 {
            for number in 0..<30 {
                let labels = ["round=\(round / 10)"]
                network.tell(
                    number, .updateMetadata(VirtualNetwork.metadata(number, labels: labels)))
            }
            for number in 1..<30 {
                for channel in [Channel.datagram, .stream] {
                    network.tell(0, .send(payload: [1], to: network.id(number), via: channel))
                    sent += 1
                }
            }
            network.run(for: .milliseconds(3))
            let delivered = network.machines.reduce(0) { $0 + $1.notes.delivered.count }
            #expect(delivered == sent)
            network.run(for: .milliseconds(47))
        }
    }

    /// A gossiped "you are dead" is refuted, and nobody who answers is given up.
    @Test func `a node that hears of its own death says that it lives`() throws {
        let network = VirtualNetwork(seed: 6, count: 5)
        try network.form()
        // Deaf and dumb until all others have given it up.
        network.isOpen = { from, to, _ in from != 2 && to != 2 }
        let rest = [0, 1, 3, 4]
        network.run(for: .seconds(60)) { rest.allSatisfy { network.state(of: 2, at: $0) == .dead } }
        let before = try #require(network.machines[2].membership?.own.incarnation)
        network.isOpen = { _, _, _ in true }
        let taken = network.run(for: .seconds(60)) { network.allSee(0..<5) }
        #expect(taken < .seconds(10))
        network.run(for: .seconds(5))
        #expect(network.machines[2].membership?.own.incarnation ?? 0 > before)
        #expect(network.machines[2].membership?.isMember == true)
    }

    /// A node on an overloaded machine wakes late each time; it may take longer, but not for ever.
    @Test(arguments: [100, 200, 400])
    func `a node that is always late still finds the dead`(milliseconds: Int) throws {
        let network = VirtualNetwork(seed: 7, count: 3, profile: .local)
        try network.form()
        network.lag[0] = .milliseconds(milliseconds)
        network.run(for: .seconds(10))
        network.kill(2)
        let begin = network.now
        network.run(for: .seconds(60)) { network.state(of: 2, at: 0) == .dead }
        #expect(network.state(of: 2, at: 0) == .dead)
        #expect(network.deaths(of: [1], seenBy: [0], since: begin) == 0)
    }

    /// The inviter joined a moment ago, and the seed has not heard of it.
    @Test func `a token of a member that the seed does not know yet is good in a moment`() throws {
        let network = VirtualNetwork(seed: 8, count: 4)
        try network.found()
        try network.join(1, by: network.token())
        network.run(for: .seconds(5))
        network.isOpen = { from, to, _ in from != 1 && to != 1 }
        try network.join(2, by: network.token())
        network.run(for: .milliseconds(800))
        let token = try network.token(from: 2)
        network.isOpen = { from, to, _ in
            !([from, to].contains(1) && [from, to].contains { $0 != 3 && $0 != 1 })
        }
        try network.join(3, by: token, seeds: [1])
        network.run(for: .milliseconds(500))
        #expect(network.machines[3].notes.refusal == nil)
        #expect(network.machines[3].membership?.isMember == false)
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(20))
        #expect(network.allSee(0..<4))
    }

    /// Found with `simulate soak`: the proof of an earlier life, delayed by a clogged link, shut the
    /// living one out for ever.
    @Test func `a late proof of an earlier life does not shut out the living one`() throws {
        let network = VirtualNetwork(seed: 10, count: 3)
        try network.form()
        network.kill(2)
        // The next life is questioned, and its answer is held up.
        try network.start(2)
        network.run(for: .seconds(5)) {
            network.machines[0].membership?.lives[network.id(2)]?.pending.isEmpty == false
        }
        network.isOpen = { from, to, _ in from != 2 || to != 0 }
        network.recorded = []
        network.run(for: .milliseconds(500))
        let late = (network.recorded ?? []).filter { $0.from == 2 && $0.to == 0 }
        network.kill(2)
        network.isOpen = { _, _, _ in true }
        try network.start(2)
        network.run(for: .milliseconds(1_500))
        let living = try #require(network.machines[2].membership?.boot)
        #expect(network.machines[0].membership?.lives[network.id(2)]?.boot == living)
        for packet in late {
            network.push(.packet(packet.bytes, from: 2, packet.channel), to: 0, at: network.now)
        }
        network.run(for: .milliseconds(10))
        #expect(network.machines[0].membership?.lives[network.id(2)]?.boot == living)
        network.run(for: .seconds(60)) { network.allSee(0..<3) }
        network.run(for: .seconds(20))
        #expect(network.machines[0].membership?.lives[network.id(2)]?.boot == living)
        #expect(network.allSee(0..<3))
    }

    @Test func `a token whose inviter nobody knows is refused in the end`() throws {
        let network = VirtualNetwork(seed: 9, count: 3)
        try network.found()
        try network.join(1, by: network.token())
        network.run(for: .seconds(5))
        var token = try network.token()
        token.invitation.inviter = network.id(2)
        try network.join(2, by: token, seeds: [0, 1])
        network.run(for: .seconds(60))
        #expect(network.machines[2].notes.refusal == .unknownInviter)
        #expect(network.machines[0].membership?.members.count == 2)
    }
}

import Model
import Testing

@testable import Gossip

/// Known bugs of other implementations, put back one by one: the suite must be able to notice each.
@Suite struct MutationTests {
    @Test(arguments: GossipMutation.allCases)
    func `a known bug is noticed in its schedule, and without it nothing goes wrong`(
        bug: GossipMutation
    ) throws {
        #expect(try problem(with: bug, isIn: false) == nil)
        #expect(try problem(with: bug, isIn: true) != nil, "\(bug) goes unnoticed")
    }

    /// What goes wrong in the schedule of a bug, with the bug or without it.
    private func problem(with bug: GossipMutation, isIn: Bool) throws -> String? {
        let network = VirtualNetwork(seed: 5, count: 5, mutation: isIn ? bug : nil)
        try network.form()
        switch bug {
        case .leavesDeadForGood: return try massRestart(network)
        case .revivesByOldView: return death(network)
        case .takesLeftForDead: return leaving(network)
        case .starvesPayloads: return news(network)
        case .stopsReconnecting: return longPartition(network)
        case .stopsAtMalformed: return garbage(network)
        case .obeysSuspicion: return silence(network)
        case .believesNewest: return try copy(network)
        case .believesOldAnswers: return try lateAnswer(network)
        case .obeysRefusal: return lie(network)
        case .admitsByAnyToken: return try leakedToken(isIn ? bug : nil)
        case .believesAnyAmendment: return try lieOnEviction(network)
        case .hearsEvicted: return try thiefOfAnEvictedKey(network)
        }
    }

    /// A member that does not vote says that another one is shut out.
    private func lieOnEviction(_ network: VirtualNetwork) throws -> String? {
        network.tellVoters([0])
        let boot = try #require(network.machines[4].membership?.boot)
        let certificate = network.certificate(
            of: network.eviction(of: [2], by: 4, sparing: []), signedBy: 4)
        network.freeze(4)
        network.speak(as: 4, boot: boot, to: 1, .rumours([.amendment(certificate)]))
        return network.state(of: 2, at: 1) == .evicted ? "a member shuts out another one" : nil
    }

    /// A node that was shut out, and has not heard of it, goes on speaking.
    private func thiefOfAnEvictedKey(_ network: VirtualNetwork) throws -> String? {
        network.tellVoters([0])
        network.evict([4], by: 0, sparing: [], toldTo: [0], isTold: false)
        network.run(for: .seconds(1))
        network.machines[1].notes.delivered = []
        // Long enough to be asked for a proof of life.
        let payload = [UInt8](repeating: 1, count: 100)
        network.tell(4, .send(payload: payload, to: network.id(1), via: .datagram))
        network.run(for: .milliseconds(500))
        return network.machines[1].notes.delivered.isEmpty ? nil : "a thief is heard"
    }

    /// All processes end; one comes back long before the others.
    private func massRestart(_ network: VirtualNetwork) throws -> String? {
        for number in 0..<5 { network.kill(number) }
        network.run(for: .seconds(5))
        try network.start(0)
        network.run(for: .seconds(60))
        for number in 1..<5 { try network.start(number) }
        network.run(for: .seconds(60)) { network.allSee(0..<5) }
        return network.allSee(0..<5) ? nil : "live nodes are seen dead"
    }

    /// A member dies; views that still hold its last word go round.
    private func death(_ network: VirtualNetwork) -> String? {
        network.kill(4)
        network.run(for: .seconds(60))
        guard (0..<4).allSatisfy({ network.state(of: 4, at: $0) == .dead }) else {
            return "the dead are not seen dead"
        }
        let begin = network.now
        network.run(for: .seconds(300))
        let isRevived = network.machines.contains { machine in
            machine.notes.changes.contains { $0.at > begin && $0.member == network.id(4) }
        }
        return isRevived ? "the dead come back" : nil
    }

    /// Two strangers show one token for a single use at two members that do not hear each other.
    private func leakedToken(_ bug: GossipMutation?) throws -> String? {
        let network = VirtualNetwork(seed: 6, count: 5, mutation: bug)
        try network.found()
        for number in 1..<3 { try network.join(number, by: network.token()) }
        network.run(for: .seconds(10))
        network.isOpen = { from, to, _ in Set([from, to]).intersection([0, 1, 2]).count < 2 }
        let token = try network.token(from: 0, uses: 1)
        for number in 3..<5 { try network.join(number, by: token, seeds: [number - 2]) }
        network.run(for: .seconds(1))
        let count = (3..<5).count { network.machines[$0].membership?.isMember == true }
        return count > 1 ? "a token for one use has let \(count) in" : nil
    }

    private func leaving(_ network: VirtualNetwork) -> String? {
        network.tell(4, .leave)
        network.run(for: .seconds(10))
        network.kill(4)
        network.run(for: .seconds(30))
        network.recorded = []
        network.run(for: .seconds(120))
        let isTried = network.recorded?.contains { $0.to == 4 } == true
        if isTried { return "who has left is tried again and again" }
        return (0..<4).allSatisfy { network.state(of: 4, at: $0) == .left } ? nil : "not seen left"
    }

    /// Everybody has news, and something of its own to say.
    private func news(_ network: VirtualNetwork) -> String? {
        var sent = 0
        for round in 0..<10 {
            for number in 0..<5 {
                let labels = ["round=\(round)"]
                network.tell(
                    number, .updateMetadata(VirtualNetwork.metadata(number, labels: labels)))
            }
            for number in 1..<5 {
                network.tell(0, .send(payload: [1], to: network.id(number), via: .datagram))
                sent += 1
            }
            network.run(for: .milliseconds(500))
        }
        let delivered = network.machines.reduce(0) { $0 + $1.notes.delivered.count }
        return delivered == sent ? nil : "\(sent - delivered) payloads of \(sent) are missing"
    }

    private func longPartition(_ network: VirtualNetwork) -> String? {
        network.isOpen = { from, to, _ in (from < 3) == (to < 3) }
        network.run(for: .seconds(60))
        for number in 0..<5 { network.freeze(number) }
        network.run(for: .seconds(2 * 86_400))
        for number in 0..<5 { network.thaw(number) }
        network.run(for: .seconds(300))
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(60)) { network.allSee(0..<5) }
        return network.allSee(0..<5) ? nil : "the halves stay apart"
    }

    /// A member says something that nobody can read, and is gone.
    private func garbage(_ network: VirtualNetwork) -> String? {
        guard let boot = network.machines[4].membership?.boot else { return "no boot" }
        network.kill(4)
        for victim in 0..<4 { network.speak(as: 4, boot: boot, to: victim, bytes: [255, 1, 2]) }
        let begin = network.now
        network.run(for: .seconds(60))
        let isNoticed = network.machines[0].notes.dropped["malformed"] == 1
        let deaths = network.deaths(of: 0..<4, seenBy: 0..<4, since: begin)
        return isNoticed && deaths == 0 ? nil : "\(deaths) live members are seen dead"
    }

    /// The disk of machine 2 runs on machine 4, too, and the two can't reach each other.
    private func startCopy(in network: VirtualNetwork) throws {
        network.kill(4)
        network.machines[4].disk = network.machines[2].disk
        network.isOpen = { from, to, _ in from + to != 6 || abs(from - to) != 2 }
        try network.start(4, key: network.machines[2].key)
    }

    private func copy(_ network: VirtualNetwork) throws -> String? {
        let original = network.machines[2].membership?.boot
        try startCopy(in: network)
        network.run(for: .seconds(3))
        let isKept = [0, 1, 3].allSatisfy {
            network.machines[$0].membership?.lives[network.id(2)]?.boot == original
        }
        return isKept ? nil : "the copy has shut out the original"
    }

    /// One of the two answers of the original to a member is late: it arrives when the node has
    /// moved to where its copy was.
    private func lateAnswer(_ network: VirtualNetwork) throws -> String? {
        try startCopy(in: network)
        let hasLink = network.isOpen
        network.isOpen = { from, to, channel in
            hasLink(from, to, channel) && (from != 2 || to != 0 || channel == .datagram)
        }
        network.recorded = []
        network.run(for: .seconds(3)) { network.machines[0].notes.dropped["clone"] != nil }
        network.run(for: .milliseconds(20))
        let answers = (network.recorded ?? []).filter {
            $0.from == 2 && $0.to == 0 && $0.channel == .stream
        }
        guard !answers.isEmpty else { return "the copy was not noticed" }
        network.kill(4)
        network.kill(2)
        network.run(for: .seconds(1))
        try network.start(4)
        network.run(for: .seconds(1)) {
            network.machines[0].membership?.inquiries[network.id(2)] != nil
        }
        let boot = network.machines[4].membership?.boot
        for answer in answers {
            network.tell(
                0, .received(answer.bytes, from: VirtualNetwork.address(2), via: .stream))
        }
        network.run(for: .milliseconds(300))
        let believed = network.machines[0].membership?.lives[network.id(2)]?.boot
        return believed == boot ? nil : "a node that has moved is refused"
    }

    /// A thief of a member's key says that another member is a clone.
    private func lie(_ network: VirtualNetwork) -> String? {
        guard let boot = network.machines[3].membership?.boot,
            let victim = network.machines[2].membership?.boot
        else { return "no boot" }
        network.kill(3)
        network.speak(
            as: 3, boot: boot, to: 2,
            .refusal(of: victim, elder: BootID(1), at: VirtualNetwork.address(4)))
        network.run(for: .seconds(5))
        return network.machines[2].notes.elder == nil ? nil : "a member has stopped another one"
    }

    /// A member is cut off until all others have given it up, and hears of that.
    private func silence(_ network: VirtualNetwork) -> String? {
        network.isOpen = { from, to, _ in from != 2 && to != 2 }
        let rest = [0, 1, 3, 4]
        network.run(for: .seconds(60)) { rest.allSatisfy { network.state(of: 2, at: $0) == .dead } }
        network.isOpen = { _, _, _ in true }
        network.run(for: .seconds(60)) { network.allSee(0..<5) }
        return network.allSee(0..<5) ? nil : "a live member has obeyed"
    }
}

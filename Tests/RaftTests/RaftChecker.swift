import Model

@testable import Raft

/// What must hold whatever the schedule, checked after each step and at each effect.
///
/// Source: the properties of the paper's figure 3, and what must be on which disk before a message
/// that says so leaves.
struct RaftChecker {
    private struct Place: Hashable {
        var index: UInt64
        var term: UInt64
    }

    private struct Ballot: Hashable {
        var voter: Int
        var term: UInt64
    }

    /// What one life of a node has done so far.
    private struct Life {
        var commitIndex: UInt64
        var appliedIndex: UInt64
        var state: UInt64
        /// The members in force after the last step: those that decided what this one commits.
        var members: RaftMembers
    }

    private(set) var violations: [String] = []
    /// Every committed entry, as the first node that committed it has it.
    private(set) var committed: [UInt64: RaftEntry] = [:]
    /// The application's state after each applied entry: a hash of the commands up to there.
    private(set) var states: [UInt64: UInt64] = [0: 0]
    private(set) var commitMax: UInt64 = 0
    private var leaders: [UInt64: Int] = [:]
    private var written: [Place: (entry: RaftEntry, previousTerm: UInt64)] = [:]
    private var ballots: [Ballot: NodeID] = [:]
    private var lives: [Int: Life] = [:]
    private var askedReads: [UInt64: UInt64] = [:]

    mutating func fail(_ violation: String) {
        violations.append(violation)
    }

    // MARK: Lives

    mutating func started(_ number: Int, from image: RaftImage, members: RaftMembers) {
        let index = image.snapshot.index
        lives[number] = Life(
            commitIndex: index, appliedIndex: index,
            state: RaftChecker.state(in: image.snapshot.payload), members: members)
        if index > 0, states[index] != lives[number]?.state {
            fail("node \(number) starts from a state that \(index) never had")
        }
        if let last = image.entries.last, last.term > image.hardState.term {
            fail("node \(number) has an entry of a term that it has forgotten")
        }
    }

    /// A snapshot's payload: the state, then filler.
    static func payload(of state: UInt64, sizeBytes: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.fixed64(state)
        let filler = (8..<max(sizeBytes, 8)).map { UInt8(truncatingIfNeeded: $0) ^ writer.bytes[7] }
        return writer.bytes + filler
    }

    private static func state(in payload: [UInt8]) -> UInt64 {
        var reader = ByteReader(payload)
        return (try? reader.fixed64()) ?? 0
    }

    // MARK: After each step

    mutating func check(_ number: Int, _ engine: RaftEngine, disks: [Int: RaftDisk]) {
        if engine.role == .leader { checkLeader(number, engine) }
        guard let life = lives[number] else { return }
        lives[number]?.members = engine.members
        guard engine.commitIndex >= life.commitIndex else {
            return fail("node \(number) takes back what it committed")
        }
        guard engine.commitIndex > life.commitIndex else { return }
        lives[number]?.commitIndex = engine.commitIndex
        let first = max(life.commitIndex, engine.firstIndex - 1) + 1
        for index in first..<engine.commitIndex + 1 {
            guard let entry = engine.log.entry(at: index) else { continue }
            if let known = committed[index], known != entry {
                fail("index \(index) is committed with terms \(known.term) and \(entry.term)")
            }
            committed[index] = entry
        }
        commitMax = max(commitMax, engine.commitIndex)
        if engine.role == .leader { checkDurable(number, engine, life.members, disks) }
    }

    /// Election safety, and leader completeness.
    private mutating func checkLeader(_ number: Int, _ engine: RaftEngine) {
        if let other = leaders[engine.term] {
            if other != number { fail("term \(engine.term) has leaders \(other) and \(number)") }
            return
        }
        leaders[engine.term] = number
        for (index, entry) in committed where index >= engine.firstIndex {
            guard engine.log.entry(at: index) == entry else {
                return fail("the leader of term \(engine.term) lacks what was committed")
            }
        }
    }

    /// What a leader commits is on the disks of a majority.
    private mutating func checkDurable(
        _ number: Int, _ engine: RaftEngine, _ members: RaftMembers, _ disks: [Int: RaftDisk]
    ) {
        let index = engine.commitIndex
        guard let term = engine.log.term(at: index) else { return }
        func holds(_ nodes: [NodeID]) -> Bool {
            nodes.isEmpty
                || nodes.count { disks[RaftBench.number($0)]?.holds(index, term) ?? false }
                    > nodes.count / 2
        }
        if !holds(members.voters) || !holds(members.outgoingVoters) {
            fail("leader \(number) commits \(index), which too few disks hold")
        }
    }

    // MARK: Effects

    /// What a message says must already be on its sender's disk.
    mutating func sent(_ message: RaftMessage, by number: Int, to peer: NodeID, disk: RaftDisk) {
        let durable = disk.hardState
        switch message.content {
        case .voteReply(let isGranted) where isGranted:
            let ballot = Ballot(voter: number, term: message.term)
            if let other = ballots[ballot], other != peer {
                fail("node \(number) votes twice in term \(message.term)")
            }
            ballots[ballot] = peer
            guard
                durable.term > message.term
                    || durable.term == message.term && durable.vote == peer
            else { return fail("node \(number) sends a vote that is not on its disk") }
        case .voteRequest, .append, .snapshot:
            if durable.term < message.term {
                fail("node \(number) acts in term \(message.term), which its disk does not know")
            }
        case .appendReply(let matchIndex, _):
            if matchIndex > disk.lastIndex {
                fail("node \(number) acknowledges \(matchIndex) before it is on its disk")
            }
        default: break
        }
    }

    /// Log matching: entries of one index and term are the same, and so is what precedes them.
    mutating func wrote(_ write: RaftWrite, by number: Int, _ engine: RaftEngine) {
        for (index, entry) in write.entries {
            guard let previous = engine.log.term(at: index - 1) else { continue }
            let place = Place(index: index, term: entry.term)
            if let known = written[place], known != (entry, previous) {
                fail("two entries have index \(index) and term \(entry.term)")
            }
            written[place] = (entry, previous)
        }
    }

    mutating func applied(_ number: Int, _ index: UInt64, _ term: UInt64, _ payload: [UInt8]) {
        guard var life = lives[number] else { return }
        pass(index - 1, &life, number)
        if index <= life.appliedIndex { fail("node \(number) applies \(index) again") }
        var state = life.state ^ (index &* 0x9E37_79B9_7F4A_7C15)
        for byte in payload.prefix(64) { state = (state ^ UInt64(byte)) &* 0x0100_0000_01B3 }
        life.state = state &+ UInt64(payload.count)
        pass(index, &life, number)
        lives[number] = life
    }

    mutating func applied(_ number: Int, upTo index: UInt64) {
        guard var life = lives[number] else { return }
        pass(index, &life, number)
        lives[number] = life
    }

    /// The state machine's safety: all have the same state at the same place of the log.
    private mutating func pass(_ index: UInt64, _ life: inout Life, _ number: Int) {
        while life.appliedIndex < index {
            life.appliedIndex += 1
            if let known = states[life.appliedIndex], known != life.state {
                fail("node \(number) has another state at \(life.appliedIndex)")
            }
            states[life.appliedIndex] = life.state
        }
    }

    mutating func installed(_ number: Int, _ index: UInt64, _ payload: [UInt8]) {
        let state = RaftChecker.state(in: payload)
        lives[number]?.appliedIndex = index
        lives[number]?.state = state
        guard let known = states[index],
            payload == RaftChecker.payload(of: known, sizeBytes: payload.count)
        else { return fail("node \(number) installs a state that \(index) never had") }
    }

    // MARK: Reads

    mutating func asked(_ context: UInt64) {
        askedReads[context] = commitMax
    }

    /// A read sees everything that was committed when it was asked for.
    mutating func answered(_ context: UInt64, at index: UInt64) {
        if let known = askedReads[context], index < known {
            fail("read \(context) is answered at \(index), and \(known) was committed before it")
        }
    }
}

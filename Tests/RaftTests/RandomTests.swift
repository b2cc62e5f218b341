import Model
import Testing

@testable import Raft

/// Random schedules: loss, doubling, reordering, partitions, crashes, slow disks, changes of members.
@Suite struct RandomTests {
    /// Plays one seed; returns what was violated.
    static func play(seed: UInt64, steps: Int, mutation: RaftMutation? = nil) -> RaftBench {
        let bench = RaftBench(seed: seed, mutation: mutation)
        bench.persistsAtOnce = false
        bench.found([1, 2, 3])
        for number in 4...5 {
            bench.disks[number] = RaftBench.Disk()
            bench.start(number)
        }
        var proposals: UInt8 = 0
        for _ in 0..<steps where bench.violations.isEmpty {
            let number = 1 + Int(bench.random.next() % 5)
            switch bench.random.next() % 100 {
            case 0..<50:
                guard !bench.wires.isEmpty else { continue }
                // Mostly in order, sometimes not.
                let reach = bench.random.next() % 4 == 0 ? bench.wires.count : 1
                bench.deliver(Int(bench.random.next() % UInt64(reach)))
            case 50..<68: bench.persistOne(number)
            case 68..<80: bench.tick(number)
            case 80..<88:
                proposals &+= 1
                bench.step(number, .propose([proposals], context: UInt64(proposals)))
            case 88..<91:
                guard !bench.wires.isEmpty else { continue }
                bench.wires.remove(at: Int(bench.random.next() % UInt64(bench.wires.count)))
            case 91..<93:
                guard let wire = bench.wires.randomElement(using: &bench.random) else { continue }
                bench.wires.append(wire)
            case 93..<95:
                let pending = bench.writes[number]?.count ?? 0
                bench.crash(number, survivors: Int(bench.random.next() % UInt64(pending + 1)))
                bench.start(number)
            case 95..<97:
                let voters = (1...5).shuffled(using: &bench.random).prefix(3).map(RaftBench.id)
                bench.step(number, .proposeMembers(voters: voters))
            case 97..<98:
                guard let engine = bench.engines[number], engine.appliedIndex > 2 else { continue }
                bench.step(
                    number, .compact(upTo: engine.appliedIndex - 1, snapshot: [7, 7]))
            default: bench.step(number, .readIndex(context: bench.random.next()))
            }
        }
        return bench
    }

    @Test(arguments: 0..<60)
    func `no schedule breaks safety, and all heals afterwards`(seed: Int) {
        let bench = RandomTests.play(seed: UInt64(seed), steps: 3_000)
        #expect(bench.violations.isEmpty, "seed \(seed): \(bench.violations)")
        // Liveness: a network without faults elects a leader that commits.
        bench.persistsAtOnce = true
        for number in 1...5 {
            while bench.persistOne(number) {}
        }
        let before = bench.committed.keys.max() ?? 0
        var isDone = false
        for round in 0..<400 where !isDone {
            bench.now = bench.now + .milliseconds(50)
            for number in 1...5 {
                if let due = bench.engines[number]?.nextDeadline, due <= bench.now {
                    bench.step(number, .deadlineReached)
                }
            }
            while !bench.wires.isEmpty { bench.deliver(0) }
            for number in 1...5 where bench.engines[number]?.role == .leader {
                bench.step(number, .propose([UInt8(round & 0xFF)], context: 1))
            }
            isDone = (bench.committed.keys.max() ?? 0) > before + 3
        }
        #expect(isDone, "seed \(seed): nothing is committed any more")
        #expect(bench.violations.isEmpty, "seed \(seed): \(bench.violations)")
    }

    @Test(arguments: [RaftMutation.votesWithoutLogCheck, .votesTwice, .countsUnpersisted])
    func `a known bug is caught by some schedule`(mutation: RaftMutation) {
        let isCaught = (0..<400).contains { seed in
            let bench = RandomTests.play(
                seed: UInt64(seed), steps: 4_000, mutation: mutation)
            return !bench.violations.isEmpty
        }
        #expect(isCaught, "\(mutation) went unnoticed")
    }
}

@Suite struct RaftCodecTests {
    private let messages: [RaftMessage] = [
        RaftMessage(term: 3, .preVoteRequest(lastIndex: 9, lastTerm: 2)),
        RaftMessage(term: 3, .voteRequest(lastIndex: 9, lastTerm: 2, isTransfer: true)),
        RaftMessage(
            term: 7,
            .append(
                previousIndex: 4, previousTerm: 3,
                entries: [
                    RaftEntry(term: 7, content: .noop),
                    RaftEntry(term: 7, content: .command([1, 2, 3])),
                    RaftEntry(
                        term: 7,
                        content: .members(
                            RaftMembers(
                                voters: [RaftBench.id(1)], outgoingVoters: [RaftBench.id(2)],
                                learners: [RaftBench.id(3)]))),
                ], commit: 4, round: 99)),
        RaftMessage(
            term: 8,
            .snapshot(
                index: 5, term: 4, members: RaftMembers(voters: [RaftBench.id(1)]), offset: 0,
                totalBytes: 3, chunk: [1, 2, 3], round: 1)),
    ]

    @Test func `no truncation and no flipped bit traps the decoder or the engine`() {
        for message in messages {
            let bytes = message.encoded
            for count in 0..<bytes.count {
                #expect(throws: CodecError.self) { try RaftMessage(decoding: bytes.prefix(count)) }
            }
            for position in bytes.indices {
                for bit in 0..<8 {
                    var flipped = bytes
                    flipped[position] ^= 1 << bit
                    guard let wrong = try? RaftMessage(decoding: flipped) else { continue }
                    let bench = RaftBench(seed: 5)
                    bench.found([1, 2, 3])
                    bench.step(1, .received(wrong, from: RaftBench.id(2)))
                    bench.step(1, .received(message, from: RaftBench.id(3)))
                }
            }
        }
    }

    @Test func `extreme numbers of a peer change nothing for the worse`() {
        let extremes: [UInt64] = [0, 1, .max - 1, .max]
        for a in extremes {
            for b in extremes {
                let bench = RaftBench(seed: 6)
                bench.found([1, 2, 3])
                let peer = RaftBench.id(2)
                for term in [1, 2, .max - 1, .max] as [UInt64] {
                    for content in hostile(a, b) {
                        bench.step(1, .received(RaftMessage(term: term, content), from: peer))
                    }
                }
                #expect(bench.violations.isEmpty)
            }
        }
    }

    private func hostile(_ a: UInt64, _ b: UInt64) -> [RaftMessage.Content] {
        [
            .append(
                previousIndex: a, previousTerm: b,
                entries: [RaftEntry(term: b, content: .noop)], commit: a, round: b),
            .appendReply(matchIndex: a, round: b),
            .appendReject(previousIndex: a, hintIndex: b, round: b),
            .snapshotReply(index: a, receivedBytes: b, round: a),
            .snapshot(
                index: a, term: b, members: RaftMembers(voters: []), offset: b, totalBytes: a,
                chunk: [1], round: a),
            .voteRequest(lastIndex: a, lastTerm: b, isTransfer: true), .timeoutNow,
        ]
    }
}

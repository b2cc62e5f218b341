import Model
import Testing

@testable import Raft

/// The decoder and the engine behind it, fed with damage.
@Suite struct RaftCodecTests {
    private static let members = RaftMembers(
        voters: [RaftBench.id(1)], outgoingVoters: [RaftBench.id(2)], learners: [RaftBench.id(3)])
    /// One message of each kind.
    static let messages: [RaftMessage] = [
        RaftMessage(term: 3, .preVoteRequest(lastIndex: 9, lastTerm: 2)),
        RaftMessage(term: 3, .preVoteReply(isGranted: true)),
        RaftMessage(term: 3, .voteRequest(lastIndex: 9, lastTerm: 2, isTransfer: true)),
        RaftMessage(term: 3, .voteReply(isGranted: true)),
        RaftMessage(
            term: 7,
            .append(
                previousIndex: 1, previousTerm: 1,
                entries: [
                    RaftEntry(term: 7, content: .noop),
                    RaftEntry(term: 7, content: .command([1, 2, 3])),
                    RaftEntry(term: 7, content: .members(members)),
                ], commit: 4, round: 99)),
        RaftMessage(term: 2, .appendReply(matchIndex: 2, round: 1)),
        RaftMessage(
            term: 2, .appendReject(previousIndex: 1, hintIndex: 1, round: 1)),
        RaftMessage(
            term: 8,
            .snapshot(
                index: 5, term: 4, members: members, offset: 0, totalBytes: 3, chunk: [1, 2, 3],
                round: 1)),
        RaftMessage(term: 2, .snapshotReply(index: 3, receivedBytes: 9, round: 1)),
        RaftMessage(term: 1, .timeoutNow),
    ]

    @Test(arguments: messages)
    func `no truncation and no flipped bit traps the decoder or the engine`(
        message: RaftMessage
    ) {
        let bytes = message.encoded
        for count in 0..<bytes.count {
            #expect(throws: CodecError.self) { try RaftMessage(decoding: bytes.prefix(count)) }
        }
        for position in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[position] ^= 1 << bit
                guard let wrong = try? RaftMessage(decoding: flipped) else { continue }
                #expect(wrong.encoded == flipped)
                HostilePeerTests.suffer([wrong, message])
            }
        }
    }

    @Test func `random bytes never trap the decoder`() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<20_000 {
            let count = Int(random.next() % 64)
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if let message = try? RaftMessage(decoding: bytes) { #expect(message.encoded == bytes) }
            _ = try? RaftEntry(decoding: bytes)
            _ = try? RaftSnapshot(decoding: bytes)
            _ = try? RaftHardState(decoding: bytes)
        }
    }

    @Test func `random damage to a disk never traps its reader, nor the engine behind it`() {
        var random = SeededGenerator(seed: 12)
        for seed in 0..<8 as Range<UInt64> {
            var schedule = RandomSchedule(seed: seed)
            schedule.play(steps: 400)
            for number in 1...3 {
                for _ in 0..<100 {
                    var disk = schedule.bench.disks[number] ?? RaftDisk()
                    for _ in 0...(random.next() % 3) { disk.damage(using: &random) }
                    guard let image = try? disk.image else { continue }
                    var engine = RaftEngine(
                        id: RaftBench.id(number), configuration: schedule.bench.configuration,
                        restored: image, seed: 1, at: .zero)
                    let due = engine.nextDeadline ?? .zero
                    engine.handle(.deadlineReached, at: due) { _ in }
                    #expect(engine.lastIndex >= image.snapshot.index)
                }
            }
        }
    }

    @Test func `a message holds entries up to its bound, and none past it`() throws {
        func append(_ count: Int) -> [UInt8] {
            RaftMessage(
                term: 1,
                .append(
                    previousIndex: 0, previousTerm: 0,
                    entries: Array(repeating: RaftEntry(term: 1, content: .noop), count: count),
                    commit: 0, round: 0)
            ).encoded
        }
        _ = try RaftMessage(decoding: append(RaftMessage.entriesCountMax))
        #expect(throws: CodecError.outOfBounds) {
            try RaftMessage(decoding: append(RaftMessage.entriesCountMax + 1))
        }
    }

    @Test func `a chunk is as large as its bound at most`() throws {
        func part(_ count: Int) -> [UInt8] {
            RaftMessage(
                term: 1,
                .snapshot(
                    index: 1, term: 1, members: RaftMembers(voters: []), offset: 0,
                    totalBytes: UInt64(count), chunk: [UInt8](repeating: 0, count: count), round: 0)
            ).encoded
        }
        _ = try RaftMessage(decoding: part(RaftMessage.chunkSizeBytesMax))
        #expect(throws: CodecError.outOfBounds) {
            try RaftMessage(decoding: part(RaftMessage.chunkSizeBytesMax + 1))
        }
    }

    @Test func `the largest message fits one frame`() {
        let half = RaftEntry.commandSizeBytesMax
        let command = RaftEntry(term: .max, content: .command([UInt8](repeating: 0, count: half)))
        var log = RaftLog(snapshot: .none, entries: [])
        for _ in 0..<20 { log.append(command) }
        let batch = log.batch(from: 1, countMax: RaftMessage.entriesCountMax)
        let message = RaftMessage(
            term: .max,
            .append(
                previousIndex: .max, previousTerm: .max, entries: batch, commit: .max, round: .max))
        #expect(message.encoded.count < Channel.frameSizeBytesMax / 2)
    }

    @Test func `a hard state of an older disk has not left`() throws {
        var old = RaftHardState(term: 3, vote: RaftBench.id(1))
        let bytes = old.encoded
        #expect(try RaftHardState(decoding: bytes.dropLast()) == old)
        old.leftAtIndex = 9
        #expect(try RaftHardState(decoding: old.encoded) == old)
    }

    @Test func `a set of members never holds a node twice`() {
        let one = RaftBench.id(1)
        let members = RaftMembers(voters: [one, one], learners: [one, one])
        #expect(members.voters == [one])
        #expect((try? RaftMembers(decoding: members.encoded)) == members)
    }
}

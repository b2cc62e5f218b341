import Model
import Testing

@testable import Lock

/// BEFORE / COMPUTE / AFTER: who should vote.
@Suite struct VoterChoiceTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// One letter a member: a alive, n alive since now, s suspect, d dead lately, D dead for
        /// long, l left, g going, u alive and unheard of in the log.
        let members: String
        /// One letter a member: its zone; a dot for none.
        var zones = ""
        let voters: [Int]
        let after: [Int]
    }

    @Test(arguments: [
        Row(testDescription: "one member votes alone", members: "a", voters: [0], after: [0]),
        Row(testDescription: "two members have one voter", members: "aa", voters: [0], after: [0]),
        Row(
            testDescription: "the third member makes three voters", members: "aaa", voters: [0],
            after: [0, 1, 2]),
        Row(
            testDescription: "more members do not make more voters", members: "aaaaa",
            voters: [0, 1, 2], after: [0, 1, 2]),
        Row(
            testDescription: "a voter that died lately keeps its vote", members: "aadaa",
            voters: [0, 1, 2], after: [0, 1, 2]),
        Row(
            testDescription: "a voter that is dead for long is replaced", members: "aaDaa",
            voters: [0, 1, 2], after: [0, 1, 3]),
        Row(
            testDescription: "without a replacement a dead voter stays", members: "aaD",
            voters: [0, 1, 2], after: [0, 1, 2]),
        Row(
            testDescription: "a voter that left is replaced at once", members: "aalaa",
            voters: [0, 1, 2], after: [0, 1, 3]),
        Row(
            testDescription: "a voter that is going is replaced", members: "agaa",
            voters: [0, 1, 2], after: [0, 2, 3]),
        Row(
            testDescription: "back to one voter when members leave", members: "all",
            voters: [0, 1, 2], after: [0]),
        Row(
            testDescription: "a leader that goes hands over", members: "ga", voters: [0], after: [1]
        ),
        Row(
            testDescription: "six members have three voters", members: "aaaaaa",
            voters: [0, 1, 2], after: [0, 1, 2]),
        Row(
            testDescription: "the seventh member makes five voters", members: "aaaaaaa",
            voters: [0, 1, 2], after: [0, 1, 2, 3, 4]),
        Row(
            testDescription: "five voters stay five while there are five members",
            members: "aaaaall", voters: [0, 1, 2, 3, 4], after: [0, 1, 2, 3, 4]),
        Row(
            testDescription: "with four members left there are three voters again",
            members: "aaaalll", voters: [0, 1, 2, 3, 4], after: [0, 1, 2]),
        Row(
            testDescription: "two dead ones of five voters are replaced together",
            members: "aaaDDaa", voters: [0, 1, 2, 3, 4], after: [0, 1, 2, 5, 6]),
        Row(
            testDescription: "of five voters two stay dead when nobody can replace them",
            members: "aaaDD", voters: [0, 1, 2, 3, 4], after: [0, 1, 2, 3, 4]),
        Row(
            testDescription: "a voter that is alive and silent is replaced", members: "aauaa",
            voters: [0, 1, 2], after: [0, 1, 3]),
        Row(
            testDescription: "without a replacement a silent voter stays", members: "aau",
            voters: [0, 1, 2], after: [0, 1, 2]),
        Row(
            testDescription: "nobody is chosen who does not take part in the log", members: "aaDua",
            voters: [0, 1, 2], after: [0, 1, 4]),
        Row(
            testDescription: "the longest there get the seats", members: "annna", voters: [0],
            after: [0, 1, 4]),
        Row(
            testDescription: "new voters come from other zones", members: "aaaaa", zones: "aaabc",
            voters: [0], after: [0, 3, 4]),
        Row(
            testDescription: "voters of one zone make room for others", members: "aaaaa",
            zones: "aaabc", voters: [0, 1, 2], after: [0, 3, 4]),
        Row(
            testDescription: "who has just come takes no live voter's seat", members: "aaann",
            zones: "aaabc", voters: [0, 1, 2], after: [0, 1, 2]),
        Row(
            testDescription: "two zones share three voters, and nobody moves for nothing",
            members: "aaaaa", zones: "aabbb", voters: [0, 1, 2], after: [0, 1, 2]),
        Row(
            testDescription: "a dead voter's seat stays in its zone if it can", members: "aaDaaa",
            zones: "abcabc", voters: [0, 1, 2], after: [0, 1, 5]),
        Row(
            testDescription: "who names no zone is alone in it", members: "aaaaa", zones: "aa...",
            voters: [0, 1, 2], after: [0, 2, 3]),
        Row(
            testDescription: "the leader keeps its seat in a crowded zone", members: "aaaa",
            zones: "aaab", voters: [0, 1, 2], after: [0, 1, 3]),
    ])
    func `the voters follow the members`(row: Row) {
        let now = Instant(nanoseconds: 1_000_000_000_000)
        let long = now - .seconds(600)
        var leaving: Set<NodeID> = []
        var unheard: Set<NodeID> = []
        var members = row.members.enumerated().map { index, letter in
            let id = VoterChoiceTests.id(index)
            switch letter {
            case "d": return LockMember(id: id, state: .dead, since: now - .seconds(1))
            case "D": return LockMember(id: id, state: .dead, since: long)
            case "l": return LockMember(id: id, state: .left, since: long)
            case "n": return LockMember(id: id, state: .alive, since: now)
            case "u":
                unheard.insert(id)
                return LockMember(id: id, state: .alive, since: long)
            case "s": return LockMember(id: id, state: .suspect, since: now)
            case "g":
                leaving.insert(id)
                return LockMember(id: id, state: .alive, since: long)
            default: return LockMember(id: id, state: .alive, since: long)
            }
        }
        for (index, zone) in row.zones.enumerated() where zone != "." {
            members[index].zone = String(zone)
        }
        var situation = VoterChoice.Situation(
            members: members, leaving: leaving, unheard: unheard,
            voters: row.voters.map(VoterChoiceTests.id), leader: VoterChoiceTests.id(0),
            replaceAfter: .seconds(20), now: now)
        let chosen = VoterChoice.choose(situation)
        #expect(chosen == row.after.map(VoterChoiceTests.id))
        // Once it is so, it stays so.
        situation.voters = chosen
        #expect(VoterChoice.choose(situation) == chosen)
    }

    private static func id(_ number: Int) -> NodeID {
        NodeID(Wide128(high: 0, low: UInt64(number + 1)))
    }
}

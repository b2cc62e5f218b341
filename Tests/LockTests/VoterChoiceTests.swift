import Model
import Testing

@testable import Lock

/// BEFORE / COMPUTE / AFTER: who should vote.
@Suite struct VoterChoiceTests {
    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// One letter a member: a alive, s suspect, d dead lately, D dead for long, l left, g going.
        let members: String
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
    ])
    func `the voters follow the members`(row: Row) {
        let now = Instant(nanoseconds: 1_000_000_000_000)
        let long = now - .seconds(600)
        var leaving: Set<NodeID> = []
        let members = row.members.enumerated().map { index, letter in
            let id = VoterChoiceTests.id(index)
            switch letter {
            case "d": return LockMember(id: id, state: .dead, since: now - .seconds(1))
            case "D": return LockMember(id: id, state: .dead, since: long)
            case "l": return LockMember(id: id, state: .left, since: long)
            case "s": return LockMember(id: id, state: .suspect, since: now)
            case "g":
                leaving.insert(id)
                return LockMember(id: id, state: .alive, since: long)
            default: return LockMember(id: id, state: .alive, since: long)
            }
        }
        let chosen = VoterChoice.choose(
            VoterChoice.Situation(
                members: members, leaving: leaving, voters: row.voters.map(VoterChoiceTests.id),
                leader: VoterChoiceTests.id(0), replaceAfter: .seconds(20), now: now))
        #expect(chosen == row.after.map(VoterChoiceTests.id))
    }

    private static func id(_ number: Int) -> NodeID {
        NodeID(Wide128(high: 0, low: UInt64(number + 1)))
    }
}

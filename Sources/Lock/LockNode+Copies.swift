package import Model
import Raft

/// A disk that is found on another machine than the one on which its node had its last session.
///
/// It may be a copy, and the node it was copied from may go on voting: two machines would keep the
/// promises of one voter.
extension LockNode {
    /// Whether a node that starts from this disk here can't vote: it may be the copy of one that
    /// does, or is to.
    ///
    /// Who voted alone, or with nobody else, may have been moved, and nobody could take its place;
    /// it waits instead (`isQuietCopy`).
    package static func isCopyWithoutVote(
        _ image: DurableImage, of node: NodeID, on machine: MachineID,
        mutation: LockMutation? = nil
    ) -> Bool {
        guard mutation != .votesAsCopy, isElsewhere(image, machine),
            let log = try? RaftImage(restoring: image)
        else { return false }
        return soleVoter(in: log) != node
    }

    /// Whether the only voter begins on another machine: the one that it was copied from may only
    /// stand still, and has a lease's time to wake up.
    static func isQuietCopy(
        _ image: DurableImage, _ log: RaftImage, of node: NodeID, on machine: MachineID
    ) -> Bool {
        isElsewhere(image, machine) && soleVoter(in: log) == node
    }

    /// Whether the last session on this disk was opened on another machine.
    package static func isElsewhere(_ image: DurableImage, _ machine: MachineID) -> Bool {
        guard machine != .unknown,
            let row = image.value(of: LockSessionRow.key, in: .session),
            let stored = try? LockSessionRow(decoding: row)
        else { return false }
        return stored.machine != .unknown && stored.machine != machine
    }

    /// The only node that every set of voters in a log names.
    private static func soleVoter(in log: RaftImage) -> NodeID? {
        var sets = [log.snapshot.members]
        for case .members(let members) in log.entries.map(\.content) { sets.append(members) }
        let voters = Set(sets.flatMap { $0.voters + $0.outgoingVoters })
        return voters.count == 1 ? voters.first : nil
    }
}

import Gossip
import Lock
package import Model

/// What a later version would say and this one does not understand, for simulations of upgrades.
extension Node {
    /// A kind of message that no version uses.
    private static let newerKind: UInt8 = 250

    /// Tells every member something that an older version can't read; none may be the worse for it.
    mutating func speakNewer(at now: Instant, emit: (NodeEffect) -> Void) {
        guard !configuration.newerFields.isEmpty else { return }
        let content = [Node.newerKind] + configuration.newerFields
        for member in membership.members where member.id != id && member.state.isInReach {
            for payload in [
                content, PeerMessage.wrap(table: content), PeerMessage.wrap(lock: content),
            ] {
                send(payload, to: member.id, via: .datagram, at: now, emit: emit)
            }
        }
    }

    /// The fields of a task's record that this version does not know, as they travel.
    package func newerFields(of task: TaskID) -> [UInt8] {
        var writer = ByteWriter()
        table.record(task)?.unknown.encode(into: &writer)
        return writer.bytes
    }
}

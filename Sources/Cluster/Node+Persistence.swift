import Gossip
import Lock
import Model

/// Which part of the node waits for which write.
struct PersistDesk: Sendable {
    /// The part that a ticket belongs to.
    enum Owner: Sendable {
        case table(TableTicket)
        case lock(LockTicket)
        case images(ImageTicket)
        /// The node's key was renewed: the surroundings keep it.
        case key(PublicKey)
        /// A client waits, and gets this answer.
        case client(RequestID, NodeReply)
    }

    private var owners: [PersistTicket: Owner] = [:]
    private var last = PersistTicket(0)

    /// Draws a ticket; `nil` for a write that nobody waits for.
    mutating func ticket(for owner: Owner?) -> PersistTicket {
        last = PersistTicket(last.value + 1)
        owners[last] = owner
        return last
    }

    /// Tells whose ticket it was, once.
    mutating func redeem(_ ticket: PersistTicket) -> Owner? {
        owners.removeValue(forKey: ticket)
    }
}

extension Node {
    mutating func persisted(
        _ ticket: PersistTicket, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        switch persistence.redeem(ticket) {
        case .table(let ticket): table(.persisted(ticket), at: now, emit: emit)
        case .lock(let ticket): lock(.persisted(ticket), at: now, emit: emit)
        case .images(let ticket):
            images(.persisted(ticket, isDone: true), at: now, emit: emit)
        case .key(let key): emit(.keepKey(key))
        case .client(let request, let reply): emit(.reply(request, reply))
        case nil: break
        }
    }

    mutating func persistFailed(
        _ ticket: PersistTicket, reason: String, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        noteDiskFailure(reason, at: now, emit: emit)
        switch persistence.redeem(ticket) {
        case .table(let ticket): table(.persistFailed(ticket), at: now, emit: emit)
        case .lock(let ticket): lock(.persistFailed(ticket), at: now, emit: emit)
        case .images(let ticket):
            images(.persisted(ticket, isDone: false), at: now, emit: emit)
        case .client(let request, _):
            emit(.reply(request, .refused(Refusal(.storage, "the disk refused the write"))))
        case .key, nil: break
        }
    }

    /// Says that the disk refuses writes, but not with each of them.
    private mutating func noteDiskFailure(
        _ reason: String, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        diskFailures += 1
        guard nextDiskNotice.map({ $0 <= now }) ?? true else { return }
        let count = diskFailures == 1 ? "" : " (\(diskFailures) writes)"
        emit(
            .observe(.notice(.error, "writing to the data directory failed\(count): \(reason)")))
        diskFailures = 0
        nextDiskNotice = now + Node.diskNoticeInterval
    }

    /// How often people are told that the disk refuses writes.
    static let diskNoticeInterval: Duration = .seconds(30)
}

import CRDT
import Model

/// Eager push: changes go out at once, and submissions until enough disks have them.
extension TableReplica {
    /// Whether a message of a table pushes changes; for those who count messages.
    package static func isPush(_ message: [UInt8]) -> Bool {
        message.first == TableMessage.pushTag
    }

    /// Pushes what has gathered: at once when the last push is a while ago, else a little later
    /// and together with what comes until then.
    mutating func push(at now: Instant, emit: (TableEffect) -> Void) {
        guard !outbox.isEmpty else { return }
        let due = outbox.lastPush + configuration.pushInterval
        guard due <= now || outbox.lastPush == .zero || outbox.isFull else {
            outbox.due = due
            return
        }
        let isDirect = peers.count <= TableConfiguration.directPeersMax
        send(
            deltas(in: outbox.own), hops: isDirect ? 0 : TableConfiguration.hopsMax,
            to: targets(TableConfiguration.originFanout), emit: emit)
        if !outbox.passedOn.isEmpty {
            send(
                deltas(in: outbox.passedOn), hops: outbox.passedOn.hops,
                to: targets(TableConfiguration.rumourFanout), emit: emit)
        }
        outbox = TableOutbox()
        outbox.lastPush = now
    }

    /// What a lane says; the whole record where that is more than one delta may hold.
    private func deltas(in lane: TableOutbox.Lane) -> [TaskDelta] {
        lane.ids.compactMap { id in
            guard let delta = lane.deltas[id] else { return nil }
            return delta.isReadable ? delta : tasks[id].map(TaskDelta.init)
        }
    }

    /// All peers when they are few, else so many of them by chance.
    private mutating func targets(_ count: Int) -> [NodeID] {
        guard peers.count > TableConfiguration.directPeersMax else { return peers }
        return Array(peers.shuffled(using: &random).prefix(count))
    }

    private mutating func send(
        _ deltas: [TaskDelta], hops: UInt8, to targets: [NodeID], emit: (TableEffect) -> Void
    ) {
        guard !targets.isEmpty, !deltas.isEmpty else { return }
        let parts = TablePart.divide(
            deltas, sizeBytesMax: TableConfiguration.messageSizeBytesMax)
        for part in parts {
            // Who gets less than the whole submission can't keep it, and so can't vouch for it.
            let ack = drawAck(for: part.submitted.filter { submissions[$0] != nil })
            let bytes = part.message {
                TableMessage.encodePush(ack: ack, hops: hops, into: &$0)
            }
            for target in targets { send(bytes, to: target, emit: emit) }
            guard configuration.mutation == .countsCopiesOnSend else { continue }
            for target in targets { storedRemotely(ack, by: target, emit: emit) }
        }
    }

    /// Draws the number under which peers tell that they have these on disk; 0 for none.
    private mutating func drawAck(for waiting: [TaskID]) -> UInt64 {
        guard !waiting.isEmpty else { return 0 }
        lastAck += 1
        acks[lastAck] = waiting
        // Numbers are drawn in a row: the oldest go when there are too many.
        if lastAck > UInt64(TableConfiguration.acksMax) {
            acks[lastAck - UInt64(TableConfiguration.acksMax)] = nil
        }
        return lastAck
    }

    func send(_ bytes: [UInt8], to peer: NodeID, emit: (TableEffect) -> Void) {
        let channel: Channel =
            bytes.count <= TableConfiguration.datagramSizeBytesMax ? .datagram : .stream
        if configuration.mutation == .dropsOversized, channel == .stream { return }
        emit(.send(bytes, to: peer, via: channel))
    }

    // MARK: Copies

    mutating func storedRemotely(_ ack: UInt64, by peer: NodeID, emit: (TableEffect) -> Void) {
        guard let waiting = acks[ack] else { return }
        for id in waiting {
            guard submissions[id]?.holders.insert(peer).inserted == true else { continue }
            reportCopies(of: id, emit: emit)
        }
        if !waiting.contains(where: { submissions[$0] != nil }) { acks[ack] = nil }
    }

    mutating func reportCopies(of id: TaskID, emit: (TableEffect) -> Void) {
        guard let submission = submissions[id], submission.copies > 0,
            submission.isOnOwnDisk || submission.isOwnDiskRefused
        else { return }
        emit(.stored(id, copies: submission.copies))
        if submission.copies >= submission.wantedCopies { submissions[id] = nil }
        if submissions.isEmpty {
            acks = [:]
            nextResend = nil
        }
    }

    /// Pushes submissions again that still lack copies, a bounded number of times.
    mutating func resendSubmissions(at now: Instant, emit: (TableEffect) -> Void) {
        guard let due = nextResend, due <= now else { return }
        var deltas: [TaskDelta] = []
        for id in submissions.keys.sorted() {
            guard let record = tasks[id], let submission = submissions[id] else {
                submissions[id] = nil
                continue
            }
            guard submission.resends < configuration.resendsMax else {
                giveUpCopies(of: id, submission, emit: emit)
                continue
            }
            guard deltas.count < TableConfiguration.resentAtOnceMax else { break }
            submissions[id]?.resends += 1
            // The first look comes soon after the submission itself: give it its time.
            if submission.resends > 0 { deltas.append(TaskDelta(record)) }
        }
        let hops = peers.count <= TableConfiguration.directPeersMax ? 0 : TableConfiguration.hopsMax
        send(deltas, hops: hops, to: targets(TableConfiguration.originFanout), emit: emit)
        nextResend = submissions.isEmpty ? nil : now + configuration.resendInterval
        if submissions.isEmpty { acks = [:] }
    }

    /// No more copies are sought; the own disk, when it has not answered yet, is waited for.
    private mutating func giveUpCopies(
        of id: TaskID, _ submission: TableSubmission, emit: (TableEffect) -> Void
    ) {
        guard submission.isOnOwnDisk || submission.isOwnDiskRefused else { return }
        submissions[id] = nil
        if submission.copies == 0 { emit(.submitFailed(id, reason: TableReplica.diskRefusal)) }
    }

    /// A client repeats a submission that this node knows: its copies are counted anew.
    mutating func secure(
        _ id: TaskID, copies: Int, at now: Instant, emit: (TableEffect) -> Void
    ) {
        guard let record = tasks[id] else { return }
        if submissions[id] == nil {
            submissions[id] = TableSubmission(wantedCopies: copies)
            submissions[id]?.isOnOwnDisk = !writes.isUnderWay(id)
            nextResend = nextResend ?? now + configuration.resendInterval
            send(
                [TaskDelta(record)], hops: 0, to: targets(TableConfiguration.originFanout),
                emit: emit)
        } else {
            let wanted = submissions[id]?.wantedCopies ?? 0
            submissions[id]?.wantedCopies = max(wanted, copies)
        }
        reportCopies(of: id, emit: emit)
    }
}

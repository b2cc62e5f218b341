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
        var own = deltas(in: outbox.own)
        // Others pass these on as they are: what a direct push leaves to its sender is said.
        if !hasFewPeers { own = own.map { $0.passedOn(from: node) } }
        send(own, to: everybody(), emit: emit)
        if !outbox.passedOn.isEmpty {
            let reach = PushReach.rumour(hops: outbox.passedOn.hops)
            let targets = somebody(TableConfiguration.rumourFanout)
            send(deltas(in: outbox.passedOn), to: targets.map { ($0, reach) }, emit: emit)
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

    // MARK: Whom

    /// A peer that is sent a push, and how far it passes it on.
    private typealias Target = (peer: NodeID, reach: PushReach)

    private var hasFewPeers: Bool { peers.count <= TableConfiguration.directPeersMax }

    /// All peers when they are few, else some who tell the rest.
    private mutating func everybody() -> [Target] {
        guard !hasFewPeers else { return peers.map { ($0, .none) } }
        guard let span = PushSpan.all(peers, around: node) else { return [] }
        return heads(of: span)
    }

    private mutating func heads(of span: PushSpan) -> [Target] {
        let parts = span.divided(
            among: TableConfiguration.spanFanout, of: peers, around: node, using: &random)
        return parts.map {
            ($0.head, $0.isLeaf ? .rumour(hops: TableConfiguration.hopsMax) : .span($0.span))
        }
    }

    /// So many peers by chance; all when they are few.
    private mutating func somebody(_ count: Int) -> [NodeID] {
        guard !hasFewPeers else { return peers }
        var chosen: [NodeID] = []
        while chosen.count < count, let peer = peers.randomElement(using: &random) {
            if !chosen.contains(peer) { chosen.append(peer) }
        }
        return chosen
    }

    /// Passes a push on to its span as it came, but for its head of `headSizeBytes` bytes; nobody
    /// there vouches for a copy of it.
    mutating func pass(
        _ bytes: [UInt8], after headSizeBytes: Int, on span: PushSpan, emit: (TableEffect) -> Void
    ) {
        for (peer, reach) in heads(of: span) {
            send(
                TableMessage.pushHead(0, reach) + bytes[headSizeBytes...], to: peer, emit: emit)
        }
    }

    // MARK: Sending

    private mutating func send(
        _ deltas: [TaskDelta], to targets: [Target], emit: (TableEffect) -> Void
    ) {
        guard !targets.isEmpty, !deltas.isEmpty else { return }
        let parts = TablePart.divide(
            deltas, sizeBytesMax: TableConfiguration.messageSizeBytesMax)
        for part in parts {
            // Who gets less than the whole submission can't keep it, and so can't vouch for it.
            let ack = drawAck(for: part.submitted.filter { submissions[$0] != nil })
            var message: (reach: PushReach, bytes: [UInt8])?
            for (peer, reach) in targets {
                if message?.reach != reach {
                    let bytes = part.message {
                        TableMessage.encodePush(ack: ack, reach: reach, into: &$0)
                    }
                    message = (reach, bytes)
                }
                if let message { send(message.bytes, to: peer, emit: emit) }
            }
            guard configuration.mutation == .countsCopiesOnSend else { continue }
            for (peer, _) in targets { storedRemotely(ack, by: peer, emit: emit) }
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
        // Whoever has heard of them passes nothing on: these are looked for by chance.
        let reach: PushReach = hasFewPeers ? .none : .rumour(hops: TableConfiguration.hopsMax)
        let targets = somebody(TableConfiguration.spanFanout)
        send(deltas, to: targets.map { ($0, reach) }, emit: emit)
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
            let targets = somebody(TableConfiguration.spanFanout)
            send([TaskDelta(record)], to: targets.map { ($0, .none) }, emit: emit)
        } else {
            let wanted = submissions[id]?.wantedCopies ?? 0
            submissions[id]?.wantedCopies = max(wanted, copies)
        }
        reportCopies(of: id, emit: emit)
    }
}

extension TaskDelta {
    /// The delta as any node may say it that heard it from `sender`.
    fileprivate func passedOn(from sender: NodeID) -> TaskDelta {
        guard !patches.isEmpty else { return self }
        var delta = self
        delta.patches = patches.mapValues { $0.passedOn(from: sender) }
        return delta
    }
}

import Model

/// Changes that wait to be pushed, one delta per task.
struct TableOutbox: Sendable {
    var deltas: [TaskID: TaskDelta] = [:]
    var order: [TaskID] = []
    /// How far the rumours in it still travel.
    var hops: UInt8 = 0
    var lastPush = Instant.zero
    /// When they are pushed; `nil` when there are none.
    var due: Instant?

    mutating func add(_ delta: TaskDelta, hops: UInt8) {
        if deltas[delta.id] == nil {
            order.append(delta.id)
            deltas[delta.id] = delta
        } else {
            deltas[delta.id]?.absorb(delta)
        }
        self.hops = max(self.hops, hops)
    }
}

/// A submission of this node that may still lack copies.
struct TableSubmission: Sendable {
    var wantedCopies: Int
    var isOnOwnDisk = false
    var isOwnDiskRefused = false
    var holders: Set<NodeID> = []
    var resends = 0

    var copies: Int { (isOnOwnDisk ? 1 : 0) + holders.count }
}

extension TableReplica {
    /// Pushes what has gathered: at once when the last push is a while ago, else a little later
    /// and together with what comes until then.
    mutating func push(at now: Instant, emit: (TableEffect) -> Void) {
        guard !outbox.order.isEmpty else { return }
        let due = outbox.lastPush + configuration.pushInterval
        guard due <= now || outbox.lastPush == .zero else {
            outbox.due = due
            return
        }
        let deltas = outbox.order.compactMap { outbox.deltas[$0] }
        let isOrigin = outbox.hops == 0 || outbox.hops == TableConfiguration.hopsMax
        let targets = pushTargets(isOrigin: isOrigin)
        send(deltas, hops: outbox.hops, to: targets, emit: emit)
        outbox = TableOutbox()
        outbox.lastPush = now
    }

    private mutating func pushTargets(isOrigin: Bool) -> [NodeID] {
        guard peers.count > TableConfiguration.directPeersMax else { return peers }
        let count =
            isOrigin ? TableConfiguration.originFanout : TableConfiguration.rumourFanout
        return Array(peers.shuffled(using: &random).prefix(count))
    }

    private mutating func send(
        _ deltas: [TaskDelta], hops: UInt8, to targets: [NodeID], emit: (TableEffect) -> Void
    ) {
        guard !targets.isEmpty else { return }
        for part in TableReplica.parts(of: deltas) {
            // Who gets less than the whole submission can't keep it, and so can't vouch for it.
            let waiting = part.filter { $0.submission != nil }.map(\.id)
                .filter { submissions[$0] != nil }
            var ack: UInt64 = 0
            if !waiting.isEmpty {
                lastAck += 1
                ack = lastAck
                acks[ack] = waiting
            }
            let bytes = TableMessage.push(ack: ack, hops: hops, part).encoded
            for target in targets { send(bytes, to: target, emit: emit) }
        }
    }

    func send(_ bytes: [UInt8], to peer: NodeID, emit: (TableEffect) -> Void) {
        let channel: Channel =
            bytes.count <= TableConfiguration.datagramSizeBytesMax ? .datagram : .stream
        emit(.send(bytes, to: peer, via: channel))
    }

    /// Deltas in portions that fit a message.
    static func parts(of deltas: [TaskDelta]) -> [[TaskDelta]] {
        var parts: [[TaskDelta]] = []
        var sizeBytes = 0
        for delta in deltas {
            let size = delta.sizeEstimateBytes
            if parts.isEmpty || sizeBytes + size > TableConfiguration.messageSizeBytesMax
                || parts[parts.count - 1].count == TableMessage.deltasMax
            {
                parts.append([])
                sizeBytes = 0
            }
            parts[parts.count - 1].append(delta)
            sizeBytes += size
        }
        return parts
    }

    // MARK: Copies

    mutating func storedRemotely(_ ack: UInt64, by peer: NodeID, emit: (TableEffect) -> Void) {
        for id in acks[ack] ?? [] {
            guard submissions[id]?.holders.insert(peer).inserted == true else { continue }
            reportCopies(of: id, emit: emit)
        }
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
            submissions[id]?.resends += 1
            // The first look comes soon after the submission itself: give it its time.
            if submission.resends > 0 { deltas.append(TaskDelta(record)) }
        }
        send(deltas, hops: 0, to: pushTargets(isOrigin: true), emit: emit)
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
            send([TaskDelta(record)], hops: 0, to: pushTargets(isOrigin: true), emit: emit)
        } else {
            let wanted = submissions[id]?.wantedCopies ?? 0
            submissions[id]?.wantedCopies = max(wanted, copies)
        }
        reportCopies(of: id, emit: emit)
    }
}

extension TaskDelta {
    /// About how many bytes the delta takes in a message; never too few by much.
    var sizeEstimateBytes: Int {
        var size = 64 + 24 * dots.count + 256 * rows.count
        if let spec = submission?.spec {
            size += 128
            for text in spec.command + spec.environment + spec.constraints {
                size += text.utf8.count + 4
            }
            for volume in spec.volumes {
                size += volume.source.utf8.count + volume.target.utf8.count + 8
            }
        }
        return size
    }
}

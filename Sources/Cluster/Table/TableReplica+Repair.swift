import CRDT
import Model

/// Anti-entropy by contexts: what eager push lost.
extension TableReplica {
    mutating func deadlineReached(at now: Instant, emit: (TableEffect) -> Void) {
        if repairDue <= now {
            repairDue =
                now + configuration.repairInterval * 0.75
                + random.duration(upTo: configuration.repairInterval * 0.5)
            if let peer = peers.randomElement(using: &random) {
                asked = (peer, now)
                send(TableMessage.digest(digest).encoded, to: peer, emit: emit)
                if rangesDue <= now {
                    rangesDue = now + configuration.rangesInterval
                    beginRanges(with: peer, emit: emit)
                }
            }
            retryRefusedWrites()
            collectDue(at: now, emit: emit)
        }
        resendSubmissions(at: now, emit: emit)
    }

    mutating func receive(
        _ bytes: [UInt8], from sender: NodeID, at now: Instant, emit: (TableEffect) -> Void
    ) {
        guard let message = try? TableMessage(decoding: bytes) else { return }
        switch consume message {
        case .push(let ack, let reach, let deltas):
            if case .span(let span) = reach {
                pass(bytes, after: TableMessage.pushHead(ack, reach).count, on: span, emit: emit)
            }
            let taken = take(deltas, from: sender, hops: reach.hopsLeft, at: now, emit: emit)
            if !taken.unplaced.isEmpty {
                let question = TableMessage.lacking(
                    Array(taken.unplaced.prefix(TableMessage.lackingMax)))
                send(question.encoded, to: sender, emit: emit)
            }
            guard ack != 0, taken.isComplete, writes.next.acks.count < TableWrites.acksMax else {
                break
            }
            writes.next.acks.append((sender, ack))
        case .stored(let ack):
            storedRemotely(ack, by: sender, emit: emit)
        case .digest(let theirs):
            guard !isAsking(sender, at: now) else { break }
            compare(theirs, with: sender, emit: emit)
        case .same(let theirs):
            guard theirs == context.fingerprint else { break }
            peerKnowledge[sender, default: PeerKnowledge()].learn(upTo: durableRevision)
        case .buckets(let set, let theirs):
            compare(theirs, of: set, with: sender, emit: emit)
        case .context(let page, let wantsReply):
            heed(page.set, isBirths: false, at: now, emit: emit)
            supply(sender, lacking: page, at: now, emit: emit)
            if wantsReply {
                sendPages(
                    of: .context, from: page.lower, through: page.upper, wantsReply: false,
                    to: sender, emit: emit)
            }
        case .records(let deltas, let voids, let isMore):
            let taken = take(deltas, from: sender, hops: nil, at: now, emit: emit)
            let isNews = learnVoids(voids, at: now, emit: emit)
            if isMore, taken.isAnyNews || isNews { writes.next.followUps.insert(sender) }
        case .collected(let page, let wantsReply):
            learnCollected(page.set, at: now, emit: emit)
            if wantsReply { answerCollected(page, to: sender, emit: emit) }
        case .ranges(let ranges):
            compare(ranges, with: sender, emit: emit)
        case .lacking(let ids):
            var supply = TableSupply(sizeBytesMax: TableConfiguration.messageSizeBytesMax)
            for id in ids {
                guard let record = tasks[id], supply.add(record) else { continue }
            }
            for message in supply.messages() { send(message, to: sender, emit: emit) }
        }
    }

    /// Whether this node has asked the peer just now, and is to answer for both.
    ///
    /// When two ask each other at the same time, one question is enough: else all that either lacks
    /// would travel twice.
    private func isAsking(_ peer: NodeID, at now: Instant) -> Bool {
        guard let asked, asked.peer == peer else { return false }
        return now - asked.at < configuration.repairInterval * 0.25 && node < peer
    }

    private mutating func heed(
        _ set: DotSet, isBirths: Bool, at now: Instant, emit: (TableEffect) -> Void
    ) {
        guard let last = set.intervals(of: origin).last else { return }
        heed(last.upperBound, of: origin, isBirth: isBirths, at: now, emit: emit)
    }

    /// Dots of which a peer says that they stand for nothing any more; returns whether any is new.
    private mutating func learnVoids(
        _ voids: [(origin: UInt64, interval: ClosedRange<UInt64>)], at now: Instant,
        emit: (TableEffect) -> Void
    ) -> Bool {
        var isNews = false
        for (origin, interval) in voids where !context.contains(interval, of: origin) {
            heed(interval.upperBound, of: origin, isBirth: false, at: now, emit: emit)
            guard hasRoomForVoid(interval, of: origin) else { continue }
            if writes.next.dots.insert(interval, of: origin) { isNews = true }
        }
        return isNews
    }

    /// What stands for nothing may take half of the room for intervals: the rest is for what is there.
    private func hasRoomForVoid(_ interval: ClosedRange<UInt64>, of origin: UInt64) -> Bool {
        context.intervalCount + writes.next.dots.intervalCount
            < configuration.intervalsMax / 2 || context.touches(interval, of: origin)
    }

    // MARK: Comparing

    private mutating func compare(
        _ theirs: TableDigest, with sender: NodeID, emit: (TableEffect) -> Void
    ) {
        let own = digest
        if theirs.collected != own.collected {
            offer(.collected, to: sender, emit: emit)
        }
        if theirs.context == own.context {
            peerKnowledge[sender, default: PeerKnowledge()].learn(upTo: durableRevision)
            send(TableMessage.same(context: theirs.context).encoded, to: sender, emit: emit)
            // The contexts agree and the records don't: one of them claims what it does not have.
            if theirs.collected == own.collected, theirs.records != own.records {
                beginRanges(with: sender, emit: emit)
            }
        } else {
            offer(.context, to: sender, emit: emit)
        }
    }

    /// Begins to compare a set with a peer's: on one page, or by buckets when it needs more.
    private func offer(_ set: TableSet, to peer: NodeID, emit: (TableEffect) -> Void) {
        let own = set == .context ? context : collected
        if own.intervalCount <= DotPage.intervalsMax {
            sendPages(
                of: set, from: .first, through: .last, wantsReply: true, to: peer, emit: emit)
        } else {
            send(
                TableMessage.buckets(set, own.bucketFingerprints).encoded, to: peer, emit: emit)
        }
    }

    private mutating func compare(
        _ theirs: [UInt64], of set: TableSet, with sender: NodeID, emit: (TableEffect) -> Void
    ) {
        let own = (set == .context ? context : collected).bucketFingerprints
        let differing = own.indices.filter { own[$0] != theirs[$0] }
        if set == .context {
            for number in own.indices where own[number] == theirs[number] {
                let bucket = DotSet.bucket(number)
                peerKnowledge[sender, default: PeerKnowledge()].learn(
                    from: bucket.lower, through: bucket.upper, upTo: durableRevision)
            }
        }
        // A few at a time, beginning anywhere, so that all get their turn.
        let first = differing.isEmpty ? 0 : Int(random.next() % UInt64(differing.count))
        for number in (differing[first...] + differing[..<first])
            .prefix(TableConfiguration.bucketsAtOnceMax)
        {
            let bucket = DotSet.bucket(number)
            sendPages(
                of: set, from: bucket.lower, through: bucket.upper, wantsReply: true, to: sender,
                emit: emit)
        }
    }

    /// Sends the context on as many pages as it takes, to be sent what it lacks.
    func sendContext(to peer: NodeID, wantsReply: Bool, emit: (TableEffect) -> Void) {
        sendPages(
            of: .context, from: .first, through: .last, wantsReply: wantsReply, to: peer,
            emit: emit)
    }

    private func sendPages(
        of set: TableSet, from lower: Dot, through upper: Dot, wantsReply: Bool, to peer: NodeID,
        emit: (TableEffect) -> Void
    ) {
        let own = set == .context ? context : collected
        var next = lower
        for _ in 0..<TableConfiguration.pagesAtOnceMax {
            let (part, end) = own.page(
                from: next, through: upper, intervalsMax: DotPage.intervalsMax)
            let page = DotPage(lower: next, upper: end, set: part)
            let message: TableMessage =
                set == .context
                ? .context(page, wantsReply: wantsReply) : .collected(page, wantsReply: wantsReply)
            send(message.encoded, to: peer, emit: emit)
            guard end < upper else { return }
            next = end.successor
        }
    }

    private func answerCollected(
        _ page: DotPage, to sender: NodeID, emit: (TableEffect) -> Void
    ) {
        var lacking = DotSet()
        let own = collected.clipped(from: page.lower, through: page.upper)
        for (origin, interval) in own.subtracting(page.set, limit: DotPage.intervalsMax) {
            lacking.insert(interval, of: origin)
        }
        guard !lacking.isEmpty else { return }
        let answer = DotPage(lower: page.lower, upper: page.upper, set: lacking)
        send(
            TableMessage.collected(answer, wantsReply: false).encoded, to: sender, emit: emit)
    }

    // MARK: Supplying

    /// Sends a peer what it lacks of the dots on a page, in portions; what does not fit follows
    /// when it asks again.
    private mutating func supply(
        _ peer: NodeID, lacking page: DotPage, at now: Instant, emit: (TableEffect) -> Void
    ) {
        guard supplies[peer]?.allowsAnother(after: page, at: now) ?? true else { return }
        var last: Dot?
        var supply = TableSupply(sizeBytesMax: TableConfiguration.messageSizeBytesMax)
        var oldest = UInt64.max
        let own = context.clipped(from: page.lower, through: page.upper)
        for (origin, interval) in own.subtracting(page.set, limit: TableMessage.voidsMax) {
            var lower = interval.lowerBound
            var isDone = false
            // An interval may be absurdly long when a peer made it up: the work is bounded by what
            // is known.
            index.forEach(in: interval, of: origin) { sequence, id in
                guard let record = tasks[id] else { return true }
                guard supply.add(record) else { return false }
                oldest = min(oldest, record.revision)
                last = Dot(origin: origin, sequence: sequence)
                if sequence > lower { supply.void(lower...(sequence - 1), of: origin) }
                isDone = sequence == interval.upperBound
                if !isDone { lower = sequence + 1 }
                return true
            }
            guard !supply.isCut else { break }
            if !isDone { supply.void(lower...interval.upperBound, of: origin) }
        }
        if !supply.isCut {
            let known = min(durableRevision, oldest == .max ? .max : oldest &- 1)
            if page.isWhole {
                peerKnowledge[peer, default: PeerKnowledge()].learn(upTo: known)
            } else {
                peerKnowledge[peer, default: PeerKnowledge()].learn(
                    from: page.lower, through: page.upper, upTo: known)
            }
        }
        let messages = supply.messages()
        for message in messages { send(message, to: peer, emit: emit) }
        let sizeBytes = messages.reduce(0) { $0 + $1.count }
        if let last, sizeBytes > SupplyUnderWay.sizeBytesMin {
            supplies[peer, default: SupplyUnderWay()].begin(last, at: now)
        }
    }
}

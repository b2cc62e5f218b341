import Model

/// Anti-entropy: whole views, and the fingerprints that show when they differ.
///
/// Source: SWIM leaves it out; memberlist's push/pull is the model of the exchange.
extension Membership {
    /// Exchanges the whole view with a random member.
    mutating func exchange(emit: (GossipEffect) -> Void) {
        schedule.exchange =
            now + configuration.exchangeInterval * exchangeScale * (0.75 + random.fraction() / 2)
        guard let partner = drawOther() else { return }
        sendView(to: partner, wantsReply: true, emit: emit)
    }

    /// By how much longer a node waits between exchanges than in a small cluster: a view grows with the
    /// members, and what it costs a node should not.
    var exchangeScale: Double {
        max(1, Double(livingCount) / Double(GossipConfiguration.smallMembersMax))
    }

    /// Sends the whole view to a member, in as many frames as it takes.
    mutating func sendView(
        to partner: NodeID, wantsReply: Bool, emit: (GossipEffect) -> Void
    ) {
        let pages = viewPages(beginningWith: [])
        for (index, page) in pages.enumerated() {
            transmit(
                .exchange(page, wantsReply: wantsReply && index == pages.count - 1), to: partner,
                via: .stream, emit: emit)
        }
    }

    /// Every admission, what every member says of itself, and why this node suspects some of them;
    /// in pages of bounded size, of which none hangs on a later one.
    func viewPages(beginningWith first: [Admission]) -> [[Rumour]] {
        var pages: [[Rumour]] = [[]]
        var sizeBytes = 0
        func add(_ rumour: Rumour) {
            let size = rumour.encoded.count
            if sizeBytes + size > GossipConfiguration.viewPageSizeBytesMax {
                pages.append([])
                sizeBytes = 0
            }
            pages[pages.count - 1].append(rumour)
            sizeBytes += size
        }
        let sent = Set(first.map(\.nodeKey.id))
        for admission in first { add(.admission(admission)) }
        for certificate in ring?.amendments ?? [] { add(.amendment(certificate)) }
        for admission in ring?.admissions ?? [] where !sent.contains(admission.nodeKey.id) {
            add(.admission(admission))
        }
        for member in table.all where isShown(member.id) {
            add(.alive(member.alive))
            if let leave = member.leave { add(.leave(leave)) }
            if let accusation = member.accusation { add(.suspect(accusation)) }
        }
        return pages
    }

    // MARK: Differences

    /// Compares a member's fingerprint with the own one.
    ///
    /// When all that are heard differ for an interval, this node has missed something, and asks
    /// for the whole view.
    mutating func compare(
        _ view: UInt64, with sender: NodeID, at source: PeerAddress, via channel: Channel,
        emit: (GossipEffect) -> Void
    ) {
        guard view != fingerprint else {
            divergedSince = nil
            return
        }
        if table[sender] == nil, channel == .datagram {
            // Its admission came without its own word.
            ask(sender, for: sender, at: source, emit: emit)
        }
        guard let since = divergedSince else {
            divergedSince = now
            return
        }
        // What still spreads by itself needs no exchange, but it must not put it off for ever.
        let patience = configuration.probeInterval * (rumours.isEmpty ? 1 : 4)
        guard now - since >= patience, table.state(of: sender)?.isProbed == true else { return }
        divergedSince = now
        sendView(to: sender, wantsReply: true, emit: emit)
    }

    // MARK: Single members

    /// Asks a member for another one's admission and word; so often and not more.
    mutating func ask(
        _ member: NodeID, for node: NodeID, at source: PeerAddress? = nil,
        emit: (GossipEffect) -> Void
    ) {
        guard questions.admits(at: now) else { return }
        transmit(.wantAdmission(node), to: member, via: .datagram, at: source, emit: emit)
    }

    /// Shows a member all that it needs to believe in another one.
    mutating func show(_ node: NodeID, to asker: NodeID, emit: (GossipEffect) -> Void) {
        guard let ring else { return }
        if node == id { introduce(to: asker, emit: emit) }
        var news = ring.certificates(about: node).map(Rumour.amendment)
        news += ring.chain(of: node).map(Rumour.admission)
        if let member = table[node], isShown(node) {
            news.append(.alive(member.alive))
            if let leave = member.leave { news.append(.leave(leave)) }
        }
        guard !news.isEmpty else { return }
        transmit(.rumours(news), to: asker, via: .datagram, emit: emit)
    }
}

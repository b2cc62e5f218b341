import Gossip
import Lock
import Model

/// An eviction that somebody has asked for at this node.
struct Evicting: Sendable {
    var request: RequestID
    var nodes: [NodeID]
    /// Whether the lock has agreed; what is left is that this node hears of it as all others do.
    var isAgreed = false
    /// Whether the client has its answer already.
    var isAnswered = false
}

/// Shutting members out for good.
extension Node {
    mutating func evict(
        _ request: RequestID, _ node: NodeID, isCascading: Bool, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        let eviction = membership.plannedEviction(of: node, isCascading: isCascading, at: now)
        if let refusal = refusal(of: eviction, naming: node) {
            return emit(.reply(request, .refused(refusal)))
        }
        timers.insert(.evictionUnanswered(request), due: now + Node.evictionWait)
        let isAsked = evicting != nil
        evicting = Evicting(request: request, nodes: eviction.nodes)
        // What the lock was asked for already, and has not answered, it need not be asked again.
        if !isAsked { lock(.amend(.eviction(eviction)), at: now, emit: emit) }
    }

    /// How long a client waits for an eviction: voters may have to be chosen anew before.
    static let evictionWait: Duration = .seconds(15)

    private func refusal(of eviction: Eviction, naming node: NodeID) -> Refusal? {
        guard let member = membership.member(node) else {
            return Refusal(.notFound, "there is no member \(node) here")
        }
        if let status = evictionStatus(of: node) {
            return Refusal(
                .conflict, "node \(member.name) was evicted already, \(text(of: status))")
        }
        guard node != id else {
            return Refusal(
                .conflict,
                "node \(member.name) can't evict itself: `daemon leave` ends its membership, and "
                    + "another member can evict it")
        }
        guard !eviction.nodes.contains(id) else {
            return Refusal(
                .conflict,
                "node \(member.name) has let in this node, \(configuration.name), too: a cascade "
                    + "would evict that one as well; ask a member that it has not let in, or evict "
                    + "without --cascade")
        }
        guard eviction.count <= Eviction.nodesMax else {
            return Refusal(
                .overloaded,
                "node \(member.name) has let in \(eviction.count) nodes, more than the "
                    + "\(Eviction.nodesMax) that one eviction can name; evict those first that "
                    + "should go, too")
        }
        guard evicting.map({ $0.isAnswered && $0.nodes == eviction.nodes }) ?? true else {
            return Refusal(
                .overloaded, "another eviction is under way at this node; ask again in a moment")
        }
        return nil
    }

    /// What the lock made of it.
    mutating func amendmentAnswered(
        _ answer: LockAmendmentAnswer, emit: (NodeEffect) -> Void
    ) {
        guard let evicting else { return }
        switch answer {
        case .agreed:
            self.evicting?.isAgreed = true
            finishEvicting(emit: emit)
        case .refused:
            endEvicting(
                evicting,
                .refused(
                    Refusal(.conflict, "this node was evicted itself, and can evict nobody")),
                emit: emit)
        case .full, .overtaken:
            endEvicting(
                evicting,
                .refused(
                    Refusal(
                        .overloaded,
                        "the cluster has evicted as many nodes as it can remember; found a new one")
                ),
                emit: emit)
        }
    }

    /// Answers once this node has heard of it itself: whoever asks it then finds it so.
    private mutating func finishEvicting(emit: (NodeEffect) -> Void) {
        guard let evicting, evicting.isAgreed,
            evicting.nodes.allSatisfy({ membership.eviction(of: $0) != nil })
        else { return }
        endEvicting(evicting, .evicted(evicting.nodes), emit: emit)
    }

    private mutating func endEvicting(
        _ evicting: Evicting, _ reply: NodeReply, emit: (NodeEffect) -> Void
    ) {
        self.evicting = nil
        if !evicting.isAnswered { emit(.reply(evicting.request, reply)) }
    }

    /// The client has waited long enough; the lock may still do what it was asked for.
    mutating func evictionUnanswered(_ request: RequestID, emit: (NodeEffect) -> Void) {
        guard let evicting, evicting.request == request, !evicting.isAnswered else { return }
        self.evicting?.isAnswered = true
        let names = evicting.nodes.map(name).joined(separator: ", ")
        let cause =
            evicting.isAgreed
            ? "agreed, but this node has not heard of it yet"
            : quorumWait ?? "waiting for the lock's voters"
        emit(
            .reply(
                request,
                .refused(
                    Refusal(
                        .unavailable,
                        "the eviction of \(names) is \(cause); it is done as soon as that is over, if "
                            + "this daemon lives: look with `client nodes`"))))
        if evicting.isAgreed { self.evicting = nil }
    }

    // MARK: What was agreed

    /// The ring of keys has changed: everybody who is concerned hears of it.
    mutating func amended(
        _ amendment: Amendment, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        shareMembers(at: now, emit: emit)
        for node in amendment.evicted {
            guard let status = evictionStatus(of: node) else { continue }
            emit(
                .observe(
                    .notice(.warning, "node \(name(node)) was evicted, \(text(of: status))")))
        }
        if let renewed = amendment.renewed, renewed != id {
            emit(.observe(.notice(.info, "node \(name(renewed)) has renewed its key")))
        }
        finishEvicting(emit: emit)
    }

    /// This node itself is shut out: it claims nothing more, and ends what it runs.
    mutating func shutOut(
        by amendment: Amendment, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard activity != .halted, activity != .shutOut else { return }
        if case .leaving(let request) = activity { emit(.reply(request, .accepted)) }
        activity = .shutOut
        lock(.halt, at: now, emit: emit)
        for id in holdings.keys.sorted() { end(id, because: .forfeited, at: now, emit: emit) }
        if let refusal = refusalOfShutOut {
            emit(.observe(.notice(.error, "node \(configuration.name): \(refusal.message)")))
        }
        emit(.observe(.memberChanged(id, .evicted)))
    }

    /// Why a node that is shut out does nothing any more; `nil` when it is not.
    var refusalOfShutOut: Refusal? {
        membership.shutOut.map { Node.refusal(of: $0, seenBy: membership) }
    }

    static func refusal(of amendment: Amendment, seenBy membership: Membership) -> Refusal {
        switch amendment.change {
        case .eviction(let eviction):
            let author = membership.member(eviction.author)?.name ?? "\(eviction.author)"
            return Refusal(
                .conflict,
                "this node was evicted from its cluster at \(author) on \(eviction.time), for good: "
                    + "its tasks run elsewhere, and it can't come back under its key; 'daemon purge' "
                    + "removes what it left running, 'daemon join' with an empty --data-dir makes "
                    + "another node of it")
        case .succession:
            return Node.supersededRefusal
        }
    }

    func evictionStatus(of node: NodeID) -> EvictionStatus? {
        guard case .eviction(let eviction)? = membership.eviction(of: node)?.change else {
            return nil
        }
        return EvictionStatus(
            time: eviction.time, author: eviction.author,
            authorName: membership.member(eviction.author)?.name)
    }

    private func text(of status: EvictionStatus) -> String {
        "at \(status.authorName ?? "\(status.author)") on \(status.time)"
    }

    private func name(_ node: NodeID) -> String { membership.member(node)?.name ?? "\(node)" }
}

extension NodeRequest {
    /// Whether a node that is shut out may still do it: ending needs no cluster.
    var isHarmless: Bool {
        switch self {
        case .drain, .readLog: true
        default: false
        }
    }
}

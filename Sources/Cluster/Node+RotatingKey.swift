import Gossip
import Lock
import Model

/// A renewal of the key that somebody has asked for at this node.
struct Rotating: Sendable {
    var request: RequestID
    /// Whether the client has its answer already.
    var isAnswered = false
}

/// Renewing the node's key.
extension Node {
    mutating func rotateKey(
        _ request: RequestID, to key: NodeKey, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard rotating?.isAnswered ?? true else {
            return emit(
                .reply(
                    request,
                    .refused(Refusal(.conflict, "this node's key is being renewed already"))))
        }
        let isAsked = rotating != nil
        rotating = Rotating(request: request)
        timers.insert(.rotationUnanswered(request), due: now + Node.evictionWait)
        guard !isAsked, let succession = membership.planSuccession(to: key) else { return }
        lock(.amend(.succession(succession)), at: now, emit: emit)
    }

    /// What the lock made of it.
    mutating func successionAnswered(
        _ succession: Succession, _ answer: LockAmendmentAnswer, emit: (NodeEffect) -> Void
    ) {
        let cause: String
        switch answer {
        case .agreed: return  // this node hears of it as all others do
        case .full: cause = "the cluster remembers as many changes of keys as it can"
        case .refused: cause = "this node was evicted"
        case .overtaken: cause = Node.supersededText
        }
        membership.dropSuccession()
        endRotating(.refused(Refusal(.conflict, cause)), emit: emit)
        guard answer == .overtaken else { return }
        emit(.observe(.notice(.error, "node \(configuration.name): \(Node.supersededText)")))
    }

    /// The node speaks under its new key.
    mutating func keyRenewed(emit: (NodeEffect) -> Void) {
        emit(
            .observe(
                .notice(
                    .warning,
                    "this node's key was renewed (number \(membership.keySerial)): the one before is "
                        + "worth nothing any more")))
        endRotating(.accepted, emit: emit)
    }

    private mutating func endRotating(_ reply: NodeReply, emit: (NodeEffect) -> Void) {
        guard let rotating else { return }
        self.rotating = nil
        if !rotating.isAnswered { emit(.reply(rotating.request, reply)) }
    }

    /// The client has waited long enough; the lock may still do what it was asked for.
    mutating func rotationUnanswered(_ request: RequestID, emit: (NodeEffect) -> Void) {
        guard let rotating, rotating.request == request, !rotating.isAnswered else { return }
        self.rotating?.isAnswered = true
        emit(
            .reply(
                request,
                .refused(
                    Refusal(
                        .unavailable,
                        "the renewal of the key is \(quorumWait ?? "waiting for the lock's voters"); "
                            + "it is done as soon as that is over: look into the daemon's log, or ask "
                            + "again"))))
    }

    // MARK: Somebody else's

    /// Somebody else has renewed this node's key first: this one must not go on.
    mutating func superseded(at now: Instant, emit: (NodeEffect) -> Void) {
        guard activity != .halted else { return }
        activity = .halted
        lock(.halt, at: now, emit: emit)
        endRotating(.refused(Node.supersededRefusal), emit: emit)
        let text = "node \(configuration.name) can't go on: \(Node.supersededText)"
        emit(.observe(.notice(.error, text)))
        emit(.stop(reason: text))
    }

    static let supersededRefusal = Refusal(.conflict, supersededText)

    private static let supersededText =
        "somebody else has renewed this node's key (a copy of its data directory, or a thief), and "
        + "speaks for this node now; if that was not you, evict the node at another member, and join "
        + "anew with an empty --data-dir"
}

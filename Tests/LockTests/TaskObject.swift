import Model

@testable import Lock

/// The lock's entry of one task, as its clients see it.
struct TaskObject: SequentialObject {
    /// What the task's policies say; they decide what a lost session leaves behind.
    let waits: Bool
    let isLastAttempt: Bool

    enum State: Hashable {
        case absent
        /// Held; of a claim that nobody was told of, token and session are not known.
        case held(Claim)
        case open(last: FencingToken)
        case closed(TaskOutcome)
    }

    struct Claim: Hashable {
        var node: Int
        var session: SessionID?
        var token: FencingToken?
        /// The token is larger than this one.
        var above: FencingToken
        /// The session has expired, and the claim outlives it.
        var isOrphan = false

        func fits(_ node: Int, _ token: FencingToken) -> Bool {
            self.node == node && (self.token.map { $0 == token } ?? (token > above))
        }
    }

    enum Answer: Hashable {
        case granted(FencingToken)
        case held(Int, FencingToken)
        case closed(TaskOutcome)
        case resting
        case done
        case opened(SessionID, isKept: Bool)
    }

    enum Operation {
        case acquire(Int, SessionID, Answer?)
        case release(Int, FencingToken, Answer?)
        case close(Int, FencingToken, TaskOutcome, Answer?)
        case open(Int, named: FencingToken?, Answer?)
        case expire(Int, SessionID)

        /// The token that a release or a close names.
        var token: FencingToken? {
            switch self {
            case .release(_, let token, _), .close(_, let token, _, _): token
            case .acquire, .open, .expire: nil
            }
        }

        func answeredAcquire(_ answer: Answer) -> Operation? {
            guard case .acquire(let node, let session, nil) = self else { return nil }
            return .acquire(node, session, answer)
        }

        /// The answer to a release or a close of this token.
        func answeredEnd(token: FencingToken?, _ outcome: TaskOutcome?) -> Operation? {
            switch self {
            case .release(let node, let own, nil):
                if let outcome { return .release(node, own, .closed(outcome)) }
                return own == token ? .release(node, own, .done) : nil
            case .close(let node, let own, let wanted, nil):
                if let outcome { return .close(node, own, wanted, .closed(outcome)) }
                return own == token ? .close(node, own, wanted, .done) : nil
            default: return nil
            }
        }
    }

    let initial = State.absent

    func states(after operation: Operation, from state: State) -> [State] {
        switch operation {
        case .acquire(let node, let session, let answer):
            acquire(node, session, answer, from: state)
        case .release(let node, let token, let answer):
            release(node, token, answer, from: state)
        case .close(let node, let token, let outcome, let answer):
            close(node, token, outcome, answer, from: state)
        case .open(let node, let named, let answer):
            open(node, named, answer, from: state)
        case .expire(let node, let session):
            expire(node, session, from: state)
        }
    }

    private func acquire(
        _ node: Int, _ session: SessionID, _ answer: Answer?, from state: State
    ) -> [State] {
        var last = FencingToken.zero
        switch state {
        case .closed(let outcome):
            return answer == nil || answer == .closed(outcome) ? [state] : []
        case .held(var claim):
            switch answer {
            case .held(let holder, let token) where claim.fits(holder, token):
                claim.token = token
                return [.held(claim)]
            case .granted(let token)
            where claim.fits(node, token) && !claim.isOrphan
                && (claim.session ?? session) == session:
                claim.token = token
                claim.session = session
                return [.held(claim)]
            default: return answer == nil ? [state] : []
            }
        case .open(let token):
            if answer == .resting { return [state] }
            last = token
        case .absent: break
        }
        var claim = Claim(node: node, session: session, token: nil, above: last)
        guard let answer else { return [.held(claim)] }
        guard case .granted(let token) = answer, token > last else { return [] }
        claim.token = token
        return [.held(claim)]
    }

    private func release(
        _ node: Int, _ token: FencingToken, _ answer: Answer?, from state: State
    ) -> [State] {
        if case .held(let claim) = state, claim.fits(node, token), !claim.isOrphan {
            return answer == nil || answer == .done ? [.open(last: token)] : []
        }
        if case .closed(let outcome) = state {
            return answer == nil || answer == .closed(outcome) ? [state] : []
        }
        return answer == nil || answer == .done ? [state] : []
    }

    private func close(
        _ node: Int, _ token: FencingToken, _ outcome: TaskOutcome, _ answer: Answer?,
        from state: State
    ) -> [State] {
        if case .held(let claim) = state, claim.fits(node, token), !claim.isOrphan {
            return answer == nil || answer == .closed(outcome) ? [.closed(outcome)] : []
        }
        if case .closed(let first) = state {
            return answer == nil || answer == .closed(first) ? [state] : []
        }
        return answer == nil || answer == .done ? [state] : []
    }

    private func open(
        _ node: Int, _ named: FencingToken?, _ answer: Answer?, from state: State
    ) -> [State] {
        var session: SessionID?
        var isKept: Bool?
        if case .opened(let opened, let kept)? = answer {
            session = opened
            isKept = kept
        }
        guard case .held(var claim) = state, claim.node == node else {
            return isKept == true ? [] : [state]
        }
        let isCertain = claim.token != nil
        var after: [State] = []
        if let named, claim.fits(node, named), isKept != false {
            claim.session = session
            claim.token = named
            claim.isOrphan = false
            after.append(.held(claim))
            if isCertain { return after }
        } else if let named, isCertain, claim.fits(node, named) {
            return []
        }
        return isKept == true ? after : after + [lost(claim)]
    }

    private func expire(_ node: Int, _ session: SessionID, from state: State) -> [State] {
        guard case .held(var claim) = state, claim.node == node, !claim.isOrphan,
            (claim.session ?? session) == session
        else { return [state] }
        let isCertain = claim.session != nil
        var after = lost(claim)
        if waits {
            claim.isOrphan = true
            after = .held(claim)
        }
        return isCertain ? [after] : [after, state]
    }

    private func lost(_ claim: Claim) -> State {
        isLastAttempt
            ? .closed(TaskOutcome(kind: .lost, reason: "its node was lost"))
            : .open(last: claim.token ?? claim.above)
    }
}

import Model

/// Sessions: opened, expired, and given up by a person.
extension LockTable {
    /// A session is opened in place of the node's last one, which must be named: an opening that
    /// was under way for long, of an earlier life perhaps, can't displace a later one.
    ///
    /// What it does not name is given back. As long as the last session's lease may be trusted it
    /// rests, though: if this node's disk was copied, somebody else holds that lease. Of claims
    /// that were made on another machine it keeps none, and those that wait stay there: the
    /// other machine may run them.
    mutating func open(
        _ opening: Session, _ session: SessionID, keeping kept: [ContainerID],
        after last: SessionID?, leaseRest: UInt64, notice: (Notice) -> Void
    ) -> LockResult {
        let node = opening.node
        guard leaseLength > .zero, sessions[session] == nil, session != lastSessions[node] else {
            return .noSession
        }
        guard lastSessions[node] == last || mutation == .opensUnnamed else {
            return .succeeds(lastSessions[node])
        }
        lastSessions[node] = session
        var opened = opening
        var keeps: [ContainerID] = []
        for claim in kept {
            guard case .held(var held) = entries[claim.task], held.token == claim.token,
                held.formerHolder == node || sessions[held.session]?.node == node,
                isHome(held, to: opening.machine)
            else { continue }
            sessions[held.session]?.claims.remove(claim.task)
            waiting[node]?.remove(claim.task)
            held.session = session
            held.formerHolder = nil
            held.machine = opening.machine
            put(.held(held), for: claim.task)
            if opened.claims.insert(claim.task).inserted { keeps.append(claim) }
        }
        for (old, state) in sessions.sorted(by: { $0.key < $1.key }) where state.node == node {
            sessions[old] = nil
            for task in state.claims.sorted() {
                guard case .held(let claim) = entries[task] else { continue }
                if claim.waits, !isHome(claim, to: opening.machine) {
                    leaveWaiting(task, claim, for: node)
                } else {
                    lose(task, restingFor: leaseRest, notice: notice)
                }
            }
        }
        freeWaiting(for: node, on: opening.machine, notice: notice)
        sessions[session] = opened
        return .opened(
            kept: keeps, leaseLength: leaseLength,
            elsewhere: UInt32(clamping: waiting[node]?.count ?? 0))
    }

    /// The node is back: what it did not name it has ended, waiting claims included.
    private mutating func freeWaiting(
        for node: NodeID, on machine: MachineID, notice: (Notice) -> Void
    ) {
        for task in (waiting[node] ?? []).sorted() {
            guard case .held(let claim) = entries[task], isHome(claim, to: machine) else {
                continue
            }
            waiting[node]?.remove(task)
            lose(task, notice: notice)
        }
        if waiting[node]?.isEmpty == true { waiting[node] = nil }
    }

    private mutating func leaveWaiting(_ task: TaskID, _ claim: Claim, for node: NodeID) {
        var claim = claim
        claim.formerHolder = node
        put(.held(claim), for: task)
        waiting[node, default: []].insert(task)
    }

    /// Whether a claim was made on this machine, as far as is known.
    private func isHome(_ claim: Claim, to machine: MachineID) -> Bool {
        claim.machine == machine || claim.machine == .unknown || mutation == .freesForCopies
    }

    mutating func expire(
        _ session: SessionID, notice: (Notice) -> Void
    ) -> LockResult {
        guard let expired = sessions.removeValue(forKey: session) else { return .noSession }
        var void: [ContainerID] = []
        for task in expired.claims.sorted() {
            guard case .held(let claim) = entries[task] else { continue }
            if claim.waits, mutation != .freesWaiting, !amendments.evicted.contains(expired.node) {
                leaveWaiting(task, claim, for: expired.node)
            } else {
                void.append(ContainerID(task: task, token: claim.token))
                lose(task, notice: notice)
            }
        }
        notice(.expired(expired.node, session, void))
        return .done
    }

    mutating func forget(_ node: NodeID, notice: (Notice) -> Void) -> LockResult {
        // While leases of a lost generation may be out, nobody knows who lives.
        guard !isRecovering else { return .alive }
        let living = sessions.filter { $0.value.node == node }.keys.sorted()
        guard living.isEmpty || mutation == .forgetsLiving else { return .alive }
        for session in living { _ = expire(session, notice: notice) }
        for task in (waiting.removeValue(forKey: node) ?? []).sorted() {
            lose(task, notice: notice)
        }
        return .done
    }

    mutating func set(leaseLength length: Duration) -> LockResult {
        guard length > .zero else { return .done }
        leaseLength = length
        longestLease = max(longestLease, length)
        return .done
    }

    mutating func settleLeaseLength() -> LockResult {
        longestLease = leaseLength
        return .done
    }
}

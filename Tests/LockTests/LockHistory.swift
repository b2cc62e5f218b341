import Model

@testable import Lock

/// What the nodes of a bench asked of the lock and heard from it, as operations on single tasks.
///
/// Linearizability is local: a history is linearizable if that of each task is.
struct LockHistory {
    private(set) var tasks: [TaskID: [TimedOperation<TaskObject.Operation>]] = [:]
    private(set) var sessions: [SessionID: [TimedOperation<SessionObject.Operation>]] = [:]
    /// Operations that have not returned, by machine: where to find them.
    private var waiting: [Int: [(task: TaskID, index: Int)]] = [:]
    /// Claims of which an end was told, and that they are gone is told next, by machine.
    private var told: [Int: [ContainerID]] = [:]
    private var openings: [Int: (called: Int64, kept: [TaskID: FencingToken])] = [:]
    private var renewals: [Int: [(number: UInt64, session: SessionID, index: Int)]] = [:]
    private var opened: [SessionID: Int64] = [:]
    private var current: [Int: SessionID] = [:]
    private var expired: Set<SessionID> = []

    // MARK: Calls

    mutating func called(_ event: LockEvent, by machine: Machine, at now: Int64) {
        switch event {
        case .acquire(let requests):
            // Others are denied on the spot, and never reach the lock.
            guard machine.node?.mayAcquire == true, let session = machine.node?.session?.id else {
                return
            }
            for request in requests {
                call(.acquire(machine.number, session, nil), request.task, machine, now)
            }
        case .release(let task, let token, _, _):
            call(.release(machine.number, token, nil), task, machine, now)
        case .close(let task, let token?, let outcome, _):
            call(.close(machine.number, token, outcome, nil), task, machine, now)
        case .openSession(let kept):
            guard openings[machine.number] == nil else { return }
            openings[machine.number] = (
                now, Dictionary(kept.map { ($0.0, $0.1) }, uniquingKeysWith: { $1 })
            )
        default: break
        }
    }

    private mutating func call(
        _ operation: TaskObject.Operation, _ task: TaskID, _ machine: Machine, _ now: Int64
    ) {
        waiting[machine.number, default: []].append((task, tasks[task]?.count ?? 0))
        tasks[task, default: []].append(TimedOperation(operation: operation, called: now))
    }

    mutating func sentRenewal(_ session: SessionID, _ number: UInt64, by node: Int, at now: Int64) {
        renewals[node, default: []].append((number, session, sessions[session]?.count ?? 0))
        sessions[session, default: []].append(TimedOperation(operation: .renew, called: now))
    }

    // MARK: Returns

    mutating func returned(_ effect: LockEffect, to number: Int, at now: Int64) {
        switch effect {
        case .granted(let task, let token, _, _):
            end(task, number, now) { $0.answeredAcquire(.granted(token)) }
        case .denied(let task, let denial):
            denied(task, denial, number, now)
        case .closed(let task, let token, let outcome):
            let ended = end(task, number, now) { $0.answeredEnd(token: token, outcome) }
            if let own = ended?.token {
                told[number, default: []].append(ContainerID(task: task, token: own))
            }
        case .released(let task, let token):
            // The same answer tells of the end first, then that the claim is gone.
            let claim = ContainerID(task: task, token: token)
            if let place = told[number]?.firstIndex(of: claim) {
                told[number]?.remove(at: place)
            } else {
                end(task, number, now) { $0.answeredEnd(token: token, nil) }
            }
        case .sessionOpened(let session, let kept, _):
            sessionOpened(session, kept, number, now)
        case .gone(let node, let session, _):
            gone(LockBench.number(node), session, now)
        default: break
        }
    }

    private mutating func denied(
        _ task: TaskID, _ denial: LockDenial, _ number: Int, _ now: Int64
    ) {
        switch denial {
        case .heldBy(let node, let token, _):
            let holder = LockBench.number(node)
            end(task, number, now) { $0.answeredAcquire(.held(holder, token)) }
        case .closed(let outcome, _):
            end(task, number, now) { $0.answeredAcquire(.closed(outcome)) }
        case .notBefore: end(task, number, now) { $0.answeredAcquire(.resting) }
        case .collected: break
        case .noSession:
            // Void for its node; what the lock has made of it nobody knows.
            waiting[number]?.removeAll { entry in
                guard entry.task == task,
                    case .acquire? = tasks[task]?[entry.index].operation
                else { return false }
                return true
            }
        }
    }

    /// Ends the first operation on the task that takes the answer; returns it.
    @discardableResult
    private mutating func end(
        _ task: TaskID, _ number: Int, _ now: Int64,
        _ answered: (TaskObject.Operation) -> TaskObject.Operation?
    ) -> TaskObject.Operation? {
        for (place, entry) in (waiting[number] ?? []).enumerated() where entry.task == task {
            guard let operation = tasks[task]?[entry.index].operation,
                let done = answered(operation)
            else { continue }
            tasks[task]?[entry.index].operation = done
            tasks[task]?[entry.index].returned = now
            waiting[number]?.remove(at: place)
            return done
        }
        return nil
    }

    private mutating func sessionOpened(
        _ session: SessionID, _ kept: [(TaskID, FencingToken)], _ number: Int, _ now: Int64
    ) {
        guard let opening = openings.removeValue(forKey: number) else { return }
        let kept = Dictionary(kept.map { ($0.0, $0.1) }, uniquingKeysWith: { $1 })
        for task in tasks.keys {
            let operation = TaskObject.Operation.open(
                number, named: opening.kept[task],
                .opened(session, isKept: kept[task] != nil))
            tasks[task]?.append(
                TimedOperation(operation: operation, called: opening.called, returned: now))
        }
        opened[session] = opening.called
        if let last = current[number] {
            sessions[last, default: []].append(
                TimedOperation(operation: .end, called: opening.called, returned: now))
        }
        current[number] = session
    }

    private mutating func gone(_ number: Int, _ session: SessionID, _ now: Int64) {
        guard expired.insert(session).inserted else { return }
        let begin = opened[session] ?? 0
        for task in tasks.keys {
            tasks[task]?.append(
                TimedOperation(operation: .expire(number, session), called: begin, returned: now))
        }
        sessions[session, default: []].append(
            TimedOperation(operation: .end, called: begin, returned: now))
    }

    mutating func gotRenewal(_ session: SessionID, _ number: UInt64, by node: Int, at now: Int64) {
        guard
            let place = renewals[node]?.firstIndex(where: {
                $0.number == number && $0.session == session
            }), let entry = renewals[node]?.remove(at: place)
        else { return }
        sessions[session]?[entry.index].returned = now
    }

    /// A daemon is gone: what it asked for may happen yet, and it never hears of it.
    mutating func crashed(_ number: Int) {
        waiting[number] = nil
        told[number] = nil
        renewals[number] = nil
        guard let opening = openings.removeValue(forKey: number) else { return }
        for task in tasks.keys {
            tasks[task]?.append(
                TimedOperation(
                    operation: .open(number, named: opening.kept[task], nil),
                    called: opening.called))
        }
    }

    // MARK: Verdict

    /// The tasks and sessions whose histories nothing explains.
    func problems(of bench: LockBench) -> [String] {
        var problems: [String] = []
        for (task, operations) in tasks.sorted(by: { $0.key < $1.key }) {
            let object = TaskObject(
                waits: bench.partitionPolicies[task] == .wait,
                isLastAttempt: bench.restartPolicies[task] == .never)
            var checker = LinearizabilityChecker(object, operations)
            let verdict = checker.check()
            if verdict != .linearizable { problems.append("\(task) is \(verdict)") }
        }
        for (session, operations) in sessions.sorted(by: { $0.key < $1.key }) {
            var checker = LinearizabilityChecker(SessionObject(), operations)
            let verdict = checker.check()
            if verdict != .linearizable { problems.append("session \(session) is \(verdict)") }
        }
        return problems
    }
}

/// A session, as an object: renewed while it lives, ended once.
struct SessionObject: SequentialObject {
    enum Operation { case renew, end }

    let initial = true

    func states(after operation: Operation, from isAlive: Bool) -> [Bool] {
        switch operation {
        case .renew: isAlive ? [true] : []
        case .end: [false]
        }
    }
}

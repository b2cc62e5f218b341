import Model

@testable import Lock

/// What happened in a bench, and what of it must not have happened.
struct BenchRecord {
    private(set) var violations: [String] = []
    var messages = 0
    var grants = 0
    var denials: [LockDenial] = []
    var opened = 0
    var lapses = 0
    var released: [ContainerID] = []
    var gone: [SessionID: Int64] = [:]
    var leftVoters: Set<Int> = []
    var forgets: [(node: NodeID, isRefused: Bool)] = []
    var unreadable: Set<Int> = []
    var claimsElsewhere: [Int: Int] = [:]
    var behind: Set<Int> = []
    var generations: [Int: UInt32] = [:]
    var recoveriesRefused = 0
    /// What machines have heard of changes of the ring of keys from their own log.
    var amendments: [Int: Set<Amendment>] = [:]
    var amendmentAnswers: [(machine: Int, answer: LockAmendmentAnswer)] = []
    /// Who wanted to show amendments to whom.
    var shown: [(by: Int, to: Int)] = []
    /// The first close of each task that was told.
    var outcomes: [TaskID: TaskOutcome] = [:]

    fileprivate var claims: [ContainerID: Int] = [:]
    fileprivate var lapsed: Set<SessionID> = []
    private var tables: [FencingToken: [UInt8]] = [:]
    private var seen: [Int: UInt64] = [:]
    private var newest: [TaskID: (moment: FencingToken, token: FencingToken)] = [:]

    mutating func fail(_ text: String, at now: Int64) {
        violations.append("\(now / 1_000_000) ms: \(text)")
    }

    /// Replicas that applied the same entries are the same, and their tokens only rise.
    mutating func note(appliedBy node: LockNode, of number: Int, at now: Int64) {
        let index = node.appliedIndex
        guard seen[number] != index, index > 0 else { return }
        seen[number] = index
        let bytes = node.tableBytes
        let moment = FencingToken(generation: node.generation, index: index)
        if let known = tables[moment], known != bytes {
            fail("tables differ at index \(index) on machine \(number)", at: now)
        }
        tables[moment] = bytes
        for (task, entry) in node.table.entries {
            let token: FencingToken?
            switch entry {
            case .held(let claim): token = claim.token
            case .open(let last, _, _, _): token = last
            case .closed(_, let last, _): token = last
            }
            guard let token else { continue }
            if let last = newest[task], last.moment < moment, token < last.token {
                fail("the token of \(task) fell from \(last.token) to \(token)", at: now)
            }
            if moment >= newest[task]?.moment ?? .zero { newest[task] = (moment, token) }
        }
    }
}

extension LockBench {
    /// The rules, each looked at where it could break.
    func observe(_ effect: LockEffect, _ machine: Machine) {
        history?.returned(effect, to: machine.number, at: now)
        switch effect {
        case .granted(let task, let token, let session, _):
            granted(task, token, session, machine)
        case .denied(let task, let denial):
            machine.asked.remove(task)
            record.denials.append(denial)
        case .sessionOpened(let session, let kept, let until):
            opened(session, kept: kept, until: until, machine)
        case .leaseExtended(let session, let until):
            if session != machine.session {
                record.fail("a lease of another session was extended", at: now)
            }
            promise(session, until, machine)
        case .sessionLapsed(let session):
            lapsed(session, machine)
        case .gone(let node, let session, _):
            expired(session, of: LockBench.number(node))
        case .closed(let task, _, let outcome):
            if let first = record.outcomes[task], first != outcome {
                record.fail("\(task) was closed as \(first.kind), then as another", at: now)
            }
            record.outcomes[task] = outcome
        case .released(let task, let token):
            record.released.append(ContainerID(task: task, token: token))
        case .claimsElsewhere(let count):
            record.claimsElsewhere[machine.number] = count
        case .amended(let amendment):
            record.amendments[machine.number, default: []].insert(amendment)
        case .amendmentAnswered(_, let answer):
            record.amendmentAnswers.append((machine.number, answer))
        case .showAmendments(let node):
            record.shown.append((machine.number, LockBench.number(node)))
        case .leftVoters:
            record.leftVoters.insert(machine.number)
        case .forgotten(let node, let isRefused):
            record.forgets.append((node, isRefused))
        case .generationBegan(let generation):
            record.generations[machine.number] = generation
            if opensSessions { openSession(machine.number) }
        case .signFloor(let mark):
            let floor = LockFloor(
                mark: mark, signer: LockBench.id(machine.number), signature: LockBench.signature)
            step(machine.number, .floorSigned(floor))
        case .checkFloor(let floor):
            if floor.signature == LockBench.signature { step(machine.number, .floorChecked(floor)) }
        case .logBehind:
            record.behind.insert(machine.number)
        case .recoveryRefused:
            record.recoveriesRefused += 1
        case .logUnreadable:
            record.unreadable.insert(machine.number)
        case .send, .persist, .votersChanged, .leaderChanged:
            break
        }
    }

    private func granted(
        _ task: TaskID, _ token: FencingToken, _ session: SessionID, _ machine: Machine
    ) {
        record.grants += 1
        machine.asked.remove(task)
        if session != machine.session || machine.local(now) >= machine.leaseUntil {
            record.fail("\(task) was granted without a lease", at: now)
        }
        let claim = ContainerID(task: task, token: token)
        if let holder = record.claims[claim] {
            record.fail(
                "\(claim) was granted to \(holder), then to \(machine.number)", at: now)
        }
        record.claims[claim] = machine.number
        machine.running[task] = token
        checkCopies(of: task)
    }

    private func opened(
        _ session: SessionID, kept: [(TaskID, FencingToken)], until: Instant, _ machine: Machine
    ) {
        record.opened += 1
        machine.session = session
        machine.leaseUntil = .zero
        promise(session, until, machine)
        let kept = Dictionary(kept.map { ($0.0, $0.1) }, uniquingKeysWith: { $1 })
        machine.running = machine.running.filter { kept[$0.key] == $0.value }
        for (task, token) in kept.sorted(by: { $0.key < $1.key })
        where machine.running[task] == nil {
            step(machine.number, .release(task, token, notBefore: .zero))
        }
        for task in machine.running.keys.sorted() { checkCopies(of: task) }
    }

    private func promise(_ session: SessionID, _ until: Instant, _ machine: Machine) {
        if record.lapsed.contains(session) {
            record.fail("the lapsed session \(session) came back", at: now)
        }
        if record.gone[session] != nil, until > machine.local(now) {
            record.fail("the expired session \(session) got a lease", at: now)
        }
        machine.leaseUntil = max(machine.leaseUntil, until)
        machine.promises[session] = max(machine.promises[session] ?? .zero, until)
    }

    private func lapsed(_ session: SessionID, _ machine: Machine) {
        record.lapses += 1
        record.lapsed.insert(session)
        machine.promises[session] = nil
        kill(on: machine)
        if machine.session == session { machine.session = nil }
        if opensSessions { openSession(machine.number) }
    }

    private func expired(_ session: SessionID, of number: Int) {
        guard record.gone[session] == nil else { return }
        record.gone[session] = now
        for holder in machines.values where holder.number % 100 == number {
            guard let until = holder.promises[session], holder.local(now) < until else { continue }
            record.fail(
                "session \(session) expired while machine \(holder.number) trusts it", at: now)
        }
    }

    /// No two live copies of a task, whoever knows of them.
    private func checkCopies(of task: TaskID) {
        let copies = machines.values.filter { isLive(task, on: $0) }.map(\.number).sorted()
        if copies.count > 1 { record.fail("\(task) runs on \(copies)", at: now) }
    }
}

import Cluster
import Model

/// What a client does next.
enum ClientStep {
    /// Submits a task for the first time.
    case submit(Int)
    /// Has waited long enough for an answer, and asks another node.
    case retry(Int)
    /// Wishes a task to end.
    case cancel(Int)
    /// Reads a log or sends a signal, to see that it is answered.
    case meddle(Int)
    /// Declares a node gone whose disk was lost; repeated, since its session must end first.
    case forget(NodeID)
    /// Imports an image, unless that was done.
    case importImage(Int)
}

/// One task, as its client sees it.
struct Job: Sendable {
    /// The task's ID, drawn by the client so that it can repeat itself.
    var id: TaskID
    /// What is asked for.
    var spec: TaskSpec
    /// How many disks are to hold it before it is acknowledged.
    var ack: AckLevel = .copies(2)
    /// When it was first submitted, in virtual nanoseconds.
    var submitted: Int64?
    /// Whether a node has acknowledged it.
    var isAcknowledged = false
    /// Whether its end was wished.
    var isCancelWished = false
    /// Whether a node has accepted that wish, or told that it came too late.
    var isCancelSettled = false
    /// When a claim on it was first granted.
    var claimed: Int64?
    /// When its program was first started.
    var started: Int64?
    /// When its program last ended by itself.
    var ended: Int64?
    /// The machine that it was last submitted to.
    var machine: Int?
    /// The disks that held it when it was acknowledged.
    var disks: Set<DiskIdentity> = []
    /// Those of them that held it with fields that the current version does not know.
    ///
    /// Two nodes that can't hear each other may both acknowledge a task: what the newer of them wrote
    /// is then on its own disk alone, however many others hold the task.
    var newerDisks: Set<DiskIdentity> = []

    /// Whether everybody must have what a newer version wrote of it.
    ///
    /// One disk that held it is enough: records only grow, and comparing them brings it to all.
    func mustShowNewerFields(unlessAway isAway: (DiskIdentity) -> Bool) -> Bool {
        !newerDisks.allSatisfy(isAway)
    }
}

/// A disk in a machine; a lost one is replaced by another.
struct DiskIdentity: Hashable {
    var machine: Int
    var incarnation: Int
}

/// The clients of a run, and all that they wait for.
struct Clients {
    /// Why something was asked.
    enum Purpose: Equatable {
        case submit(Int)
        case cancel(Int)
        case meddle
        case token(joiner: Int)
        case join
        case forget
        case nameImage(Int)
        case evict
    }

    /// A request that is not answered yet.
    struct Pending {
        var purpose: Purpose
        var machine: Int
        var asked: Int64
    }

    var jobs: [Job] = []
    var random: SeededGenerator
    /// Whether they ask again when no answer comes.
    var retries = true
    /// How long nodes keep ended tasks.
    var retention: Duration = .seconds(3_600)
    /// The share of tasks that may outlive a lease.
    var longTaskShare = 0.05
    private var numbers: [TaskID: Int] = [:]
    private(set) var pending: [RequestID: Pending] = [:]
    /// Of how many tasks a program has ended by itself.
    private(set) var endedCount = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    mutating func add(_ job: Job) -> Int {
        numbers[job.id] = jobs.count
        jobs.append(job)
        return jobs.count - 1
    }

    func number(of task: TaskID) -> Int? { numbers[task] }

    /// How often a task may be run, if its policy says so.
    func attemptsMax(of task: TaskID) -> Int? {
        guard let number = numbers[task] else { return nil }
        let spec = jobs[number].spec
        return spec.restart == .never ? 1 : spec.attemptsMax.map(Int.init)
    }

    mutating func claimed(_ task: TaskID, at now: Int64) {
        guard let number = numbers[task], jobs[number].claimed == nil else { return }
        jobs[number].claimed = now
    }

    mutating func started(_ task: TaskID, at now: Int64) {
        guard let number = numbers[task], jobs[number].started == nil else { return }
        jobs[number].started = now
    }

    mutating func ended(_ task: TaskID, exit: ExitStatus?, at now: Int64) {
        guard let number = numbers[task], exit != nil else { return }
        if jobs[number].ended == nil { endedCount += 1 }
        jobs[number].ended = now
    }

    mutating func asked(_ request: RequestID, _ entry: Pending) {
        pending[request] = entry
    }

    /// An answer has come; `nil` when nobody waits for it.
    mutating func answered(_ request: RequestID) -> Pending? {
        pending.removeValue(forKey: request)
    }

    /// A daemon is gone, with the connections of its clients.
    mutating func lost(_ machine: Machine) {
        for (request, entry) in pending where entry.machine == machine.index {
            pending[request] = nil
        }
    }
}

extension World {
    /// Asks a node something on a client's behalf.
    func ask(_ machine: Machine, _ request: NodeRequest, for purpose: Clients.Purpose) {
        lastRequest += 1
        let id = RequestID(lastRequest)
        clients.asked(
            id, Clients.Pending(purpose: purpose, machine: machine.index, asked: now))
        queue.insert(
            .tell(machine.index, life: machine.life, .request(id, request)), at: now)
    }

    func perform(_ step: ClientStep) {
        switch step {
        case .submit(let number):
            clients.jobs[number].submitted = now
            submit(number)
        case .retry(let number): submit(number)
        case .cancel(let number): cancel(number)
        case .meddle(let number): meddle(number)
        case .importImage(let number): importImage(number)
        case .forget(let node):
            queue.insert(.client(.forget(node)), at: now + 5_000_000_000)
            if let machine = anyMember() { ask(machine, .forget(node), for: .forget) }
        }
    }

    /// Any daemon that is up and a member; clients do not know which ones are cut off.
    private func anyMember() -> Machine? {
        let up = machines.filter { $0.node?.isMember == true }
        return up.isEmpty ? nil : up[clients.random.index(below: up.count)]
    }

    private func submit(_ number: Int) {
        let job = clients.jobs[number]
        guard !job.isAcknowledged else { return }
        if checker.isCollected(job.id) {
            // Its node was away for longer than ended tasks are kept: a repetition is another task.
            return clients.jobs[number].isAcknowledged = true
        }
        if clients.retries { queue.insert(.client(.retry(number)), at: now + 3_000_000_000) }
        guard let machine = submissionTarget(of: job) else { return }
        clients.jobs[number].machine = machine.index
        ask(machine, .submit(job.spec, id: job.id, ack: job.ack), for: .submit(number))
    }

    /// Whom a submission is sent to.
    ///
    /// Where ended tasks are dropped after seconds, a client stays
    /// with its node: a node that was away for longer would bring back what it had taken in.
    private func submissionTarget(of job: Job) -> Machine? {
        guard isCollecting, let known = job.machine else { return anyMember() }
        return machines[known].node?.isMember == true ? machines[known] : nil
    }

    private func cancel(_ number: Int) {
        let job = clients.jobs[number]
        guard !job.isCancelSettled else { return }
        queue.insert(.client(.cancel(number)), at: now + 2_500_000_000)
        guard job.isAcknowledged, let machine = anyMember() else { return }
        clients.jobs[number].isCancelWished = true
        ask(machine, .cancel(job.id), for: .cancel(number))
    }

    private func meddle(_ number: Int) {
        guard let machine = anyMember() else { return }
        let task = clients.jobs[number].id
        let request: NodeRequest =
            clients.random.happens(0.7)
            ? .readLog(task, attempt: nil, from: .at(.beginning), waitAtMost: .seconds(2))
            : .signal(task, 2)
        ask(machine, request, for: .meddle)
    }

    // MARK: Answers

    func replied(_ request: RequestID, _ reply: NodeReply, by machine: Machine) {
        guard let entry = clients.answered(request) else {
            return checker.fail(
                "\(machine.name) answers request \(request.value) twice", at: now)
        }
        // What somebody says of whom nobody hears is good for nothing: the client asks others, too.
        guard !machine.isShutOut else { return }
        switch (entry.purpose, reply) {
        case (.submit(let number), .submitted(_, let copies)):
            acknowledged(number, copies: copies, by: machine)
        case (.submit(let number), .refused(let refusal)):
            // A node may not have heard of an image yet; the client asks again.
            if refusal.code == .notFound, clients.jobs[number].spec.rootfs != .host { break }
            if [.conflict, .invalid, .notFound].contains(refusal.code) {
                checker.fail(
                    "task \(clients.jobs[number].id) is refused by \(machine.name): "
                        + refusal.message, at: now)
            }
        case (.cancel(let number), .accepted): clients.jobs[number].isCancelSettled = true
        case (.cancel(let number), .refused(let refusal)):
            if refusal.code == .conflict { clients.jobs[number].isCancelSettled = true }
        case (.nameImage(let number), .accepted): namedImages.insert(number)
        case (.token(let joiner), .token(let token, _)): join(joiner, with: token, by: machine)
        default: break
        }
    }

    /// An acknowledgement must be true: that many disks hold the task at this moment.
    private func acknowledged(_ number: Int, copies: Int, by machine: Machine) {
        let task = clients.jobs[number].id
        clients.jobs[number].isAcknowledged = true
        guard !isStudy else { return }
        let holders = (machines + [impostor].compactMap { $0 }).filter {
            $0.disk[.task, task.value.bytes] != nil
        }
        // A disk that was lost since then may have been among them; what has ended may be gone.
        let hasLostDisk = !lostNodes.isEmpty || hasRolledBack || impostor?.incarnation ?? 0 > 1
        let isChecked = !hasLostDisk && checker.outcome(of: task) == nil
        if isChecked, copies < 1 || holders.count < copies {
            checker.fail(
                "task \(task) is acknowledged by \(machine.name) with \(copies) copies, but "
                    + "\(holders.count) disks hold it", at: now)
        }
        for holder in holders {
            let disk = DiskIdentity(machine: holder.index, incarnation: holder.incarnation)
            clients.jobs[number].disks.insert(disk)
            if holder.disk[.task, task.value.bytes].map(World.holdsNewerFields) == true {
                clients.jobs[number].newerDisks.insert(disk)
            }
        }
    }
}

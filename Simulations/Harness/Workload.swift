import Cluster
import Model

/// The clients of a run: they submit, repeat themselves until they are answered, and cancel some.
struct Workload {
    struct Job {
        var id: TaskID
        var spec: TaskSpec
        var isAcknowledged = false
        var isCanceled = false
        var submitted: Int64 = 0
        var started: Int64?
        var ended: Int64?
    }

    var jobs: [Job] = []
    private var numbers: [TaskID: Int] = [:]
    /// Requests that wait for an answer: which job, on which machine.
    private var waiting: [RequestID: (job: Int, machine: Int)] = [:]
    private var abandoned: [Int] = []

    mutating func add(_ job: Job) {
        numbers[job.id] = jobs.count
        jobs.append(job)
    }

    mutating func wait(for request: RequestID, job: Int, on machine: Int) {
        waiting[request] = (job, machine)
    }

    /// An answer has come: returns the job, if it was one's.
    mutating func answered(_ request: RequestID) -> Int? {
        waiting.removeValue(forKey: request)?.job
    }

    /// A machine was lost with the requests that it had not answered.
    mutating func lost(machine: Int) {
        for (request, wait) in waiting where wait.machine == machine { waiting[request] = nil }
    }

    /// Whether a job still waits for an answer somewhere.
    func isWaiting(_ job: Int) -> Bool { waiting.values.contains { $0.job == job } }

    mutating func saw(_ status: TaskStatus, at time: Int64) {
        guard let number = numbers[status.id] else { return }
        switch status.state {
        case .running:
            if jobs[number].started == nil { jobs[number].started = time }
        case .complete, .failed, .canceled, .lost:
            if jobs[number].started == nil { jobs[number].started = time }
            if jobs[number].ended == nil { jobs[number].ended = time }
        case .queued, .claimed:
            break
        }
    }
}

extension World {
    /// Plans `count` submissions over a span of virtual time.
    mutating func plan(count: Int, over span: Duration) {
        for number in 0..<count {
            let due = time + random.duration(upTo: span).nanoseconds
            let moment = WallTime(milliseconds: 1_800_000_000_000 + due / 1_000_000)
            let id = TaskID(at: moment, using: &random)
            workload.add(Workload.Job(id: id, spec: drawSpec()))
            heap.insert(.submit(number), at: due)
            if random.next() % 10 == 0 {
                heap.insert(.cancel(number), at: due + Int64(random.next() % 3_000_000_000))
            }
        }
    }

    private mutating func drawSpec() -> TaskSpec {
        var spec: TaskSpec
        switch random.next() % 10 {
        case 0: spec = TaskSpec(command: ["exit", "\(random.next() % 4)"])
        case 1: spec = TaskSpec(command: ["fail"])
        default:
            spec = TaskSpec(command: ["sleep", "\(random.fraction() * 3)"])
        }
        spec.resources = Resources(
            cpuMillis: UInt32(50 + random.next() % 400),
            memoryBytes: (16 + random.next() % 64) << 20)
        switch random.next() % 10 {
        case 0: spec.restart = .never
        case 1: spec.restart = .onFailure(attemptsMax: 3)
        default: break
        }
        if random.next() % 20 == 0 { spec.onPartition = .wait }
        return spec
    }

    mutating func submit(_ number: Int) {
        workload.jobs[number].submitted = time
        retry(number)
    }

    /// Asks a machine that is up; comes back until one has answered.
    mutating func retry(_ number: Int) {
        guard !workload.jobs[number].isAcknowledged else { return }
        heap.insert(.retry(number), at: time + 3_000_000_000)
        let up = machines.indices.filter {
            machines[$0].node != nil && machines[$0].frozenUntil <= time
        }
        guard !up.isEmpty, !workload.isWaiting(number) else { return }
        let machine = up[Int(random.next() % UInt64(up.count))]
        lastRequest += 1
        let request = RequestID(lastRequest)
        workload.wait(for: request, job: number, on: machine)
        let job = workload.jobs[number]
        tell(machine, .request(request, .submit(job.spec, id: job.id, ack: .copies(2))))
    }

    mutating func cancel(_ number: Int) {
        let up = machines.indices.filter { machines[$0].node != nil }
        guard !up.isEmpty else { return }
        let machine = up[Int(random.next() % UInt64(up.count))]
        lastRequest += 1
        workload.jobs[number].isCanceled = true
        tell(machine, .request(RequestID(lastRequest), .cancel(workload.jobs[number].id)))
    }

    mutating func answered(_ request: RequestID, _ reply: NodeReply, by machine: Int) {
        switch reply {
        case .token(let token):
            joinToken = token
        case .submitted(let id, _):
            guard let number = workload.answered(request) else { return }
            workload.jobs[number].isAcknowledged = true
            checker.acknowledged(id)
        case .refused(let refusal):
            _ = workload.answered(request)
            if refusal.code == .badToken || refusal.code == .unreachable {
                checker.fail("node \(machine + 1) can't join: \(refusal.message)", at: time)
            }
        case .accepted, .log, .joined:
            break
        }
    }
}

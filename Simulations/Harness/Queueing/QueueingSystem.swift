package import Model

/// Jobs, the workers that run them, and the messages between them, in virtual time.
///
/// The studies' yardstick: schedulers of the literature and such as know everything
/// (`ReferenceScheduler`) on the harness' own event queue and generators, without disks, locks or
/// members. It holds millions of tasks, and knows closed forms to be checked against.
package final class QueueingSystem {
    /// What is on its way between a scheduler and a worker; the scheduler gives it its meaning.
    package struct Message: Sendable {
        /// The scheduler's own number for this kind of message.
        package var kind: Int
        /// The job that it is about.
        package var job: Int
        /// The worker that it is for, or from.
        package var worker: Int

        /// Makes a message.
        package init(kind: Int, job: Int, worker: Int = -1) {
            self.kind = kind
            self.job = job
            self.worker = worker
        }
    }

    private enum Event {
        case arrival
        case message(Message)
        case ended(job: Int, worker: Int)
    }

    private struct Job {
        var number = 0
        var arrived: Int64 = 0
        var service: Int64 = 0
        var demand = QueueingSystem.slot
        var lastEnd: Int64 = 0
        var unstarted = 0
        /// Tasks and messages that still name the job; its place is free when there are none.
        var references = 0
    }

    private struct Worker {
        let capacity: Resources
        let speed: Double
        var free: Resources
        var taskCount = 0
        var waiting = Fifo()
    }

    /// What the system consists of.
    package let setting: QueueingSetting
    /// For the schedulers' choices; arrivals and run times have generators of their own, so that
    /// all schedulers see the same jobs.
    package var random: SeededGenerator
    /// Virtual time, in nanoseconds.
    package private(set) var now: Int64 = 0
    /// How many messages were sent.
    package private(set) var messageCount = 0
    /// How many events there were.
    package private(set) var eventCount = 0
    private var arrivals: SeededGenerator
    private var lengths: SeededGenerator
    private var queue = EventQueue<Event>()
    private var workers: [Worker]
    private var jobs: [Job] = []
    private var freeJobs: [Int] = []
    private var arrivalCount = 0
    private var justStarted: [JobRecord] = []
    private var starts: SeededGenerator
    /// What runs where and when, of a plan: nothing stops what runs.
    package private(set) var spans: [StudyRun.Span] = []

    /// What a task takes that asks for nothing in particular.
    private static let slot = Resources(cpuMillis: 1_000, memoryBytes: 0)

    /// Makes a system in which nothing has arrived yet.
    package init(_ setting: QueueingSetting) {
        self.setting = setting
        var seeds = SeededGenerator(seed: setting.seed)
        arrivals = seeds.split()
        lengths = seeds.split()
        random = seeds.split()
        starts = seeds.split()
        workers = (0..<setting.workerCount).map { number in
            let slots = Resources(
                cpuMillis: UInt32(setting.slotsPerWorker) * 1_000, memoryBytes: 0)
            let capacity = setting.capacities.isEmpty ? slots : setting.capacities[number]
            return Worker(
                capacity: capacity, speed: setting.speeds[number % setting.speeds.count],
                free: capacity)
        }
    }

    // MARK: Running

    /// Lets jobs arrive and be run until `observe` has seen enough.
    ///
    /// - Parameters:
    ///   - scheduler: Decides what runs where.
    ///   - observe: Hears of each job when its last task has started; returns whether to go on.
    package func run(
        by scheduler: inout some ReferenceScheduler, until observe: (JobRecord) -> Bool
    ) {
        planArrival()
        while let (time, event) = queue.popFirst() {
            now = time
            eventCount += 1
            switch event {
            case .arrival:
                let job = admit()
                planArrival()
                scheduler.arrived(job, in: self)
            case .message(let message):
                scheduler.received(message, in: self)
                release(message.job)
            case .ended(let job, let worker):
                giveBack(jobs[job].demand, to: worker)
                workers[worker].taskCount -= 1
                release(job)
                scheduler.slotFreed(at: worker, in: self)
            }
            guard !justStarted.isEmpty else { continue }
            for record in justStarted where !observe(record) { return }
            justStarted.removeAll(keepingCapacity: true)
        }
    }

    private func planArrival() {
        if let plan = setting.plan {
            if arrivalCount < plan.count {
                queue.insert(.arrival, at: plan[arrivalCount].arrived)
            }
            return
        }
        let gap = Distribution.exponential(mean: setting.interval).draw(using: &arrivals)
        queue.insert(.arrival, at: now + Int64(gap * 1e9))
    }

    private func admit() -> Int {
        var job = Job(number: arrivalCount, arrived: now)
        if let planned = setting.plan?[arrivalCount] {
            job.demand = planned.demand
            job.unstarted = planned.services.count
        } else {
            job.service = drawService()
            job.unstarted = setting.tasksPerJob
        }
        job.references = job.unstarted
        arrivalCount += 1
        if let place = freeJobs.popLast() {
            jobs[place] = job
            return place
        }
        jobs.append(job)
        return jobs.count - 1
    }

    private func drawService() -> Int64 {
        Int64(setting.service.draw(using: &lengths) * 1e9)
    }

    private func release(_ job: Int) {
        jobs[job].references -= 1
        if jobs[job].references == 0 { freeJobs.append(job) }
    }

    // MARK: What schedulers ask for

    /// The seconds of network delay in nanoseconds.
    package var delay: Int64 { Int64(setting.networkDelay * 1e9) }

    /// How many tasks of a job have not been started.
    package func unstarted(of job: Int) -> Int { jobs[job].unstarted }

    /// What each task of a job asks for.
    package func demand(of job: Int) -> Resources { jobs[job].demand }

    /// Whether a worker could run a task of a job now.
    package func hasRoom(for job: Int, at worker: Int) -> Bool {
        jobs[job].demand.fits(within: workers[worker].free)
    }

    /// The share of a worker that is taken: of its scarcer resource.
    package func load(of worker: Int) -> Double {
        let state = workers[worker]
        let taken = Resources(
            cpuMillis: state.capacity.cpuMillis - state.free.cpuMillis,
            memoryBytes: state.capacity.memoryBytes - state.free.memoryBytes)
        return taken.dominantShare(of: state.capacity)
    }

    /// How fast a worker is.
    package func speed(of worker: Int) -> Double { workers[worker].speed }

    /// How many tasks, or places for tasks, wait at a worker.
    package func waiting(at worker: Int) -> Int { workers[worker].waiting.count }

    /// How long a worker's line is: negative for free slots, as Sparrow counts.
    package func lineLength(of worker: Int) -> Int {
        let state = workers[worker]
        return state.waiting.isEmpty ? -Int(state.free.cpuMillis / 1_000) : state.waiting.count
    }

    /// How many tasks a worker has, running and waiting.
    package func taskCount(of worker: Int) -> Int {
        workers[worker].taskCount + workers[worker].waiting.count
    }

    /// Starts one of a job's tasks on a worker that has room.
    ///
    /// - Parameters:
    ///   - job: The job.
    ///   - worker: The worker.
    ///   - lead: For how long the slot is taken before the task begins to run, in nanoseconds.
    ///   - trail: For how long it is taken after the task's end.
    package func start(_ job: Int, on worker: Int, lead: Int64 = 0, trail: Int64 = 0) {
        precondition(jobs[job].unstarted > 0, "a job has so many tasks and no more")
        take(jobs[job].demand, from: worker)
        workers[worker].taskCount += 1
        let end = run(job, on: worker, from: now + lead)
        jobs[job].unstarted -= 1
        jobs[job].lastEnd = max(jobs[job].lastEnd, end)
        queue.insert(.ended(job: job, worker: worker), at: end + trail)
        guard jobs[job].unstarted == 0 else { return }
        let record = jobs[job]
        justStarted.append(
            JobRecord(
                number: record.number, arrived: Double(record.arrived) / 1e9,
                response: Double(record.lastEnd - record.arrived) / 1e9))
    }

    /// When a task of a job ends that a worker takes at a time.
    private func run(_ job: Int, on worker: Int, from time: Int64) -> Int64 {
        guard let planned = setting.plan?[jobs[job].number] else {
            return time + (setting.isServiceShared ? jobs[job].service : drawService())
        }
        let task = planned.services.endIndex - jobs[job].unstarted
        let begin = time + Int64(setting.startup.draw(using: &starts) * 1e9)
        let length = Double(planned.services[task]) / workers[worker].speed
        let end = begin + Int64(length)
        spans.append(StudyRun.Span(node: worker, task: task, from: begin, to: end))
        return end
    }

    /// Keeps room for a task busy without one, until a message of the scheduler gives it back.
    package func hold(_ worker: Int, for job: Int) { take(jobs[job].demand, from: worker) }

    /// Gives held room back.
    package func unhold(_ worker: Int, for job: Int) { giveBack(jobs[job].demand, to: worker) }

    private func take(_ demand: Resources, from worker: Int) {
        precondition(demand.fits(within: workers[worker].free), "a task needs room")
        workers[worker].free.cpuMillis -= demand.cpuMillis
        workers[worker].free.memoryBytes -= demand.memoryBytes
    }

    private func giveBack(_ demand: Resources, to worker: Int) {
        workers[worker].free.cpuMillis += demand.cpuMillis
        workers[worker].free.memoryBytes += demand.memoryBytes
    }

    /// Puts a task of a job into a worker's line, or a place for one.
    package func enqueue(_ job: Int, at worker: Int) {
        workers[worker].waiting.append(job)
    }

    /// What is first in a worker's line.
    package func first(at worker: Int) -> Int? { workers[worker].waiting.first }

    /// Takes the first out of a worker's line.
    package func dequeue(at worker: Int) -> Int? { workers[worker].waiting.popFirst() }

    /// Takes the last out of a worker's line.
    package func stealLast(from worker: Int) -> Int? { workers[worker].waiting.popLast() }

    /// Starts what waits at a worker, in its order, as long as there is room.
    package func startNext(at worker: Int) {
        while let job = first(at: worker), hasRoom(for: job, at: worker) {
            _ = dequeue(at: worker)
            start(job, on: worker)
        }
    }

    /// Sends a message, which takes so many network delays; it keeps the job known meanwhile.
    package func send(_ message: Message, delays: Int64 = 1) {
        if jobs[message.job].arrived >= setting.uncountedUntil { messageCount += 1 }
        jobs[message.job].references += 1
        queue.insert(.message(message), at: now + delays * delay)
    }

    /// Keeps a job known although no task or message names it, as a place in a line does.
    package func retain(_ job: Int) { jobs[job].references += 1 }

    /// Undoes `retain`.
    package func forget(_ job: Int) { release(job) }

    /// So many workers by chance, in an order by chance, into `chosen`.
    ///
    /// Nobody is drawn again before all others are. Those that are too small for the job are passed
    /// over, if one is named.
    package func draw(_ count: Int, for job: Int? = nil, into chosen: inout [Int]) {
        chosen.removeAll(keepingCapacity: true)
        if marks.isEmpty { marks = Array(repeating: 0, count: setting.workerCount) }
        var fitting = setting.workerCount
        if let job, !setting.capacities.isEmpty {
            fitting = workers.count { jobs[job].demand.fits(within: $0.capacity) }
            precondition(fitting > 0, "a task fits no worker")
        }
        while chosen.count < count {
            round += 1
            for _ in 0..<min(count - chosen.count, fitting) {
                chosen.append(pick(for: fitting < setting.workerCount ? job : nil))
            }
        }
    }

    private func pick(for job: Int?) -> Int {
        while true {
            let pick = random.index(below: setting.workerCount)
            guard marks[pick] != round else { continue }
            if let job, !jobs[job].demand.fits(within: workers[pick].capacity) { continue }
            marks[pick] = round
            return pick
        }
    }

    private var marks: [Int] = []
    private var round = 0
}

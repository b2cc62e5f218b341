package import Model

/// What a queueing system consists of; with the seed it fixes every step.
package struct QueueingSetting: Sendable {
    /// How many workers there are.
    package var workerCount: Int
    /// How many tasks a worker runs at a time.
    package var slotsPerWorker = 1
    /// What all slots together are given to do, as a share of what they can: above 0, below 1.
    package var load: Double
    /// How long a task runs, in seconds.
    package var service = Distribution.exponential(mean: 1)
    /// How many tasks a job has; it has ended when all of them have.
    package var tasksPerJob = 1
    /// Whether all tasks of a job run equally long.
    package var isServiceShared = true
    /// How long a message takes, in seconds.
    package var networkDelay = 0.0
    /// Every random choice descends from it.
    package var seed: UInt64

    /// Makes a setting with every other value at its default.
    package init(workerCount: Int, load: Double, seed: UInt64) {
        self.workerCount = workerCount
        self.load = load
        self.seed = seed
    }

    /// The mean time between two jobs, in seconds.
    package var interval: Double {
        service.mean * Double(tasksPerJob)
            / (load * Double(workerCount) * Double(slotsPerWorker))
    }
}

/// A job whose last task has started, so that its end is known: nothing stops what runs.
package struct JobRecord: Sendable {
    /// Its place among all jobs, in the order of their arrival, from 0.
    package var number: Int
    /// When it arrived, in seconds.
    package var arrived: Double
    /// From its arrival to the end of its last task, in seconds.
    package var response: Double
}

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
        var lastEnd: Int64 = 0
        var unstarted = 0
        /// Tasks and messages that still name the job; its place is free when there are none.
        var references = 0
    }

    private struct Worker {
        var freeSlots: Int
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
    private var arrivals: SeededGenerator
    private var lengths: SeededGenerator
    private var queue = EventQueue<Event>()
    private var workers: [Worker]
    private var jobs: [Job] = []
    private var freeJobs: [Int] = []
    private var arrivalCount = 0
    private var justStarted: [JobRecord] = []

    /// Makes a system in which nothing has arrived yet.
    package init(_ setting: QueueingSetting) {
        self.setting = setting
        var seeds = SeededGenerator(seed: setting.seed)
        arrivals = seeds.split()
        lengths = seeds.split()
        random = seeds.split()
        workers = Array(
            repeating: Worker(freeSlots: setting.slotsPerWorker), count: setting.workerCount)
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
        queue.insert(.arrival, at: nextArrival())
        while let (time, event) = queue.popFirst() {
            now = time
            switch event {
            case .arrival:
                queue.insert(.arrival, at: nextArrival())
                scheduler.arrived(admit(), in: self)
            case .message(let message):
                scheduler.received(message, in: self)
                release(message.job)
            case .ended(let job, let worker):
                workers[worker].freeSlots += 1
                release(job)
                scheduler.slotFreed(at: worker, in: self)
            }
            guard !justStarted.isEmpty else { continue }
            for record in justStarted where !observe(record) { return }
            justStarted.removeAll(keepingCapacity: true)
        }
    }

    private func nextArrival() -> Int64 {
        let gap = Distribution.exponential(mean: setting.interval).draw(using: &arrivals)
        return now + Int64(gap * 1e9)
    }

    private func admit() -> Int {
        let job = Job(
            number: arrivalCount, arrived: now, service: drawService(),
            unstarted: setting.tasksPerJob, references: setting.tasksPerJob)
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

    /// How many slots of a worker are free.
    package func freeSlots(of worker: Int) -> Int { workers[worker].freeSlots }

    /// How many tasks, or places for tasks, wait at a worker.
    package func waiting(at worker: Int) -> Int { workers[worker].waiting.count }

    /// How long a worker's line is: negative for free slots, as Sparrow counts.
    package func lineLength(of worker: Int) -> Int {
        let state = workers[worker]
        return state.freeSlots > 0 ? -state.freeSlots : state.waiting.count
    }

    /// How many tasks a worker has, running and waiting.
    package func taskCount(of worker: Int) -> Int {
        setting.slotsPerWorker - workers[worker].freeSlots + workers[worker].waiting.count
    }

    /// Starts one of a job's tasks on a worker with a free slot.
    ///
    /// - Parameters:
    ///   - job: The job.
    ///   - worker: The worker.
    ///   - lead: For how long the slot is taken before the task begins to run, in nanoseconds.
    ///   - trail: For how long it is taken after the task's end.
    package func start(_ job: Int, on worker: Int, lead: Int64 = 0, trail: Int64 = 0) {
        precondition(workers[worker].freeSlots > 0, "a task needs a slot")
        precondition(jobs[job].unstarted > 0, "a job has so many tasks and no more")
        workers[worker].freeSlots -= 1
        let length = setting.isServiceShared ? jobs[job].service : drawService()
        let end = now + lead + length
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

    /// Keeps a slot busy without a task, until a message of the scheduler gives it back.
    package func hold(_ worker: Int) {
        precondition(workers[worker].freeSlots > 0, "only a free slot can be held")
        workers[worker].freeSlots -= 1
    }

    /// Gives a held slot back.
    package func unhold(_ worker: Int) { workers[worker].freeSlots += 1 }

    /// Puts a task of a job into a worker's line, or a place for one.
    package func enqueue(_ job: Int, at worker: Int) {
        workers[worker].waiting.append(job)
    }

    /// Takes the first out of a worker's line.
    package func dequeue(at worker: Int) -> Int? { workers[worker].waiting.popFirst() }

    /// Takes the last out of a worker's line.
    package func stealLast(from worker: Int) -> Int? { workers[worker].waiting.popLast() }

    /// Starts what waits first at a worker, if it has a slot.
    package func startNext(at worker: Int) {
        guard workers[worker].freeSlots > 0, let job = dequeue(at: worker) else { return }
        start(job, on: worker)
    }

    /// Sends a message, which takes so many network delays; it keeps the job known meanwhile.
    package func send(_ message: Message, delays: Int64 = 1) {
        messageCount += 1
        jobs[message.job].references += 1
        queue.insert(.message(message), at: now + delays * delay)
    }

    /// Keeps a job known although no task or message names it, as a place in a line does.
    package func retain(_ job: Int) { jobs[job].references += 1 }

    /// Undoes `retain`.
    package func forget(_ job: Int) { release(job) }

    /// So many workers by chance, in an order by chance, no one twice, into `chosen`; all of them
    /// when there are fewer.
    package func draw(_ count: Int, into chosen: inout [Int]) {
        chosen.removeAll(keepingCapacity: true)
        if marks.isEmpty { marks = Array(repeating: 0, count: setting.workerCount) }
        round += 1
        while chosen.count < min(count, setting.workerCount) {
            let pick = random.index(below: setting.workerCount)
            guard marks[pick] != round else { continue }
            marks[pick] = round
            chosen.append(pick)
        }
    }

    private var marks: [Int] = []
    private var round = 0
}

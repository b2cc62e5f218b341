import Model

/// The tasks of a study: they follow from its seed alone, so that all contenders see the same.
package struct Workload: Sendable {
    /// The tasks in the order of their submission, of which nothing has become yet.
    ///
    /// Those of a job follow each other.
    package private(set) var tasks: [StudyRun.Task] = []
    /// The users; a task's `user` is a place among them.
    package private(set) var users: [StudyUser]

    /// Draws the tasks.
    package init(_ study: FairnessStudy) {
        users = study.users
        if let trace = study.trace {
            replay(trace, study)
        } else {
            draw(study)
        }
    }

    /// When the last task is submitted.
    package var lastSubmission: Int64 { tasks.last?.submitted ?? 0 }

    // MARK: Drawn

    /// What is drawn has a generator each, so that a change of one leaves the others.
    private mutating func draw(_ study: FairnessStudy) {
        var seeds = SeededGenerator(seed: study.seed)
        var arrivals = seeds.split()
        var services = seeds.split()
        var demands = seeds.split()
        var owners = seeds.split()
        let jobCount = (study.taskCount + study.tasksPerJob - 1) / study.tasksPerJob
        let times = study.arrivals.times(
            count: jobCount, interval: study.taskInterval * Double(study.tasksPerJob),
            using: &arrivals)
        let lengths = study.service.distribution(mean: study.meanService.seconds)
        tasks.reserveCapacity(study.taskCount)
        for (number, time) in times.enumerated() {
            let user = Workload.pick(study.users, using: &owners)
            let demand = study.demand(of: study.users[user], using: &demands)
            let count = min(study.tasksPerJob, study.taskCount - tasks.count)
            for _ in 0..<count {
                tasks.append(
                    StudyRun.Task(
                        job: number, user: user, demand: demand, submitted: time,
                        service: Int64(lengths.draw(using: &services) * 1e9)))
            }
        }
    }

    /// A user by chance, each as often as the share says.
    private static func pick(_ users: [StudyUser], using random: inout SeededGenerator) -> Int {
        var rest = random.fraction() * users.reduce(0) { $0 + $1.share }
        for (place, user) in users.enumerated() {
            rest -= user.share
            if rest < 0 { return place }
        }
        return users.count - 1
    }

    // MARK: Recorded

    private mutating func replay(_ trace: StudyTrace, _ study: FairnessStudy) {
        var seeds = SeededGenerator(seed: study.seed)
        var demands = seeds.split()
        var places: [String: Int] = [:]
        for (place, user) in users.enumerated() { places[user.name] = place }
        for (number, job) in trace.jobs.enumerated() {
            var user = 0
            if !job.user.isEmpty {
                user = places[job.user] ?? users.count
                if user == users.count {
                    users.append(StudyUser(job.user))
                    places[job.user] = user
                }
            }
            let demand = job.demand ?? study.demand(of: users[user], using: &demands)
            for service in job.services {
                tasks.append(
                    StudyRun.Task(
                        job: number, user: user, demand: demand, submitted: job.submitted,
                        service: service))
            }
        }
    }
}

extension FairnessStudy {
    /// What a user's task asks for: what the user says, else one of what the study says.
    func demand(of user: StudyUser, using random: inout SeededGenerator) -> Resources {
        let cpu = cpus[random.index(below: cpus.count)]
        let bytes = memory[random.index(below: memory.count)]
        return Resources(
            cpuMillis: UInt32(((user.cpus > 0 ? user.cpus : cpu) * 1_000).rounded()),
            memoryBytes: user.memory.bytes > 0 ? user.memory.bytes : bytes.bytes)
    }

    /// The mean time between two tasks in seconds, so that the cluster's scarcer resource is as
    /// busy as `load` says.
    var taskInterval: Double {
        let shares = users.reduce(0) { $0 + $1.share }
        var cpu = 0.0
        var bytes = 0.0
        for user in users {
            let meanCPU = user.cpus > 0 ? user.cpus : Statistics.mean(cpus)
            let meanBytes =
                user.memory.bytes > 0
                ? Double(user.memory.bytes) : Statistics.mean(memory.map { Double($0.bytes) })
            cpu += meanCPU * user.share / shares
            bytes += meanBytes * user.share / shares
        }
        var cores = 0.0
        var capacityBytes = 0.0
        for index in 0..<nodeCount {
            cores += Double(self.cores(of: index)) * speed(of: index)
            capacityBytes += Double(capacity(of: index).memoryBytes) * speed(of: index)
        }
        let need = max(cpu / cores, bytes / capacityBytes)
        return meanService.seconds * need / load
    }
}

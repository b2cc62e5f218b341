package import Cluster
import Model

/// What a study of fairness consists of: a cluster without faults under a steady stream of tasks.
package struct FairnessStudy: Sendable {
    /// Every random choice descends from it; all policies see the same tasks at the same times.
    package var seed: UInt64
    /// How many machines there are.
    package var nodeCount: Int
    /// How many tasks are submitted, at random nodes.
    package var taskCount: Int
    /// The share of the cluster's cores that the tasks keep busy, 0…1.
    package var load: Double
    /// The mean run time of a task; run times are exponentially distributed.
    package var meanService: Duration = .seconds(8)
    /// How many cores a machine has; every task takes one.
    package var coresPerNode = 4
    /// Whether every second machine has twice as many.
    package var isUneven = false

    /// The share of tasks at the beginning that is not counted: the cluster is still empty.
    package static let warmUpShare = 0.1
    /// Slowdown counts run times below this as this long, so that tiny tasks do not rule it.
    ///
    /// Source: Feitelson et al., "Theory and Practice in Parallel Job Scheduling" (1997).
    package static let serviceFloor: Duration = .seconds(1)

    /// Makes a study.
    package init(seed: UInt64, nodeCount: Int, taskCount: Int, load: Double) {
        self.seed = seed
        self.nodeCount = nodeCount
        self.taskCount = taskCount
        self.load = load
    }

    /// How many cores all machines have together.
    package var coreCount: Int {
        (0..<nodeCount).reduce(0) { $0 + cores(of: $1) }
    }

    func cores(of index: Int) -> Int {
        isUneven && index % 2 == 1 ? 2 * coresPerNode : coresPerNode
    }

    /// The mean wait, in seconds, if one line stood before all cores: the ideal.
    package var idealWaitSeconds: Double {
        Statistics.idealWait(servers: coreCount, load: load) * meanService.seconds
    }
}

/// How one policy did.
package struct FairnessResult: Sendable {
    /// The policy's name.
    package var name: String
    /// What went wrong, if anything: nothing may.
    package var violation: Violation?
    /// How long each task waited for its program to start, in seconds.
    package var waits: [Double]
    /// From submission to the end, over the run time.
    package var slowdowns: [Double]
    /// The share of its cores' time that each machine was busy, from the end of the warm-up to the
    /// last submission.
    package var busyShares: [Double]
    /// How unequal the machines were, second by second.
    package var imbalance: [StudySample]
    /// Requests to the lock, per task.
    package var requestsPerTask: Double
    /// Claims that were asked for, per task; one is needed.
    package var claimsPerTask: Double
    /// The share of claims that were not granted.
    package var wastedShare: Double
    /// Packets between nodes, per task.
    package var packetsPerTask: Double
    /// Virtual seconds, and events of the world.
    package var span: (seconds: Double, events: Int)

    /// Jain's index over the machines' busy shares.
    package var jain: Double { Statistics.jain(busyShares) }
}

/// The state of all machines at one time.
package struct StudySample: Sendable {
    /// Virtual seconds since the first submission.
    package var seconds: Double
    /// The mean share of cores that tasks hold.
    package var meanLoad: Double
    /// The standard deviation of that share over machines.
    package var deviation: Double
}

extension World {
    /// Runs one policy through a study.
    package static func study(
        _ study: FairnessStudy, policy: StealPolicy, name: String
    ) -> FairnessResult {
        var scenario = Scenario(
            seed: study.seed, nodeCount: study.nodeCount, taskCount: study.taskCount)
        scenario.faultKinds = []
        scenario.profile = .lan
        scenario.policy = policy
        scenario.retention = .seconds(3_600)
        let cores = (0..<study.nodeCount).map(study.cores)
        scenario.capacities = cores.map {
            Resources(cpuMillis: UInt32($0) * 1_000, memoryBytes: 64 << 30)
        }
        let world = World(scenario)
        world.isStudy = true
        world.form(within: .seconds(600))
        guard world.checker.violation == nil else { return world.result(study, name, from: 0) }
        let start = world.now
        let last = world.planStudy(study)
        world.queue.insert(.sample, at: start + World.sampleInterval)
        let limit = last + (study.meanService * 100).nanoseconds
        // The cluster fills up at the beginning and runs empty at the end: neither is counted.
        let span = Double(last - start)
        let warmUp = start + Int64(span * FairnessStudy.warmUpShare)
        world.run(until: warmUp)
        let before = world.machines.map { $0.busy.value(at: world.now) }
        world.run(until: last)
        world.busyShares = zip(world.machines, before).map { machine, before in
            (machine.busy.value(at: world.now) - before)
                / Double(scenario.capacity(of: machine.index).cpuMillis)
                / Double(max(1, last - warmUp))
        }
        while world.checker.violation == nil, world.now < limit, !world.isStudyOver {
            world.run(until: world.now + 1_000_000_000)
        }
        if !world.isStudyOver { world.checker.fail("not all tasks have ended", at: world.now) }
        return world.result(study, name, from: start)
    }

    private static let sampleInterval: Int64 = 500_000_000

    private var isStudyOver: Bool { clients.jobs.allSatisfy { $0.ended != nil } }

    /// Plans arrivals as a Poisson process, with exponential run times.
    private func planStudy(_ study: FairnessStudy) -> Int64 {
        let interval = study.meanService.seconds / (study.load * Double(study.coreCount))
        var due = now
        for _ in 0..<study.taskCount {
            due += Int64(exponential(mean: interval) * 1e9)
            let service = exponential(mean: study.meanService.seconds)
            var spec = TaskSpec(command: ["sleep", "\(service)"])
            spec.resources = Resources(cpuMillis: 1_000, memoryBytes: 64 << 20)
            let wall = VirtualClock().wall(at: due)
            let number = clients.add(
                Job(id: TaskID(at: wall, using: &clients.random), spec: spec))
            queue.insert(.client(.submit(number)), at: due)
        }
        return due
    }

    private func exponential(mean: Double) -> Double {
        -mean * logarithm(1 - clients.random.fraction())
    }

    func sample() {
        let shares = machines.map { machine in
            Double(machine.busy.cpuMillis)
                / Double(max(1, scenario.capacity(of: machine.index).cpuMillis))
        }
        samples.append(
            StudySample(
                seconds: Double(now) / 1e9, meanLoad: Statistics.mean(shares),
                deviation: Statistics.deviation(shares)))
        queue.insert(.sample, at: now + World.sampleInterval)
    }

    private func result(
        _ study: FairnessStudy, _ name: String, from start: Int64
    ) -> FairnessResult {
        let warmUp = Int(Double(study.taskCount) * FairnessStudy.warmUpShare)
        let counted = clients.jobs.dropFirst(warmUp).filter { $0.ended != nil }
        let floor = FairnessStudy.serviceFloor.seconds
        let tasks = Double(max(1, clients.jobs.count))
        let end = counted.compactMap(\.submitted).max() ?? now
        return FairnessResult(
            name: name, violation: checker.violation,
            waits: counted.map { Double(($0.started ?? 0) - ($0.submitted ?? 0)) / 1e9 },
            slowdowns: counted.map { job in
                let turnaround = Double((job.ended ?? 0) - (job.submitted ?? 0)) / 1e9
                return max(1, turnaround / max(floor, Behaviour(of: job.spec).runTime.seconds))
            },
            busyShares: busyShares,
            imbalance: samples.filter { $0.seconds * 1e9 <= Double(end) }.map {
                StudySample(
                    seconds: $0.seconds - Double(start) / 1e9, meanLoad: $0.meanLoad,
                    deviation: $0.deviation)
            },
            requestsPerTask: Double(counts.claimRequests) / tasks,
            claimsPerTask: Double(counts.claims) / tasks,
            wastedShare: Double(counts.denials) / Double(max(1, counts.claims)),
            packetsPerTask: Double(counts.datagrams + counts.frames) / tasks,
            span: (Double(now - start) / 1e9, counts.events))
    }
}

package import Cluster
import Gossip
package import Model

/// What came of a run.
package struct RunReport: Sendable {
    /// The seed.
    package var seed: UInt64
    /// The first broken promise, if any.
    package var violation: Violation?
    /// The hash of all events and effects.
    package var traceHash: UInt64
    /// What was counted.
    package var counts: Counts
    /// What went wrong in it.
    package var faults: Faults
    /// Virtual seconds from the beginning to the end.
    package var seconds: Double
    /// How many tasks ended in which state.
    package var states: [TaskState: Int]
}

extension World {
    /// Runs the scenario: formation, safety phase with faults, liveness phase without.
    ///
    /// `sink` takes a line for every event and effect; slow, for single runs.
    package static func run(
        _ scenario: Scenario, sink: ((String) -> Void)? = nil
    ) -> RunReport {
        let world = World(scenario)
        world.trace.sink = sink
        world.runPhases()
        return world.report
    }

    /// Runs the scenario for what real nodes write: all packets that were sent, and the rows that are
    /// on the disks in the end.
    package static func record(
        _ scenario: Scenario
    ) -> (packets: [[UInt8]], rows: [DurableImage.Row]) {
        let world = World(scenario)
        world.recorded = []
        world.runPhases()
        let images = world.machines.map(\.disk.image)
        let rows = DurableSpace.allCases.flatMap { space in images.flatMap { $0[space] } }
        return (world.recorded ?? [], rows)
    }

    private func runPhases() {
        drawWorkload()
        form()
        runSafetyPhase()
        runLivenessPhase()
    }

    private func drawWorkload() {
        // Longer than any absence: a repeated submission is recognised within the retention.
        let short =
            Duration.seconds(12 + clients.random.index(below: 8)) * scenario.absenceScale
        let drawn = clients.random.happens(0.25) ? short : .seconds(3_600)
        clients.retention = scenario.retention ?? drawn
        // Short tasks show races between claims and ends; only those that outlive a lease show
        // what happens when it lapses.
        let share = World.longTaskShares[clients.random.index(below: World.longTaskShares.count)]
        clients.longTaskShare = scenario.longTaskShare ?? share
    }

    /// The share of tasks that need an image.
    private static let imageShare = 0.1
    private static let longTaskShares = [0.05, 0.05, 0.25, 0.6]

    // MARK: Phases

    /// The first machine founds, the others join it by token; nothing goes wrong yet.
    package func form(within limit: Duration = .seconds(120)) {
        start(machines[0], founding: true)
        run(until: now + 500_000_000)
        for machine in machines.dropFirst() {
            queue.insert(.start(machine.index, life: machine.life), at: now)
            run(until: now + 2_000_000)
        }
        let end = now + limit.nanoseconds
        while checker.violation == nil, now < end, !isFormed {
            run(until: min(end, now + 250_000_000))
        }
        if !isFormed { checker.fail("the cluster does not form", at: now) }
    }

    private var isFormed: Bool {
        machines.allSatisfy { machine in
            machine.node?.hasLease == true && machine.node?.aliveCount == machines.count
        }
    }

    private func runSafetyPhase() {
        guard checker.violation == nil else { return }
        plan()
        importImages()
        network.conditions = faults.conditions
        for machine in machines { machine.runtime.latency.slowShare = faults.slowStepShare }
        isSafetyPhase = true
        queue.insert(.incident, at: now + faults.incidentInterval.nanoseconds)
        run(until: now + scenario.safetyPhase.nanoseconds)
    }

    // MARK: Tasks

    /// Plans all submissions, cancels and other requests over the safety phase.
    private func plan() {
        let span = scenario.safetyPhase
        for _ in 0..<scenario.taskCount {
            let due = now + clients.random.duration(upTo: span).nanoseconds
            let wall = VirtualClock().wall(at: due)
            let id = TaskID(at: wall, using: &clients.random)
            var job = Job(id: id, spec: drawSpec())
            switch clients.random.index(below: 6) {
            case 0: job.ack = .copies(1)
            case 1: job.ack = .copies(3)
            case 2: job.ack = .majority
            default: job.ack = .copies(2)
            }
            let number = clients.add(job)
            queue.insert(.client(.submit(number)), at: due)
            let later = due + clients.random.duration(upTo: .seconds(6)).nanoseconds
            if clients.random.happens(0.12) {
                queue.insert(.client(.cancel(number)), at: later)
            } else if clients.random.happens(0.1) {
                queue.insert(.client(.meddle(number)), at: later)
            }
        }
    }

    private func drawSpec() -> TaskSpec {
        let draw = clients.random.index(below: 20)
        let isLong = clients.random.happens(clients.longTaskShare)
        let seconds = clients.random.fraction()
        let long = seconds * 3 * scenario.leaseLength.seconds
        var spec: TaskSpec
        switch draw {
        case 0: spec = TaskSpec(command: ["exit", "\(clients.random.index(below: 3))"])
        case 1: spec = TaskSpec(command: ["stubborn", "\(isLong ? long : seconds * 4)"])
        case 2: spec = TaskSpec(command: ["hog"])
        case 3: spec = TaskSpec(command: ["missing"])
        case 4: spec = TaskSpec(command: ["sleep", "\(seconds)", "3"])
        default: spec = TaskSpec(command: ["sleep", "\(isLong ? long : seconds * 3)"])
        }
        spec.resources = Resources(
            cpuMillis: UInt32(50 + clients.random.index(below: 500)),
            memoryBytes: UInt64(16 + clients.random.index(below: 128)) << 20)
        spec.grace = .seconds(1)
        switch clients.random.index(below: 10) {
        case 0: spec.restart = .never
        case 1, 2: spec.restart = .onFailure(restartsMax: 3)
        case 3:
            spec.restart = .always
            spec.attemptsMax = UInt32(1 + clients.random.index(below: 3))
        default: break
        }
        if clients.random.happens(0.1) { spec.onPartition = .wait }
        if clients.random.happens(0.05) {
            spec.attemptsMax = UInt32(1 + clients.random.index(below: 4))
        }
        if clients.random.happens(0.05) { spec.timeout = .seconds(1) }
        if clients.random.happens(World.imageShare) {
            let image = library.images[clients.random.index(below: library.images.count)]
            spec.rootfs = .image(image.name, nil)
        }
        return spec
    }

    private var report: RunReport {
        var states: [TaskState: Int] = [:]
        for job in clients.jobs {
            guard let state = checker.outcome(of: job.id) else { continue }
            states[state, default: 0] += 1
        }
        return RunReport(
            seed: scenario.seed, violation: checker.violation, traceHash: trace.hash,
            counts: counts, faults: faults, seconds: Double(now) / 1e9, states: states)
    }
}

package import Cluster
import Model

/// What came of a run.
package struct RunReport: Sendable {
    /// The seed.
    package var seed: UInt64
    /// The first broken promise, if any.
    package var violation: Violation?
    /// The hash of all events and effects.
    package var traceHash: UInt64
    /// What was counted.
    package var counts: World.Counts
    /// Virtual seconds from the beginning to the end.
    package var seconds: Double
    /// How many tasks ended in which state.
    package var states: [TaskState: Int]
    /// The last events, when the scenario keeps them.
    package var trail: [String]
}

extension World {
    /// Runs the scenario: formation, safety phase with faults, liveness phase without.
    package static func run(_ scenario: Scenario) -> RunReport {
        var world = World(scenario)
        world.form()
        if world.checker.violation == nil {
            world.plan(count: scenario.taskCount, over: scenario.safetyPhase)
            world.network.faults = scenario.faults
            world.isSafetyPhase = true
            world.heap.insert(.fault, at: world.time + 500_000_000)
            world.run(until: world.time + scenario.safetyPhase.nanoseconds)
            world.endFaults()
            let limit = world.time + scenario.livenessLimit.nanoseconds
            world.run(until: limit) { $0.isSettled }
            world.checkEnd()
        }
        return world.report
    }

    /// The first machine founds, the others join it by token, all before anything goes wrong.
    mutating func form() {
        start(0, .found(nonce: random.next()))
        run(until: time + 2_000_000_000)
        for index in machines.indices.dropFirst() {
            lastRequest += 1
            tell(0, .request(RequestID(lastRequest), .issueToken(lifetime: .seconds(3_600))))
            start(index, .join)
            run(until: time + 1_000_000)
            lastRequest += 1
            tell(
                index,
                .request(
                    RequestID(lastRequest),
                    .join(seeds: [machines[0].address], token: joinToken ?? "")))
        }
        let count = machines.count
        run(until: time + 60_000_000_000) { world in
            world.machines.allSatisfy { machine in
                machine.node?.aliveCount == count && machine.node?.hasLease == true
            }
        }
        let isFormed = machines.allSatisfy { $0.node?.aliveCount == count }
        if !isFormed { checker.fail("the cluster does not form", at: time) }
    }

    /// Whether all tasks have ended for good, and all nodes know the same.
    private var isSettled: Bool {
        guard workload.jobs.allSatisfy(\.isAcknowledged),
            let first = machines.first?.node
        else { return false }
        for job in workload.jobs {
            guard let status = first.task(job.id), status.state.isTerminal,
                !status.isUnconfirmed
            else { return false }
        }
        let bytes = first.tableBytes()
        return machines.dropFirst().allSatisfy { $0.node?.tableBytes() == bytes }
    }

    private mutating func checkEnd() {
        guard checker.violation == nil else { return }
        for task in checker.acknowledgedTasks.sorted() {
            for machine in machines.indices where machines[machine].node?.task(task) == nil {
                return checker.fail(
                    "task \(task) was acknowledged, and node \(machine + 1) lacks it", at: time)
            }
        }
        for job in workload.jobs {
            guard job.isAcknowledged else {
                return checker.fail("task \(job.id) was never acknowledged", at: time)
            }
            let status = machines[0].node?.task(job.id)
            guard let status, status.state.isTerminal, !status.isUnconfirmed else {
                return checker.fail(
                    "task \(job.id) has not ended (\(status?.state.rawValue ?? "unknown"))", at: time)
            }
        }
        let tables = Set(machines.map { $0.node?.tableBytes() ?? [] })
        guard tables.count == 1 else {
            return checker.fail("the tables of the nodes differ", at: time)
        }
        var lockTables: [UInt64: [UInt8]] = [:]
        for machine in machines {
            guard let (index, bytes) = machine.node?.lockState, index > 0 else { continue }
            if let known = lockTables[index], known != bytes {
                return checker.fail("voters that applied the same disagree", at: time)
            }
            lockTables[index] = bytes
        }
    }

    private var report: RunReport {
        var states: [TaskState: Int] = [:]
        for job in workload.jobs {
            guard let state = machines[0].node?.task(job.id)?.state else { continue }
            states[state, default: 0] += 1
        }
        return RunReport(
            seed: scenario.seed, violation: checker.violation, traceHash: trace.hash,
            counts: counts, seconds: Double(time) / 1e9, states: states, trail: trace.trail)
    }
}

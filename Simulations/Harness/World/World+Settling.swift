import Cluster
import Gossip
import Model

/// What must hold once nothing goes wrong any more.
extension World {
    /// Whether every task has ended for good, nothing runs, and all nodes know the same.
    var isSettled: Bool { unsettled == nil }

    /// What is not settled yet, in words; cheap checks come first.
    private var unsettled: String? {
        for machine in machines {
            guard let node = machine.node else { return "\(machine.name) is down" }
            if machine.frozenUntil > now { return "\(machine.name) stands still" }
            if !node.isMember { return "\(machine.name) has not joined" }
        }
        for job in clients.jobs {
            if let reason = unsettled(job) { return reason }
        }
        if checker.isAnythingLive { return "a program still runs" }
        for machine in machines where !machine.runtime.isEmpty {
            let rest = machine.runtime.ids.first.map(\.description) ?? ""
            return "\(machine.name) still has container \(rest)"
        }
        return unsettledNodes
    }

    private func unsettled(_ job: Job) -> String? {
        guard job.isAcknowledged else { return "task \(job.id) was never acknowledged" }
        if isExcused(job) { return nil }
        for machine in machines {
            guard let status = machine.node?.task(job.id) else {
                if checker.outcome(of: job.id) != nil, isCollecting { continue }
                return "task \(job.id) was acknowledged, but \(machine.name) lacks it"
            }
            if !status.state.isTerminal || status.isUnconfirmed {
                return "task \(job.id) has not ended on \(machine.name): "
                    + "\(status.state.rawValue), token \(status.token?.description ?? "none"), "
                    + "on \(status.nodeName ?? "no node"), "
                    + (status.isUnconfirmed ? "unconfirmed" : "")
            }
        }
        return nil
    }

    /// Whether nodes drop ended tasks within this run.
    var isCollecting: Bool { clients.retention < .seconds(600) }

    /// Whether every disk that held the task when it was acknowledged is lost.
    private func isExcused(_ job: Job) -> Bool {
        !job.disks.isEmpty
            && job.disks.allSatisfy { machines[$0.machine].incarnation != $0.incarnation }
    }

    private var unsettledNodes: String? {
        var table: [UInt8]?
        for machine in machines {
            guard let node = machine.node else { continue }
            let alive = node.aliveCount
            if alive != machines.count {
                return "\(machine.name) sees \(alive) members alive, of \(machines.count)"
            }
            if !node.hasLease { return "\(machine.name) has no lease" }
            let own = node.tableBytes()
            if let table, table != own {
                return "the tables of \(machines[0].name) and \(machine.name) differ"
                    + difference(machines[0], machine)
            }
            table = own
            if let busy = node.nodes(at: machine.clock.local(at: now)).first(where: {
                $0.runningCount != 0
            }) {
                return "\(machine.name) believes that \(busy.name) has \(busy.runningCount) tasks"
            }
        }
        return nil
    }

    /// The first task about which two nodes disagree, in words.
    private func difference(_ left: Machine, _ right: Machine) -> String {
        for job in clients.jobs {
            let here = left.node?.task(job.id)
            let there = right.node?.task(job.id)
            if here != there {
                return ": \(job.id) is \(String(describing: here)) "
                    + "and \(String(describing: there))"
            }
        }
        return ", though not in what they show"
    }

    /// Fails with what is not settled, or with a request that nobody has answered.
    func checkEnd() {
        guard checker.violation == nil else { return }
        if let unsettled {
            return checker.fail("not settled by the end: \(unsettled)", at: now)
        }
        let overdue = clients.pending.filter {
            now - $0.value.asked > World.answerMax.nanoseconds && $0.value.purpose != .join
        }
        if let (request, entry) = overdue.min(by: { $0.key < $1.key }) {
            checker.fail(
                "\(machines[entry.machine].name) has never answered request \(request.value) "
                    + "(\(entry.purpose))", at: now)
        }
    }

    /// How long an answer may take; reading a log waits up to half a minute.
    private static let answerMax: Duration = .seconds(45)

    /// A machine's disk is gone for good: it comes back as another node.
    func lose(_ machine: Machine) {
        let old = machine.key.id
        machine.disk.wipe()
        machine.images = VirtualImages()
        machine.runtime = VirtualRuntime(seed: random.boots.next())
        machine.incarnation += 1
        machine.key = NodeKey(
            seed: random.boots.bytes(NodeKey.seedSizeBytes), scheme: scenario.scheme)
        lostNodes.append(old)
        trace.note("\(machine.name) loses its disk", at: now)
    }
}

import Cluster
import Gossip
import Model

/// What must hold once nothing goes wrong any more.
extension World {
    /// Whether every task has ended for good, nothing runs, and all nodes that are there know the
    /// same.
    var isSettled: Bool {
        // What no node has shown as ended is not settled; this is much cheaper than asking all.
        let isAnyOpen = clients.jobs.contains { job in
            checker.outcome(of: job.id) == nil && !isExcused(job)
        }
        return !isAnyOpen && unsettled == nil
    }

    /// The machines that must have settled: all, or those that the minority has left alone.
    private var present: [Machine] { machines.filter { !absentees.contains($0.index) } }

    /// What is not settled yet, in words; cheap checks come first.
    private var unsettled: String? {
        for machine in present {
            guard let node = machine.node else { return "\(machine.name) is down" }
            if machine.frozenUntil > now { return "\(machine.name) stands still" }
            if !node.isMember { return "\(machine.name) has not joined" }
        }
        if isCopyAround, let impostor {
            return "\(impostor.name), a copy, goes on: \(impostor.node == nil ? "down" : "running")"
        }
        for job in clients.jobs {
            if let reason = unsettled(job) { return reason }
        }
        if absentees.isEmpty, checker.isAnythingLive { return "a program still runs" }
        for machine in present where !machine.runtime.isEmpty {
            let rest = machine.runtime.ids.first.map(\.description) ?? ""
            return "\(machine.name) still has container \(rest)"
        }
        return unsettledNodes
    }

    private func unsettled(_ job: Job) -> String? {
        if isExcused(job) { return nil }
        guard job.isAcknowledged else { return "task \(job.id) was never acknowledged" }
        for machine in present {
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
            if job.mustShowNewerFields(unlessAway: isAway),
                machine.node?.newerFields(of: job.id).isEmpty == true
            {
                return "\(machine.name) has lost what a newer version wrote of task \(job.id)"
            }
        }
        return nil
    }

    /// Whether nodes drop ended tasks within this run.
    var isCollecting: Bool { clients.retention < .seconds(600) }

    /// Whether nobody who is there can be expected to bring the task to its end.
    private func isExcused(_ job: Job) -> Bool {
        if mayWaitForCopy(job) { return true }
        if !job.disks.isEmpty, job.disks.allSatisfy({ isAway($0) }) { return true }
        guard !absentees.isEmpty else { return false }
        // A task that waits for its node may wait for one that is away; a client that stays with
        // its node may wait for it, too.
        if job.spec.onPartition == .wait { return true }
        return !job.isAcknowledged && isCollecting
            && job.machine.map { absentees.contains($0) } ?? false
    }

    /// Whether a disk is lost, or in a machine that is away.
    private func isAway(_ disk: DiskIdentity) -> Bool {
        disk.machine >= machines.count || machines[disk.machine].incarnation != disk.incarnation
            || absentees.contains(disk.machine)
    }

    private var unsettledNodes: String? {
        var table: [UInt8]?
        let count = present.count
        for machine in present {
            guard let node = machine.node else { continue }
            let alive = node.aliveCount
            if alive != count {
                return "\(machine.name) sees \(alive) members alive, of \(count)"
            }
            if !node.hasLease { return "\(machine.name) has no lease" }
            let own = node.tableBytes()
            if let table, table != own {
                return "the tables of \(present[0].name) and \(machine.name) differ"
                    + difference(present[0], machine)
            }
            table = own
            for member in node.nodes(at: machine.clock.local(at: now)) {
                guard let known = present.first(where: { $0.key.id == member.id }) else { continue }
                if member.runningCount != 0, impostor == nil {
                    return "\(machine.name) believes that \(member.name) has "
                        + "\(member.runningCount) tasks"
                }
                if member.version != version(of: known) {
                    return "\(machine.name) believes that \(member.name) is of version "
                        + member.version
                }
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

    /// Fails with what is not settled.
    func checkSettled() {
        guard checker.violation == nil, let unsettled else { return }
        let minority = absentees.sorted().map { machines[$0].name }.joined(separator: ", ")
        checker.fail(
            "not settled by the end\(minority.isEmpty ? "" : " without \(minority)"): "
                + unsettled, at: now)
    }

    /// Fails with a request that nobody has answered.
    func checkAnswers() {
        guard checker.violation == nil else { return }
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
}

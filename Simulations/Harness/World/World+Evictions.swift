import Cluster
import Gossip
import Model

/// Nodes that a person shuts out, wherever they stand at that moment.
extension World {
    /// Somebody asks a member to shut out a machine's node.
    func evict(_ machine: Machine) -> Bool {
        guard mayLoseDisk, machines.allSatisfy({ !$0.isShutOut }) else { return false }
        let askers = machines.filter { $0 !== machine }
        let asker = askers[random.incidents.index(below: askers.count)]
        lastWipe = now
        trace.note("\(machine.name) is to be evicted by \(asker.name)", at: now)
        switch random.incidents.index(below: 3) {
        case 0 where mayBeAbsent(machine):
            crash(machine)
            restart(machine, after: span(.milliseconds(20), .seconds(12)))
        case 1:
            let others = machines.indices.filter {
                $0 != machine.index && random.incidents.happens(0.7)
            }
            let end = now + span(.milliseconds(100), .seconds(15))
            cut(from: [machine.index], to: others, until: end)
            cut(from: others, to: [machine.index], until: end)
        default: break
        }
        ask(asker, .evict(machine.key.id, isCascading: false), for: .evict)
        return true
    }

    /// Some member knows that a node is shut out: the lock has agreed.
    ///
    /// The person knows, too, that what waits for the node may run twice from now on.
    func shutOut(_ node: NodeID) {
        guard let machine = machines.first(where: { $0.key.id == node }), !machine.isShutOut
        else { return }
        machine.isShutOut = true
        evicted.insert(node)
        trace.note("\(machine.name) is evicted", at: now)
        for id in machine.runtime.ids where isGivenUp(id, on: machine) {
            checker.suspended(id, on: machine.name)
        }
        queue.insert(.relief(.replace(machine.index)), at: now + span(.seconds(1), .seconds(20)))
    }

    /// Whether a container may go on beside another one: its node is shut out, and it does not hang
    /// on the lease.
    func isGivenUp(_ id: ContainerID, on machine: Machine) -> Bool {
        machine.isShutOut && !machine.isBound(id)
    }

    /// A person stops the machine of a node that was shut out, and lets it join as another one; a copy
    /// of one is ended.
    func replace(_ machine: Machine) {
        if machine === impostor {
            if isCopyAround, evicted.contains(machine.key.id) { end(machine) }
            return
        }
        guard machine.isShutOut, !absentees.contains(machine.index) else { return }
        reboot(machine)
        machine.life += 1
        machine.frozenUntil = 0
        machine.pausedUntil = 0
        lose(machine)
        machine.isShutOut = false
        lastWipe = now
        for number in clients.jobs.indices where clients.jobs[number].isCancelWished {
            // It may have been alone with that wish.
            guard checker.outcome(of: clients.jobs[number].id) == nil else { continue }
            clients.jobs[number].isCancelSettled = false
            queue.insert(.client(.cancel(number)), at: now + 1_000_000_000)
        }
        restart(machine, after: 1_000_000)
    }
}

import Cluster
import Gossip
import Model
import Raft

/// What nodes tell people is what the checks look at.
extension World {
    func observe(_ observation: Observation, by machine: Machine) {
        switch observation {
        case .claimsRequested(let count):
            counts.claimRequests += 1
            counts.claims += count
            if isStudy { log.asksForClaims(machine.index, at: now) }
        case .claimGranted(let task, let token):
            counts.grants += 1
            clients.claimed(task, at: now)
            if isStudy { log.claimAnswered(machine.index, at: now) }
            checker.granted(task, token, to: machine.name, at: now)
        case .claimDenied:
            counts.denials += 1
            if isStudy { log.claimAnswered(machine.index, at: now) }
        case .taskChanged(let task):
            guard !isStudy, let status = machine.node?.task(task) else { return }
            let job = clients.number(of: task).map { clients.jobs[$0] }
            checker.saw(
                status, wasCancelWished: job?.isCancelWished ?? false, by: machine.name, at: now)
        case .leaseLapsed:
            counts.lapses += 1
        case .lockLeader(let isLeader):
            machine.isLeader = isLeader
        case .notice(.error, let text):
            if text.contains("this node's key"), !wasCopyAround {
                checker.fail("\(machine.name) believes in a clone: \(text)", at: now)
            }
        case .memberChanged(let node, .evicted):
            shutOut(node)
            if machine === impostor, node == machine.key.id {
                // A person reads why it does nothing any more.
                queue.insert(
                    .relief(.replace(machine.index)), at: now + span(.seconds(1), .seconds(10)))
            }
        case .memberChanged, .dropped, .leaseExtended, .votersChanged, .notice:
            break
        }
    }

    /// Nothing that was acknowledged leaves a disk before it has ended, nor comes back after.
    func checkRecords(_ writes: [DurableWrite], by machine: Machine) {
        guard !isStudy else { return }
        for write in writes {
            switch write {
            case .put(.task, let key, _):
                guard let value = Wide128(bytes: key[...]) else { continue }
                checker.wrote(TaskID(value), by: machine.name, at: now)
            case .delete(.task, let key):
                guard let value = Wide128(bytes: key[...]) else { continue }
                let task = TaskID(value)
                let isAcknowledged =
                    clients.number(of: task).map { clients.jobs[$0].isAcknowledged } ?? false
                checker.dropped(
                    task, isAcknowledged: isAcknowledged, by: machine.name, at: now)
                checker.collected(task, by: machine.name)
            default: break
            }
        }
    }

    /// No program is started of which its node knows that it is not wanted any more.
    func checkStart(of id: ContainerID, on machine: Machine) {
        guard machine.node?.task(id.task)?.isCancelRequested == true else { return }
        checker.fail(
            "\(machine.name) starts \(id), though it knows that the task was canceled", at: now)
    }

    /// What waits in a node is bounded.
    func checkQueues(of machine: Machine) {
        for queue in machine.node?.queues ?? [] where queue.count > queue.countMax {
            checker.fail(
                "\(machine.name) has \(queue.count) \(queue.name), of \(queue.countMax) at most",
                at: now)
        }
    }

    /// Which log indices have their tables compared: the encoding of a whole table is not free, and
    /// the entries that make it are all compared.
    private static let lockCheckInterval: UInt64 = 64
    /// In larger clusters the lock is left unchecked: studies are about other things.
    private static let lockCheckNodesMax = 64

    /// Compares what a node knows to be committed with what all others knew before it.
    func checkLock(of machine: Machine) {
        guard !isStudy, machines.count <= World.lockCheckNodesMax, let node = machine.node else {
            return
        }
        let committed = node.lockCommitted
        if committed != machine.committedSeen {
            let isSameLog = committed.generation == machine.committedSeen.generation
            let seen = isSameLog ? machine.committedSeen.index : 0
            machine.committedSeen = committed
            for entry in node.lockEntries(after: seen) {
                counts.entries += 1
                checker.committed(
                    FencingToken(generation: committed.generation, index: entry.index),
                    term: entry.term, print: entry.print, by: machine.name, at: now)
            }
        }
        let index = node.lockAppliedIndex
        guard index != machine.lockIndexSeen else { return }
        machine.lockIndexSeen = index
        guard index % World.lockCheckInterval == 0 else { return }
        checker.applied(
            index, Digest.of(node.lockState.bytes), by: machine.name, at: now)
    }
}

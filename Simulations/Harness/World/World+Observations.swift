import Cluster
import Model

/// What nodes tell people is what the checks look at.
extension World {
    func observe(_ observation: Observation, by machine: Machine) {
        switch observation {
        case .claimsRequested(let count):
            counts.claimRequests += 1
            counts.claims += count
        case .claimGranted(let task, let token):
            counts.grants += 1
            checker.granted(task, token, to: machine.name, at: now)
        case .claimDenied:
            counts.denials += 1
        case .taskChanged(let task):
            guard let status = machine.node?.task(task) else { return }
            let job = clients.number(of: task).map { clients.jobs[$0] }
            checker.saw(
                status, wasCancelWished: job?.isCancelWished ?? false, by: machine.name, at: now)
        case .leaseLapsed:
            counts.lapses += 1
        case .lockLeader(let isLeader):
            machine.isLeader = isLeader
        case .notice(.error, let text):
            if text.contains("key") {
                checker.fail("\(machine.name) believes in a clone: \(text)", at: now)
            }
        case .memberChanged, .dropped, .leaseExtended, .votersChanged, .notice:
            break
        }
    }

    /// Nothing that was acknowledged leaves a disk before it has ended.
    func checkDrops(_ writes: [DurableWrite], by machine: Machine) {
        for write in writes {
            guard case .delete(.task, let key) = write, let value = Wide128(bytes: key[...]) else {
                continue
            }
            let task = TaskID(value)
            let isAcknowledged =
                clients.number(of: task).map { clients.jobs[$0].isAcknowledged } ?? false
            checker.dropped(
                task, isAcknowledged: isAcknowledged, by: machine.name, at: now)
        }
    }

    /// Which log indices are compared: the encoding of a whole table is not free.
    private static let lockCheckInterval: UInt64 = 8
    /// In larger clusters the lock is left unchecked: studies are about other things.
    private static let lockCheckNodesMax = 64

    func checkLock(of machine: Machine) {
        guard !isStudy, machines.count <= World.lockCheckNodesMax, let node = machine.node else {
            return
        }
        let index = node.lockAppliedIndex
        guard index != machine.lockIndexSeen else { return }
        machine.lockIndexSeen = index
        guard index % World.lockCheckInterval == 0 else { return }
        checker.applied(
            index, Digest.of(node.lockState.bytes), by: machine.name, at: now)
    }
}

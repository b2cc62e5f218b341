import Cluster
import Model

/// Disks sync, and drivers hear of it: the same queue as the daemon's says in which order.
extension World {
    /// Has a disk do what it can do now.
    func workDisk(of machine: Machine) {
        while let next = machine.disk.next() {
            switch next {
            case .sync(let premature):
                let latency = random.disks.nanoseconds(machine.syncMin, machine.syncMax)
                queue.insert(.synced(machine.index, life: machine.life), at: now + latency)
                if let premature { tell(premature, to: machine, at: now + 1) }
                return
            case .tell(let answer):
                tell(answer, to: machine, at: now + random.disks.nanoseconds(.zero, World.hopMax))
            }
        }
    }

    /// How long it takes from a failed write to the core's hearing of it, while writes go on.
    private static let hopMax: Duration = .microseconds(300)

    func synced(_ machine: Machine, _ life: UInt64) {
        guard machine.life == life, machine.disk.isSyncing else { return }
        if machine.pausedUntil > now {
            return queue.insert(.synced(machine.index, life: life), at: machine.pausedUntil)
        }
        let fails = random.disks.happens(machine.disk.failureShare)
        let answer = machine.disk.finishSync(fails: fails)
        let hop =
            answer.failure == nil ? 0 : random.disks.nanoseconds(.zero, World.hopMax)
        tell(answer, to: machine, at: now + hop)
        workDisk(of: machine)
    }

    /// Answers reach the core in the order in which they were given.
    private func tell(_ answer: WriteQueue.Answer, to machine: Machine, at due: Int64) {
        guard !answer.tickets.isEmpty else { return }
        let due = max(due, machine.answersDue)
        if due <= now { return answered(answer, machine, machine.life) }
        machine.answersDue = due
        queue.insert(.answered(machine.index, life: machine.life, answer), at: due)
    }

    func answered(_ answer: WriteQueue.Answer, _ machine: Machine, _ life: UInt64) {
        guard machine.life == life else { return }
        if machine.frozenUntil > now {
            machine.answersDue = max(machine.answersDue, machine.frozenUntil)
            return queue.insert(
                .answered(machine.index, life: life, answer), at: machine.frozenUntil)
        }
        answer.deliver(
            resume: { failure in
                machine.disk.resume(after: failure)
                workDisk(of: machine)
            },
            tell: { ticket, failure in
                tell(
                    machine,
                    failure.map { .persistFailed(ticket, reason: $0) } ?? .persisted(ticket))
            })
    }
}

import Cluster
import Model

/// Containers go their steps; what runs is watched.
extension World {
    func schedule(_ steps: [VirtualRuntime.Step], on machine: Machine) {
        for step in steps { queue.insert(.step(machine.index, step), at: now + step.delay) }
        if let misuse = machine.runtime.misuse {
            checker.fail("\(machine.name): \(misuse)", at: now)
        }
    }

    func advance(_ machine: Machine, _ step: VirtualRuntime.Step) {
        if machine.pausedUntil > now {
            return queue.insert(.step(machine.index, step), at: machine.pausedUntil)
        }
        let wasRunning = machine.runtime[step.id]?.phase == .running
        let outcome = machine.runtime.advance(step)
        if !wasRunning, machine.runtime[step.id]?.phase == .running {
            liveBegan(step.id, on: machine)
        } else if wasRunning, outcome.event != nil {
            liveEnded(step.id, outcome.event, on: machine)
        }
        schedule(outcome.next, on: machine)
        if let event = outcome.event { tell(machine, .container(step.id, event)) }
    }

    func copyLog(_ id: ContainerID, _ command: LogCopyCommand, on machine: Machine) {
        switch command {
        case .keep(let chunk): machine.logCopies[id] = chunk
        case .remove: machine.logCopies[id] = nil
        case .read(let read, _):
            let event = NodeEvent.logRead(read, machine.logCopies[id])
            queue.insert(.tell(machine.index, life: machine.life, event), at: now + 1_000_000)
        }
    }

    private func liveBegan(_ id: ContainerID, on machine: Machine) {
        counts.starts += 1
        trace.note("\(machine.name) \(id) runs", at: now)
        if isStudy, let work = machine.runtime[id]?.behaviour.runTime {
            log.began(id, on: machine.index, work: work, at: now)
        }
        clients.started(id.task, at: now)
        guard !isGivenUp(id, on: machine) else { return }
        checker.started(
            id, on: machine.name, at: now, attemptsMax: clients.attemptsMax(of: id.task))
    }

    func liveEnded(_ id: ContainerID, _ event: ContainerEvent?, on machine: Machine) {
        trace.note("\(machine.name) \(id) runs no more", at: now)
        var exit: ExitStatus?
        if case .exited(let status)? = event { exit = status }
        checker.ended(id, exit: exit, on: machine.name)
        if isStudy { log.ended(id, at: now) }
        clients.ended(id.task, exit: exit, at: now)
    }
}

import Cluster
import Model

/// Virtual containers: what they do follows from their command alone.
///
/// `sleep SECONDS` runs that long and ends with 0; `exit CODE` ends at once; `fail` ends with 1.
extension World {
    mutating func perform(_ command: ContainerCommand, on id: ContainerID, of index: Int) {
        switch command {
        case .create(let spec):
            lastGeneration += 1
            machines[index].containers[id] = VirtualMachine.Container(
                state: .creating, spec: spec, generation: lastGeneration)
            schedule(.created, id, of: index, after: latency(10, 30))
        case .start:
            guard machines[index].containers[id]?.state == .created else { return }
            schedule(.started, id, of: index, after: latency(2, 6))
        case .signal(let signal):
            guard machines[index].containers[id]?.state == .running, signal == 15 else { return }
            schedule(.exits(143), id, of: index, after: latency(1, 5))
        case .kill:
            kill(id, of: index)
        case .remove:
            guard case .ended? = machines[index].containers[id]?.state else { return }
            machines[index].containers[id] = nil
        case .removeLog:
            break
        }
    }

    private mutating func kill(_ id: ContainerID, of index: Int) {
        switch machines[index].containers[id]?.state {
        case .creating, .created, .running:
            // Steps that were under way are void from now on.
            lastGeneration += 1
            machines[index].containers[id]?.generation = lastGeneration
            schedule(.exits(137), id, of: index, after: latency(1, 3))
        case .ended, nil:
            break
        }
    }

    mutating func advance(
        _ index: Int, _ id: ContainerID, _ generation: UInt64, _ step: ContainerStep
    ) {
        guard let container = machines[index].containers[id], container.generation == generation
        else { return }
        switch step {
        case .created:
            guard container.state == .creating else { return }
            machines[index].containers[id]?.state = .created
            tell(index, .container(id, .created))
        case .started:
            guard container.state == .created else { return }
            machines[index].containers[id]?.state = .running
            counts.starts += 1
            checker.started(id, on: index, at: time)
            let (duration, code) = World.behaviour(of: container.spec)
            machines[index].busyNanoseconds -= time
            schedule(.exits(code), id, of: index, after: duration)
            tell(index, .container(id, .started))
        case .exits(let code):
            if container.state == .running {
                checker.ended(id, on: index)
                machines[index].busyNanoseconds += time
            }
            if case .ended = container.state { return }
            let event = ContainerEvent.exited(ExitStatus(code: code))
            machines[index].containers[id]?.state = .ended(event)
            tell(index, .container(id, event))
        }
    }

    private mutating func schedule(
        _ step: ContainerStep, _ id: ContainerID, of index: Int, after delay: Int64
    ) {
        guard let generation = machines[index].containers[id]?.generation else { return }
        heap.insert(
            .containerStep(index, id, generation: generation, step), at: time + delay)
    }

    private mutating func latency(_ least: UInt64, _ most: UInt64) -> Int64 {
        Int64((least + random.next() % (most - least)) * 1_000_000)
    }

    /// How long a command runs, in nanoseconds, and its exit code.
    static func behaviour(of spec: TaskSpec) -> (nanoseconds: Int64, code: Int32) {
        switch (spec.command.first, spec.command.dropFirst().first) {
        case ("sleep"?, let seconds?): return (Int64((Double(seconds) ?? 0) * 1e9), 0)
        case ("exit"?, let code?): return (1_000_000, Int32(code) ?? 0)
        case ("fail"?, _): return (1_000_000, 1)
        default: return (1_000_000, 0)
        }
    }
}

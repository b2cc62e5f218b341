package import Model

/// The container runtime of one machine: containers live on when the daemon dies.
///
/// Commands for one container are performed one after the other, as the seam promises; each takes
/// its time, and answers with an event.
package struct VirtualRuntime: Sendable {
    /// How far a container has come.
    package enum Phase: Hashable, Sendable {
        /// Being made.
        case creating
        /// Made, not started.
        case created
        /// `start` is under way.
        case starting
        /// The program runs.
        case running
        /// Nothing of it runs any more.
        case ended(ContainerEvent)
    }

    /// What happens to a container by itself after a while.
    package struct Step: Hashable, Sendable {
        /// The container.
        package var id: ContainerID
        /// What happens.
        package var event: ContainerEvent
        /// Which state of affairs the step belongs to; overtaken steps are void.
        package var generation: UInt64
        /// After how many nanoseconds.
        package var delay: Int64
    }

    /// What a step came to.
    package struct Outcome: Sendable {
        /// What the runtime tells, if anything.
        package var event: ContainerEvent?
        /// Steps that follow.
        package var next: [Step] = []
    }

    /// One container.
    package struct Container: Sendable {
        /// How far it has come.
        package var phase: Phase
        /// What its program does.
        package let behaviour: Behaviour
        /// Whether it must end with the node's lease.
        package let isLeaseBound: Bool
        fileprivate var commands: [ContainerCommand] = []
        fileprivate var isBusy = true
        fileprivate var generation: UInt64
    }

    private var containers: [ContainerID: Container] = [:]
    private var lastGeneration: UInt64 = 0
    private var random: SeededGenerator
    /// How long steps take.
    package var latency = RuntimeLatency()
    /// Programs take their run time over this.
    package var speed = 1.0
    /// A command that makes no sense where it came, for the checker.
    package private(set) var misuse: String?

    /// Makes a runtime without containers.
    package init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    /// A container, if it is there.
    package subscript(id: ContainerID) -> Container? { containers[id] }

    /// All containers, sorted.
    package var ids: [ContainerID] { containers.keys.sorted() }

    /// Whether nothing is left of any container.
    package var isEmpty: Bool { containers.isEmpty }

    // MARK: Commands

    /// Takes in a command of the daemon; the steps that follow are to be handed to `advance`.
    ///
    /// - Parameters:
    ///   - command: What the daemon asks for.
    ///   - id: Of which container.
    ///   - mayCreate: Whether there is a guard under which one can be made.
    /// - Returns: What happens next by itself.
    package mutating func perform(
        _ command: ContainerCommand, on id: ContainerID, mayCreate: Bool = true
    ) -> [Step] {
        guard containers[id] != nil else { return performOnNothing(command, id, mayCreate) }
        containers[id]?.commands.append(command)
        return drain(id)
    }

    private mutating func performOnNothing(
        _ command: ContainerCommand, _ id: ContainerID, _ mayCreate: Bool
    ) -> [Step] {
        switch command {
        case .create(let spec):
            lastGeneration += 1
            containers[id] = Container(
                phase: .creating, behaviour: Behaviour(of: spec),
                isLeaseBound: spec.onPartition == .rerun, generation: lastGeneration)
            return [step(id, mayCreate ? .created : .vanished("no guard"), draw(latency.create))]
        case .kill:
            let nothing = ContainerFailure(code: 125, message: "there is no such container")
            return [
                Step(id: id, event: .failed(nothing), generation: 0, delay: draw(latency.kill))
            ]
        case .start, .signal, .stop, .remove, .removeLog:
            return []
        }
    }

    private mutating func drain(_ id: ContainerID) -> [Step] {
        var steps: [Step] = []
        while let container = containers[id], !container.isBusy,
            let command = container.commands.first
        {
            containers[id]?.commands.removeFirst()
            steps += execute(command, id, container)
        }
        return steps
    }

    private mutating func execute(
        _ command: ContainerCommand, _ id: ContainerID, _ container: Container
    ) -> [Step] {
        switch (command, container.phase) {
        case (.start, .created):
            containers[id]?.phase = .starting
            containers[id]?.isBusy = true
            if let failure = container.behaviour.startFailure {
                return [step(id, .failed(failure), draw(latency.start))]
            }
            return [step(id, .started, draw(latency.start))]
        case (.signal(let signal), .running)
        where signal != 0 && (signal == 9 || !container.behaviour.ignoresSignals):
            return [step(id, .exited(ExitStatus(code: 128 + signal)), draw(latency.kill))]
        case (.stop(let signal), .running) where !container.behaviour.ignoresSignals:
            return [step(id, .exited(ExitStatus(code: 128 + (signal ?? 15))), draw(latency.kill))]
        case (.kill, .running):
            containers[id]?.isBusy = true
            return [step(id, .exited(ExitStatus(code: 137)), draw(latency.kill))]
        case (.kill, .created), (.kill, .starting):
            // The kernel ends its first process: a start that is under way comes to nothing.
            lastGeneration += 1
            containers[id]?.generation = lastGeneration
            containers[id]?.isBusy = true
            let killed = ContainerFailure(code: 137, message: "killed before it was started")
            return [step(id, .failed(killed), draw(latency.kill))]
        case (.remove, .ended):
            containers[id] = nil
        case (.remove, _):
            misuse = "container \(id) is removed while it is \(container.phase)"
        case (.create, _):
            misuse = "container \(id) is made twice"
        default:
            break
        }
        return []
    }

    // MARK: Steps

    /// A step's time has come.
    package mutating func advance(_ step: Step) -> Outcome {
        guard let container = containers[step.id] else {
            // The answer to a command for a container that never was.
            return Outcome(event: step.generation == 0 ? step.event : nil)
        }
        guard container.generation == step.generation else { return Outcome() }
        var outcome = Outcome(event: step.event)
        switch (step.event, container.phase) {
        case (.created, .creating):
            containers[step.id]?.phase = .created
        case (.started, .starting):
            containers[step.id]?.phase = .running
            outcome.next.append(
                self.step(
                    step.id, .exited(container.behaviour.exit),
                    speed == 1
                        ? container.behaviour.runTime.nanoseconds
                        : Int64(Double(container.behaviour.runTime.nanoseconds) / speed)))
        case (.exited, .running), (.failed, .starting), (.failed, .created),
            (.vanished, .creating), (.vanished, .created), (.vanished, .starting),
            (.vanished, .running):
            containers[step.id]?.phase = .ended(step.event)
        default:
            return Outcome()
        }
        containers[step.id]?.isBusy = false
        outcome.next += drain(step.id)
        return outcome
    }

    /// The monitor of a running container dies, and everything in it.
    package func vanishing(of id: ContainerID) -> Step? {
        ending(id, .vanished("its monitor died"))
    }

    /// The kernel kills a running container at once.
    package func killing(of id: ContainerID) -> Step? {
        ending(id, .exited(ExitStatus(code: 137)))
    }

    /// A running program ends by itself at another time than was said before.
    package mutating func postponed(_ id: ContainerID, by delay: Int64) -> [Step] {
        guard let container = containers[id], container.phase == .running, !container.isBusy
        else { return [] }
        lastGeneration += 1
        containers[id]?.generation = lastGeneration
        return [step(id, .exited(container.behaviour.exit), delay)]
    }

    private func ending(_ id: ContainerID, _ event: ContainerEvent) -> Step? {
        guard let container = containers[id], container.phase == .running else { return nil }
        return Step(id: id, event: event, generation: container.generation, delay: 0)
    }

    // MARK: Crashes

    /// The guard dies: the kernel ends everything that hangs on it, within milliseconds.
    ///
    /// - Returns: What happens next by itself.
    package mutating func guardDied() -> [Step] {
        var steps: [Step] = []
        for id in ids where containers[id]?.isLeaseBound == true {
            switch containers[id]?.phase {
            case .creating, .created, .starting, .running: break
            case .ended, nil: continue
            }
            // Whatever was under way comes to nothing.
            lastGeneration += 1
            containers[id]?.generation = lastGeneration
            containers[id]?.isBusy = true
            steps.append(
                step(id, .vanished("its guard died"), random.nanoseconds(.zero, .milliseconds(5))))
        }
        return steps
    }

    /// The daemon dies: commands that it had not passed on are lost; containers live on.
    package mutating func daemonCrashed() {
        for id in ids {
            containers[id]?.commands = []
            // The runtime may go on starting it; the next daemon does not wait for that.
            if containers[id]?.phase == .starting { containers[id]?.isBusy = false }
            guard containers[id]?.phase == .creating else { continue }
            // Half of what was being made is complete enough to be found.
            if random.happens(0.5) {
                containers[id]?.phase = .created
                containers[id]?.isBusy = false
            } else {
                containers[id] = nil
            }
        }
    }

    /// The machine stops: every process ends, and of some containers traces are left.
    ///
    /// - Returns: The containers whose programs ran.
    package mutating func machineCrashed() -> [ContainerID] {
        let running = ids.filter { containers[$0]?.phase == .running }
        for id in ids {
            lastGeneration += 1
            containers[id]?.commands = []
            containers[id]?.isBusy = false
            containers[id]?.generation = lastGeneration
            switch containers[id]?.phase {
            case .running where random.happens(0.5):
                containers[id]?.phase = .ended(.vanished("its monitor died"))
            case .ended, nil: break
            case .creating, .created, .starting, .running: containers[id] = nil
            }
        }
        return running
    }

    /// What a starting daemon finds.
    package var adoptable: [AdoptedContainer] {
        ids.compactMap { id in
            switch containers[id]?.phase {
            case .created, .starting: AdoptedContainer(id: id, state: .created)
            case .running: AdoptedContainer(id: id, state: .started)
            case .ended(let event): AdoptedContainer(id: id, state: event)
            case .creating, nil: nil
            }
        }
    }

    // MARK: Helpers

    private func step(_ id: ContainerID, _ event: ContainerEvent, _ delay: Int64) -> Step {
        Step(id: id, event: event, generation: containers[id]?.generation ?? 0, delay: delay)
    }

    private mutating func draw(_ range: (Duration, Duration)) -> Int64 {
        if random.happens(latency.slowShare) {
            return random.nanoseconds(range.0, latency.slowMax)
        }
        return random.nanoseconds(range.0, range.1)
    }
}

import Model
import SimulationHarness
import Testing

@Suite struct VirtualRuntimeTests {
    private let id = ContainerID(
        task: TaskID(Wide128(high: 1, low: 2)), token: FencingToken(generation: 1, index: 3))

    private func spec(_ command: String...) -> TaskSpec { TaskSpec(command: command) }

    /// Performs commands, then all steps in their order until nothing is left to do.
    private func events(
        _ runtime: inout VirtualRuntime, _ commands: [ContainerCommand]
    ) -> [ContainerEvent] {
        var queue = EventQueue<VirtualRuntime.Step>()
        var now: Int64 = 0
        var events: [ContainerEvent] = []
        for command in commands {
            for step in runtime.perform(command, on: id) { queue.insert(step, at: step.delay) }
        }
        while let (time, step) = queue.popFirst() {
            now = time
            let outcome = runtime.advance(step)
            if let event = outcome.event { events.append(event) }
            for next in outcome.next { queue.insert(next, at: now + next.delay) }
        }
        return events
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var command: [String]
        var commands: [ContainerCommand]
        var end: ContainerEvent
        var testDescription: String { "\(command) \(commands)" }
    }

    @Test(arguments: [
        Row(
            command: ["sleep", "2"], commands: [.start], end: .exited(ExitStatus(code: 0))),
        Row(
            command: ["sleep", "2", "7"], commands: [.start], end: .exited(ExitStatus(code: 7))),
        Row(
            command: ["exit", "3"], commands: [.start], end: .exited(ExitStatus(code: 3))),
        Row(
            command: ["sleep", "2"], commands: [.start, .signal(15)],
            end: .exited(ExitStatus(code: 143))),
        Row(
            command: ["stubborn", "2"], commands: [.start, .signal(15)],
            end: .exited(ExitStatus(code: 0))),
        Row(
            command: ["stubborn", "2"], commands: [.start, .signal(15), .kill],
            end: .exited(ExitStatus(code: 137))),
        Row(
            command: ["hog"], commands: [.start],
            end: .exited(ExitStatus(code: 137, wasOutOfMemory: true))),
    ])
    func `a program ends as its command and the daemon's commands say`(row: Row) {
        var runtime = VirtualRuntime(seed: 1)
        let events = events(&runtime, [.create(TaskSpec(command: row.command))] + row.commands)
        #expect(events == [.created, .started, row.end])
        #expect(runtime[id]?.phase == .ended(row.end))
    }

    @Test func `a program that does not exist fails to start`() {
        var runtime = VirtualRuntime(seed: 1)
        let events = events(&runtime, [.create(spec("nonsense")), .start])
        #expect(events.count == 2)
        guard case .failed(let failure)? = events.last else {
            Issue.record("it started")
            return
        }
        #expect(failure.code == 127)
    }

    @Test func `killed before its start, a container never runs`() {
        var runtime = VirtualRuntime(seed: 1)
        let events = events(&runtime, [.create(spec("sleep", "9")), .kill, .start])
        #expect(events.first == .created)
        #expect(!events.contains(.started))
        guard case .failed? = events.last else {
            Issue.record("no failure was told")
            return
        }
    }

    @Test func `commands for one container wait for each other`() {
        var runtime = VirtualRuntime(seed: 1)
        let events = events(&runtime, [.create(spec("exit", "0")), .start, .kill, .remove])
        #expect(events.prefix(2) == [.created, .started])
        #expect(runtime.isEmpty)
        #expect(runtime.misuse == nil)
    }

    @Test func `killing what never was is answered all the same`() {
        var runtime = VirtualRuntime(seed: 1)
        let events = events(&runtime, [.kill])
        guard case .failed? = events.first else {
            Issue.record("no answer")
            return
        }
    }

    @Test func `removing what runs is noticed as a mistake`() {
        var runtime = VirtualRuntime(seed: 1)
        _ = events(&runtime, [.create(spec("sleep", "1")), .start, .remove])
        #expect(runtime.misuse != nil)
    }

    @Test func `a running container outlives its daemon and is found by the next one`() {
        var runtime = VirtualRuntime(seed: 1)
        var steps = runtime.perform(.create(spec("sleep", "5")), on: id)
        _ = runtime.advance(steps[0])
        steps = runtime.perform(.start, on: id)
        let ending = runtime.advance(steps[0]).next
        runtime.daemonCrashed()
        #expect(runtime.adoptable == [AdoptedContainer(id: id, state: .started)])
        _ = runtime.advance(ending[0])
        #expect(
            runtime.adoptable
                == [AdoptedContainer(id: id, state: .exited(ExitStatus(code: 0)))])
    }

    @Test func `a machine's crash ends every program`() {
        for seed in 0..<20 as Range<UInt64> {
            var runtime = VirtualRuntime(seed: seed)
            var steps = runtime.perform(.create(spec("sleep", "5")), on: id)
            _ = runtime.advance(steps[0])
            steps = runtime.perform(.start, on: id)
            let ending = runtime.advance(steps[0]).next
            let running = runtime.machineCrashed()
            #expect(running == [id])
            #expect(runtime[id]?.phase != .running)
            // What was to happen to it before the crash happens no more.
            let event = runtime.advance(ending[0]).event
            #expect(event == nil)
        }
    }

    @Test func `of what was being made when the daemon died, some is found`() {
        let found = (0..<50 as Range<UInt64>).count { seed in
            var runtime = VirtualRuntime(seed: seed)
            _ = runtime.perform(.create(spec("sleep", "5")), on: id)
            runtime.daemonCrashed()
            return runtime.adoptable == [AdoptedContainer(id: id, state: .created)]
        }
        #expect((5...45).contains(found))
    }
}

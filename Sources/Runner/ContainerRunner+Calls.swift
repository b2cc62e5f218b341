import Foundation
import Glibc
package import Model

/// Calls that go to containers of this node.
extension ContainerRunner {
    /// How many programs of calls run at a time, on all containers together.
    package static let callsMax = 64

    /// A call that is under way.
    struct RunningCall {
        var container: ContainerID
        var pump: CallPump
        /// Whether it goes to the task's own input, which goes on without it.
        var isInput = false
    }

    /// Carries a call's command out, or refuses it; answers exactly once, from any thread.
    package func call(
        _ id: ContainerID, _ key: CallKey, _ command: CallCommand,
        _ answer: @escaping @Sendable (CallAnswer) -> Void
    ) {
        if case .open(let target) = command {
            return pool.async { [self] in answer(open(id, key, target)) }
        }
        let call = lock.withLock { calls[key] }
        guard let call, call.container == id else {
            return answer(.refused(.gone, "the call has ended, or its node was started anew"))
        }
        if case .close = command {
            if call.isInput { lock.withLock { calls[key] = nil } }
        }
        call.pump.handle(command, answer)
    }

    private func open(_ id: ContainerID, _ key: CallKey, _ target: CallTarget) -> CallAnswer {
        if let call = lock.withLock({ calls[key] }), call.container == id {
            return call.pump.opened
        }
        guard let entry = entry(id), entry.isStarted, !entry.hasEnded else {
            return .refused(.gone, "the task does not run here any more")
        }
        switch target {
        case .program(let program): return open(id, key, program)
        case .input: return openInput(id, key)
        }
    }

    private func open(
        _ id: ContainerID, _ key: CallKey, _ program: CallProgram
    ) -> CallAnswer {
        let pump: CallPump? = lock.withLock {
            let count = calls.values.count { !$0.isInput }
            guard calls[key] == nil, count < ContainerRunner.callsMax else { return nil }
            lastCall += 1
            let endpoint = ProgramCall(
                self, ContainerPaths(id, configuration), program, number: lastCall)
            let pump = CallPump(
                endpoint, endsWithSilence: true, silenceMax: configuration.callSilenceMax)
            calls[key] = RunningCall(container: id, pump: pump)
            return pump
        }
        guard let pump else {
            return .refused(
                .overloaded,
                "the task's node runs \(ContainerRunner.callsMax) programs of clients already")
        }
        pump.start { [weak self] in self?.lock.withLock { self?.calls[key] = nil } }
        return .opened(inputAt: 0)
    }

    private func openInput(_ id: ContainerID, _ key: CallKey) -> CallAnswer {
        let pump: CallPump? = lock.withLock {
            guard let pump = inputs[id] else { return nil }
            // Whoever comes last has it: a client that has lost its node comes back by another one.
            calls = calls.filter { !($0.value.isInput && $0.value.container == id) }
            calls[key] = RunningCall(container: id, pump: pump, isInput: true)
            return pump
        }
        guard let pump else {
            let kind = Files.text(ContainerPaths(id, configuration).inputMark)
            return .refused(
                .gone,
                kind == nil
                    ? "the task takes no input; run it with --stdin or --tty"
                    : "the task's input has ended: its node's daemon was started anew meanwhile")
        }
        return pump.opened
    }

    // MARK: A container's life

    /// Takes hold of the input of a container that has one, before its program asks for some.
    func beginInput(_ paths: ContainerPaths) {
        guard let kind = Files.text(paths.inputMark).flatMap({ TaskInput.Kind(rawValue: $0) })
        else { return }
        let pump = CallPump(
            TaskInput(paths, kind), endsWithSilence: false,
            silenceMax: configuration.callSilenceMax)
        lock.withLock { inputs[paths.id] = pump }
        pump.start {}
    }

    /// Ends what clients run in a container, before it is removed.
    func endCalls(of id: ContainerID) {
        let pumps = lock.withLock {
            let found = calls.values.filter { $0.container == id && !$0.isInput }.map(\.pump)
            calls = calls.filter { !($0.value.isInput && $0.value.container == id) }
            return found + [inputs.removeValue(forKey: id)].compactMap { $0 }
        }
        for pump in pumps { pump.close() }
    }

    /// Ends all programs of clients, and waits until they have: nothing of them outlives the daemon.
    func endAllCalls() {
        let pumps = lock.withLock {
            calls.values.filter { !$0.isInput }.map(\.pump) + Array(inputs.values)
        }
        for pump in pumps { pump.close() }
        for pump in pumps { pump.waitForEnd() }
        Files.remove("\(configuration.runDirectory)/calls")
    }

    /// Ends programs of calls that an earlier daemon could not end; its clients are gone.
    func endEarlierCalls(in paths: ContainerPaths) {
        endProcesses(of: paths, where: \.isOfCall)
    }
}

import Foundation
import Glibc
package import Model

/// What a starting daemon finds of its earlier life, and what it removes for good.
extension ContainerRunner {
    /// Looks at every container of an earlier life; none is told about by `events` before.
    ///
    /// What belongs to none is removed.
    package func recover() -> [AdoptedContainer] {
        removeOrphans()
        for name in Files.names(in: "\(configuration.runDirectory)/calls") {
            Files.remove("\(configuration.runDirectory)/calls/\(name)")
        }
        let names = Files.names(in: "\(configuration.runDirectory)/bundles")
        return names.compactMap { name in
            guard let id = ContainerID(name) else { return nil }
            return adopt(id)
        }
    }

    private func adopt(_ id: ContainerID) -> AdoptedContainer? {
        let paths = ContainerPaths(id, configuration)
        _ = queue(of: id)
        if let text = Files.text(paths.failureMark), let space = text.firstIndex(of: " "),
            let code = Int32(text[..<space])
        {
            update(id) { $0.hasEnded = true }
            let message = String(text[text.index(after: space)...])
            return AdoptedContainer(
                id: id, state: .failed(ContainerFailure(code: code, message: message)))
        }
        let wasStarted = Files.exists(paths.startedMark)
        if let code = Files.text(paths.exitFile).flatMap({ Int32($0) }) {
            update(id) {
                $0.isCreated = true
                $0.hasEnded = true
            }
            if Files.isDirectory(paths.log) { try? Files.write([], to: paths.endedMark) }
            let isOutOfMemory = ranOutOfMemory(paths, code: code)
            let usage = usage(of: paths)
            if code == 137, !isOutOfMemory, isLeaseBound(paths), guardian.wasKilled {
                return AdoptedContainer(
                    id: id, state: .vanished(ContainerRunner.guardDied), usage: usage)
            }
            return AdoptedContainer(
                id: id,
                state: .exited(ExitStatus(code: code, wasOutOfMemory: isOutOfMemory)),
                usage: usage)
        }
        guard let monitor = monitor(of: paths) else {
            // Made half, or its monitor was killed: nothing of it may live on.
            destroy(paths)
            update(id) { $0.hasEnded = true }
            if Files.isDirectory(paths.log) { try? Files.write([], to: paths.endedMark) }
            return AdoptedContainer(id: id, state: .vanished(ContainerRunner.monitorDied))
        }
        let life = isLeaseBound(paths) ? guardian.current ?? 0 : nil
        update(id) {
            $0.isCreated = true
            $0.isStarted = wasStarted
            $0.guardLife = life
        }
        watcher?.watch(id, log: paths.log, monitor: monitor)
        endEarlierCalls(in: paths)
        // A stream has ended for its program when the earlier daemon let go of it.
        if Files.text(paths.inputMark) == TaskInput.Kind.terminal.rawValue { beginInput(paths) }
        // It may have ended between the look at the exit file and the watch.
        if Files.exists(paths.exitFile) { exited(id) }
        return AdoptedContainer(id: id, state: wasStarted ? .started : .created)
    }

    private func isLeaseBound(_ paths: ContainerPaths) -> Bool {
        Files.text(paths.sandboxFile)?.hasSuffix(" 1") == true
    }

    /// Ends and removes every container of a data directory whose daemon does not run.
    package func purge() {
        for name in Files.names(in: "\(configuration.runDirectory)/bundles") {
            guard let id = ContainerID(name) else { continue }
            let paths = ContainerPaths(id, configuration)
            destroy(paths)
            if let monitor = monitor(of: paths) { Glibc.kill(monitor, SIGKILL) }
            remove(id)
        }
        cgroups.remove(configuration.nodeGroup)
        Files.remove("\(configuration.dataDirectory)/layers")
        Files.remove(configuration.runDirectory)
    }
}

import CShims
import Foundation
import Glibc
import Model

/// One container's life. Every function here runs on the container's own queue.
extension ContainerRunner {
    func create(_ id: ContainerID, _ wanted: TaskSpec) {
        // One that is there, or was, is not made again: nobody may take its place.
        guard let entry = entry(id), !entry.isCreated, !entry.hasEnded else { return }
        let paths = ContainerPaths(id, configuration)
        let spec: TaskSpec
        var notes: [String] = []
        do {
            // The log's directory first: whoever asks for the output of what failed finds it empty.
            try prepare(paths)
            // Large images take their time: others are made meanwhile.
            spec = try resolve(wanted, paths, &notes)
        } catch let failure as ContainerFailure {
            return fail(id, failure)
        } catch ImageTrouble.failed(let failure) {
            return fail(id, failure)
        } catch {
            return end(id, .vanished("the container was not made: \(error)"))
        }
        creates.wait()
        defer { creates.signal() }
        do {
            if spec.options.hasUserNamespace { letThrough(to: paths) }
            try bundles.check(spec)
            try makeLayer(spec, paths)
        } catch {
            return fail(id, error)
        }
        let sandbox: Sandbox
        do {
            sandbox = try openSandbox(spec, paths)
        } catch {
            // Without a guard nothing may run here; elsewhere it may.
            return end(id, .vanished("the container was not made: \(error)"))
        }
        do {
            try bundles.write(spec, in: sandbox, to: paths)
            try launch(spec, paths, sandbox)
            try checkLimits(spec, paths, &notes)
        } catch {
            return failUnlessUnguarded(id, error)
        }
        if !notes.isEmpty { tell.yield((id, .noted(notes.joined(separator: "; ")))) }
        update(id) { $0.isCreated = true }
        tell.yield((id, .created))
    }

    private func prepare(_ paths: ContainerPaths) throws(ContainerFailure) {
        do {
            for directory in [paths.rootfs, paths.layer, paths.log] {
                try Files.makeDirectory(directory, mode: 0o755)
            }
        } catch {
            throw ContainerFailure(code: 125, message: "\(error)")
        }
    }

    /// Lets users of the task's own pass through the directories above its root file system.
    ///
    /// What lies beside it there is for the node's user alone.
    private func letThrough(to paths: ContainerPaths) {
        var directory = paths.bundle
        while directory.count > "/run".count, let slash = directory.lastIndex(of: "/") {
            chmod(directory, 0o711)
            directory = String(directory[..<slash])
        }
    }

    /// The writable layer; a limit on it comes first, since what is in it inherits the limit.
    private func makeLayer(
        _ spec: TaskSpec, _ paths: ContainerPaths
    ) throws(ContainerFailure) {
        do {
            if let bytes = spec.options.diskBytes, quota.isEnforced || !spec.options.isBestEffort {
                let project = try quota.limit(paths.layer, to: bytes, id: paths.id)
                try Files.write(Array("\(project)".utf8), to: paths.projectFile)
            }
            if spec.options.terminal != nil || spec.options.hasInput {
                let kind: TaskInput.Kind = spec.options.terminal != nil ? .terminal : .stream
                try Files.write(Array(kind.rawValue.utf8), to: paths.inputMark)
            }
            for directory in ["upper", "work"] {
                try Files.makeDirectory("\(paths.layer)/\(directory)", mode: 0o755)
            }
        } catch {
            throw ContainerFailure(code: 125, message: "\(error)")
        }
    }

    /// The namespace is made by the guard, and known to a later daemon by a file.
    private func openSandbox(
        _ spec: TaskSpec, _ paths: ContainerPaths
    ) throws(RunnerError) -> Sandbox {
        let isLeaseBound = spec.onPartition == .rerun
        let (sandbox, life) = try guardian.open(
            isLeaseBound: isLeaseBound, hasUsers: spec.options.hasUserNamespace)
        update(paths.id) { $0.guardLife = isLeaseBound ? life : nil }
        do {
            try Files.write(Array("\(sandbox) \(isLeaseBound ? 1 : 0)".utf8), to: paths.sandboxFile)
        } catch {
            sandbox.end()
            throw error
        }
        return sandbox
    }

    /// Starts the monitor, which makes the container, and reads its one line of report.
    private func launch(
        _ spec: TaskSpec, _ paths: ContainerPaths, _ sandbox: Sandbox
    ) throws(ContainerFailure) {
        do {
            let (reader, writer) = try Spawner.pipe()
            defer { close(reader) }
            let errors = open(
                "\(paths.bundle)/launch.err", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            let launcher: pid_t
            do {
                defer {
                    close(writer)
                    close(errors)
                }
                launcher = try Spawner.spawn(
                    configuration.launcher, try launchArguments(spec, paths, sandbox),
                    directory: paths.bundle, output: errors, inherited: writer,
                    environment: ["_OCI_SYNCPIPE=3"])
            }
            let line = try report(of: launcher, reader, paths)
            let code = Spawner.wait(for: launcher)
            let report =
                (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any]
            guard let pid = report?["data"] as? Int, pid > 0 else {
                let message =
                    report?["message"] as? String ?? launchError(paths) ?? "it ended with \(code)"
                throw ContainerRunner.runtimeFailure(message, "make")
            }
            try put(under: sandbox, paths)
        } catch let failure as ContainerFailure {
            destroy(paths)
            throw failure
        } catch {
            destroy(paths)
            throw ContainerFailure(code: 125, message: "\(error)")
        }
        watcher?.watch(paths.id, log: paths.log, monitor: monitor(of: paths))
    }

    /// Reads the monitor's line; one that does not come in time takes its writers with it.
    private func report(
        of launcher: pid_t, _ reader: Int32, _ paths: ContainerPaths
    ) throws(RunnerError) -> [UInt8] {
        var input = BoundedReader(reader, within: Spawner.stepTimeMax)
        switch input.line() {
        case .ended(let line):
            return line
        case .cut:
            Glibc.kill(launcher, SIGKILL)
            _ = Spawner.wait(for: launcher)
            // The monitor leads a group of its own, in which the runtime is, too.
            if let monitor = monitor(of: paths) { Glibc.kill(-monitor, SIGKILL) }
            throw RunnerError(
                "the runtime did not make the container within \(Spawner.stepTimeMax)")
        }
    }

    /// Makes sure that the container is in its namespace, and that the guard knows its monitor.
    private func put(under sandbox: Sandbox, _ paths: ContainerPaths) throws(RunnerError) {
        guard let process = program(of: paths), sandbox.contains(process),
            let monitor = monitor(of: paths)
        else { throw RunnerError("the container ended while it was being made") }
        try guardian.watch(sandbox, monitor: monitor)
    }

    private func launchError(_ paths: ContainerPaths) -> String? {
        Files.text("\(paths.bundle)/launch.err").flatMap { $0.isEmpty ? nil : $0 }
    }

    private func launchArguments(
        _ spec: TaskSpec, _ paths: ContainerPaths, _ sandbox: Sandbox
    ) throws(RunnerError) -> [String] {
        let id = "\(paths.id)"
        var arguments: [String] = []
        if let hidden = cgroups.hidden { arguments += ["--hide", hidden] }
        if spec.options.hasUserNamespace { arguments += ["--users", "/proc/\(sandbox.process)"] }
        if configuration.ordinaryUser != nil { arguments += ["--user-attributes"] }
        arguments += [
            "--overlay", try bundles.lower(of: spec), "\(paths.layer)/upper",
            "\(paths.layer)/work", paths.rootfs, "--",
        ]
        arguments += [
            configuration.conmon, "--api-version", "1", "-c", id, "-u", id, "-n", id, "-r",
            configuration.runtime, "-b", paths.bundle, "-p", paths.pidFile, "--conmon-pidfile",
            paths.monitorPidFile, "--exit-dir", paths.exits, "--persist-dir", paths.bundle,
            "--full-attach", "-l", "k8s-file:\(paths.log)/log", "--log-level", "warning",
            "--no-sync-log",
        ]
        if spec.options.terminal != nil {
            // Whoever types may come back.
            arguments += ["-t", "-i", "--leave-stdin-open"]
        } else if spec.options.hasInput {
            arguments += ["-i"]
        }
        return arguments + runtimeOptions.flatMap { ["--runtime-arg", $0] }
    }

    /// Options that come before the runtime's command.
    var runtimeOptions: [String] {
        let root = "--root=\(configuration.runDirectory)/runtime"
        // runc knows no such option; its default is the same.
        return configuration.isRunc
            ? [root] : [root, "--cgroup-manager=\(cgroups.isUsable ? "cgroupfs" : "disabled")"]
    }

    func start(_ id: ContainerID) {
        guard let entry = entry(id), entry.isCreated, !entry.isStarted, !entry.hasEnded else {
            return
        }
        let paths = ContainerPaths(id, configuration)
        // A container that dies in this moment leaves the runtime waiting for it.
        let witness = sandbox(of: paths).map { magpie_pidfd_open($0.process) } ?? -1
        defer { if witness >= 0 { close(witness) } }
        beginInput(paths)
        do {
            try Files.write([], to: paths.startedMark)
            update(id) { $0.isStarted = true }
            let result = try Spawner.run(
                configuration.runtime, runtimeOptions + ["start", "\(id)"], witness: witness)
            guard result.code == 0 else {
                destroy(paths)
                return failUnlessUnguarded(
                    id, ContainerRunner.runtimeFailure(result.output, "start"))
            }
        } catch {
            destroy(paths)
            return fail(id, ContainerFailure(code: 125, message: "\(error)"))
        }
        tell.yield((id, .started))
        // A short program may be over by now: its exit file was seen before the start was told.
        if Files.exists(paths.exitFile) { finish(id) }
    }

    /// Tells a command that can't be run from a runtime that can't run it.
    static func runtimeFailure(_ output: String, _ operation: String) -> ContainerFailure {
        let text = output.split(separator: "\n").last.map(String.init) ?? "no reason given"
        if text.contains("executable file") && text.contains("not found") {
            return ContainerFailure(code: 127, message: text)
        }
        if text.contains("ermission denied") || text.contains("xec format error") {
            return ContainerFailure(code: 126, message: text)
        }
        return ContainerFailure(
            code: 125, message: "the runtime could not \(operation) the container: \(text)")
    }

    func signalContainer(_ id: ContainerID, _ signal: Int32) {
        let paths = ContainerPaths(id, configuration)
        guard entry(id)?.hasEnded == false, let sandbox = sandbox(of: paths),
            let process = program(of: paths)
        else { return }
        Glibc.kill(process, signal)
        // Who was killed is not to stay frozen: in a v1 group the kill would wait for the thaw.
        if signal == SIGKILL { cgroups.endFrozen(paths.group, where: sandbox.contains) }
    }

    /// Asks the program to end: by the task's own signal, by its image's, or by SIGTERM.
    func stop(_ id: ContainerID, _ signal: Int32?) {
        let image = Files.text(ContainerPaths(id, configuration).stopSignalFile)
        signalContainer(id, signal ?? image.flatMap { SignalName.number($0) } ?? SIGTERM)
    }

    /// Ends everything: the first process of a PID namespace takes all others with it.
    func kill(_ id: ContainerID) {
        guard let entry = entry(id), !entry.hasEnded, entry.isCreated else { return }
        let paths = ContainerPaths(id, configuration)
        endAll(paths)
    }

    /// Ends all processes of a container, those too that are stopped or frozen.
    func endAll(_ paths: ContainerPaths) {
        guard let sandbox = sandbox(of: paths) else { return }
        sandbox.kill()
        cgroups.endFrozen(paths.group, where: sandbox.contains)
        sandbox.end()
    }

    // MARK: The end

    /// An exit file has appeared; told once the program's start was told.
    func exited(_ id: ContainerID) {
        queue(of: id).async { [self] in
            guard let entry = entry(id), entry.isCreated, !entry.hasEnded else { return }
            finish(id)
        }
    }

    private func finish(_ id: ContainerID) {
        guard entry(id)?.hasEnded == false else { return }
        let paths = ContainerPaths(id, configuration)
        guard let code = Files.text(paths.exitFile).flatMap({ Int32($0) }) else { return }
        // What the program started in the background ends with it.
        endAll(paths)
        let isOutOfMemory = ranOutOfMemory(paths, code: code)
        if let usage = usage(of: paths) { tell.yield((id, .used(usage))) }
        if code == 137, !isOutOfMemory, hasLostGuard(id) {
            return end(id, .vanished(ContainerRunner.guardDied))
        }
        end(id, .exited(ExitStatus(code: code, wasOutOfMemory: isOutOfMemory)))
    }

    /// Whether a failure goes with a kill for lack of memory.
    ///
    /// The monitor's mark may be missing when the program dies with its child; the kernel counts.
    func ranOutOfMemory(_ paths: ContainerPaths, code: Int32) -> Bool {
        // Without a group of its own the monitor sees what befalls others.
        guard code != 0, cgroups.isUsable else { return false }
        return Files.exists(paths.outOfMemoryMark)
            || cgroups.outOfMemoryKills(in: paths.group) > 0
    }

    /// Whether the container died with its guard, and not by its own doing.
    private func hasLostGuard(_ id: ContainerID) -> Bool {
        guard let life = entry(id)?.guardLife else { return false }
        return guardian.current != life
    }

    /// The monitor is gone.
    ///
    /// With an exit file it did its work; without, the status is lost.
    func monitorDied(_ id: ContainerID) {
        queue(of: id).async { [self] in
            guard let entry = entry(id), entry.isCreated, !entry.hasEnded else { return }
            let paths = ContainerPaths(id, configuration)
            if Files.exists(paths.exitFile) { return finish(id) }
            destroy(paths)
            end(id, .vanished(ContainerRunner.monitorDied))
        }
    }

    static let guardDied = "the container ended with its guard; its exit status is lost"
    static let monitorDied = "the container's monitor died; its exit status is lost"

    /// A container that can't be made or started because its guard died has not failed by its own
    /// doing: it may be made elsewhere.
    private func failUnlessUnguarded(_ id: ContainerID, _ failure: ContainerFailure) {
        guard hasLostGuard(id) else { return fail(id, failure) }
        end(id, .vanished(ContainerRunner.guardDied))
    }

    private func fail(_ id: ContainerID, _ failure: ContainerFailure) {
        let paths = ContainerPaths(id, configuration)
        endAll(paths)
        try? Files.write(
            Array("\(failure.code) \(failure.message)".utf8), to: paths.failureMark)
        end(id, .failed(failure))
    }

    func end(_ id: ContainerID, _ event: ContainerEvent) {
        update(id) { $0.hasEnded = true }
        let paths = ContainerPaths(id, configuration)
        if Files.isDirectory(paths.log) { try? Files.write([], to: paths.endedMark) }
        watcher?.forget(id)
        tell.yield((id, event))
        logChanges.tell(id)
        rotation.async { [self] in trimEnded(paths.log) }
    }

    /// Ends all processes of a container whose monitor can't be relied on.
    func destroy(_ paths: ContainerPaths) {
        endAll(paths)
        for process in processes(of: paths) { Glibc.kill(process, SIGKILL) }
        _ = try? Spawner.run(
            configuration.runtime, runtimeOptions + ["delete", "--force", "\(paths.id)"])
    }

    func remove(_ id: ContainerID) {
        let paths = ContainerPaths(id, configuration)
        endCalls(of: id)
        // Of a container whose namespace is dead the runtime has its groups and its notes, no more:
        // that takes no program. Otherwise it is asked to see to the rest.
        let isGone = sandbox(of: paths) == nil && cgroups.remove(paths.group)
        if !isGone, Files.isDirectory(paths.bundle) {
            _ = try? Spawner.run(
                configuration.runtime, runtimeOptions + ["delete", "--force", "\(id)"])
            cgroups.remove(paths.group)
        }
        Files.remove("\(configuration.runDirectory)/runtime/\(id)")
        if let project = Files.text(paths.projectFile).flatMap({ UInt32($0) }) {
            quota.lift(project)
        }
        Files.remove(paths.bundle)
        Files.remove(paths.layer)
        Files.remove(paths.exitFile)
        watcher?.forget(id)
        forget(id)
        logChanges.forget(id)
    }

    func removeLog(_ id: ContainerID) {
        Files.remove(ContainerPaths(id, configuration).log)
        if entry(id)?.isCreated == false { forget(id) }
        logChanges.forget(id)
    }

    // MARK: Processes

    /// The container's namespace, if it has not ended.
    func sandbox(of paths: ContainerPaths) -> Sandbox? {
        guard let words = Files.text(paths.sandboxFile)?.split(separator: " "), words.count == 3,
            let sandbox = Sandbox(words[..<2].joined(separator: " ")), sandbox.isAlive
        else { return nil }
        return sandbox
    }

    /// The container's program, if it still runs.
    func program(of paths: ContainerPaths) -> pid_t? {
        guard let text = Files.text(paths.pidFile), let pid = pid_t(text) else { return nil }
        // A process ID may be used again: only a process of the container's namespace is the one.
        return sandbox(of: paths)?.contains(pid) == true ? pid : nil
    }

    /// The monitor, if the process with its ID is really it.
    func monitor(of paths: ContainerPaths) -> pid_t? {
        guard let text = Files.text(paths.monitorPidFile), let pid = pid_t(text),
            let line = Files.read("/proc/\(pid)/cmdline")
        else { return nil }
        let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        return words.contains("\(paths.id)") ? pid : nil
    }
}

import CShims
import Foundation
import Glibc
import Model

/// One container's life. Every function here runs on the container's own queue.
extension ContainerRunner {
    func create(_ id: ContainerID, _ spec: TaskSpec) {
        let paths = ContainerPaths(id, configuration)
        creates.wait()
        defer { creates.signal() }
        do {
            // The log's directory first: whoever asks for the output of what failed finds it empty.
            try prepare(paths)
            try bundles.check(spec)
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
            try checkLimits(spec, paths)
        } catch {
            return failUnlessUnguarded(id, error)
        }
        update(id) { $0.isCreated = true }
        tell.yield((id, .created))
    }

    private func prepare(_ paths: ContainerPaths) throws(ContainerFailure) {
        do {
            for directory in [
                paths.rootfs, "\(paths.layer)/upper", "\(paths.layer)/work", paths.log,
            ] {
                try Files.makeDirectory(directory, mode: 0o755)
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
        let (sandbox, life) = try guardian.open(isLeaseBound: isLeaseBound)
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
                    configuration.launcher, try launchArguments(spec, paths),
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
                throw RunnerError("the runtime could not make the container: \(message)")
            }
            try put(under: sandbox, paths)
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
        _ spec: TaskSpec, _ paths: ContainerPaths
    ) throws(RunnerError) -> [String] {
        let id = "\(paths.id)"
        var arguments: [String] = []
        if let hidden = cgroups.hidden { arguments += ["--hide", hidden] }
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
        return arguments + runtimeOptions.flatMap { ["--runtime-arg", $0] }
    }

    /// Options that come before the runtime's command.
    var runtimeOptions: [String] {
        let root = "--root=\(configuration.runDirectory)/runtime"
        // runc knows no such option; its default is the same.
        return configuration.runtime.hasSuffix("runc")
            ? [root] : [root, "--cgroup-manager=cgroupfs"]
    }

    /// A limit that the kernel did not take would be no limit: refuse.
    private func checkLimits(
        _ spec: TaskSpec, _ paths: ContainerPaths
    ) throws(ContainerFailure) {
        let page = UInt64(sysconf(Int32(_SC_PAGESIZE)))
        let wanted = spec.resources.memoryBytes / page * page
        guard let memory = cgroups.memoryLimit(of: paths.group), memory <= max(wanted, page),
            let pids = cgroups.pidsLimit(of: paths.group), pids == UInt64(spec.pidsMax)
        else {
            destroy(paths)
            throw ContainerFailure(
                code: 125,
                message: "this node can't enforce the task's memory and process limits "
                    + "(control groups are not delegated to it)")
        }
    }

    func start(_ id: ContainerID) {
        guard let entry = entry(id), entry.isCreated, !entry.isStarted, !entry.hasEnded else {
            return
        }
        let paths = ContainerPaths(id, configuration)
        // A container that dies in this moment leaves the runtime waiting for it.
        let witness = sandbox(of: paths).map { magpie_pidfd_open($0.process) } ?? -1
        defer { if witness >= 0 { close(witness) } }
        do {
            try Files.write([], to: paths.startedMark)
            update(id) { $0.isStarted = true }
            let result = try Spawner.run(
                configuration.runtime, runtimeOptions + ["start", "\(id)"], witness: witness)
            guard result.code == 0 else {
                destroy(paths)
                return failUnlessUnguarded(id, ContainerRunner.startFailure(result.output))
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
    static func startFailure(_ output: String) -> ContainerFailure {
        let text = output.split(separator: "\n").last.map(String.init) ?? "no reason given"
        if text.contains("not found") || text.contains("No such file") {
            return ContainerFailure(code: 127, message: text)
        }
        if text.contains("ermission denied") || text.contains("xec format error") {
            return ContainerFailure(code: 126, message: text)
        }
        return ContainerFailure(
            code: 125, message: "the runtime could not start the container: \(text)")
    }

    func signalContainer(_ id: ContainerID, _ signal: Int32) {
        let paths = ContainerPaths(id, configuration)
        guard entry(id)?.hasEnded == false, let process = program(of: paths) else { return }
        Glibc.kill(process, signal)
    }

    /// Ends everything: the first process of a PID namespace takes all others with it.
    func kill(_ id: ContainerID) {
        guard let entry = entry(id), !entry.hasEnded, entry.isCreated else { return }
        sandbox(of: ContainerPaths(id, configuration))?.end()
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
        sandbox(of: paths)?.end()
        let isOutOfMemory = code == 137 && Files.exists(paths.outOfMemoryMark)
        if code == 137, !isOutOfMemory, hasLostGuard(id) {
            return end(id, .vanished(ContainerRunner.guardDied))
        }
        end(id, .exited(ExitStatus(code: code, wasOutOfMemory: isOutOfMemory)))
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
        sandbox(of: paths)?.end()
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
        wakeReaders(of: id)
    }

    /// Ends all processes of a container whose monitor can't be relied on.
    func destroy(_ paths: ContainerPaths) {
        sandbox(of: paths)?.end()
        for process in cgroups.processes(in: paths.group) { Glibc.kill(process, SIGKILL) }
        _ = try? Spawner.run(
            configuration.runtime, runtimeOptions + ["delete", "--force", "\(paths.id)"])
    }

    func remove(_ id: ContainerID) {
        let paths = ContainerPaths(id, configuration)
        if Files.isDirectory(paths.bundle) {
            _ = try? Spawner.run(
                configuration.runtime, runtimeOptions + ["delete", "--force", "\(id)"])
        }
        cgroups.remove(paths.group)
        Files.remove(paths.bundle)
        Files.remove(paths.layer)
        Files.remove(paths.exitFile)
        watcher?.forget(id)
        lock.withLock { entries[id] = nil }
    }

    func removeLog(_ id: ContainerID) {
        Files.remove(ContainerPaths(id, configuration).log)
        if entry(id)?.isCreated == false { lock.withLock { entries[id] = nil } }
        wakeReaders(of: id)
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

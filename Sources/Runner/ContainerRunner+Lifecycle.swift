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
            try prepare(spec, paths)
            try launch(spec, paths)
            try checkLimits(spec, paths)
        } catch {
            fail(id, error)
            return
        }
        update(id) { $0.isCreated = true }
        tell.yield((id, .created))
    }

    private func prepare(_ spec: TaskSpec, _ paths: ContainerPaths) throws(ContainerFailure) {
        do {
            for directory in [
                paths.rootfs, "\(paths.layer)/upper", "\(paths.layer)/work", paths.log,
            ] {
                try Files.makeDirectory(directory, mode: 0o755)
            }
        } catch {
            throw ContainerFailure(code: 125, message: "\(error)")
        }
        try bundles.write(spec, to: paths)
    }

    /// Starts the monitor, which makes the container, and reads its one line of report.
    private func launch(_ spec: TaskSpec, _ paths: ContainerPaths) throws(ContainerFailure) {
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
            let line = Spawner.line(reader)
            let code = Spawner.wait(for: launcher)
            let report =
                (try? JSONSerialization.jsonObject(with: Data(line))) as? [String: Any]
            guard let pid = report?["data"] as? Int, pid > 0 else {
                let message =
                    report?["message"] as? String ?? launchError(paths) ?? "it ended with \(code)"
                throw RunnerError("the runtime could not make the container: \(message)")
            }
        } catch {
            throw ContainerFailure(code: 125, message: "\(error)")
        }
        watcher?.watch(paths.id, log: paths.log, monitor: monitor(of: paths))
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
        do {
            try Files.write([], to: paths.startedMark)
            update(id) { $0.isStarted = true }
            let result = try Spawner.run(
                configuration.runtime, runtimeOptions + ["start", "\(id)"])
            guard result.code == 0 else {
                destroy(paths)
                return fail(id, ContainerRunner.startFailure(result.output))
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

    /// Sends a signal, once the container's init listens.
    ///
    /// The first process of a PID namespace ignores what it has not asked for, and a program that
    /// has just been started has asked for nothing yet.
    func signalContainer(_ id: ContainerID, _ signal: Int32, patience: Int = signalTriesMax) {
        let paths = ContainerPaths(id, configuration)
        guard entry(id)?.hasEnded == false, let process = initProcess(of: paths) else { return }
        if patience > 0, !initListens(process, for: signal) {
            queue(of: id).asyncAfter(deadline: .now() + .milliseconds(2)) { [self] in
                signalContainer(id, signal, patience: patience - 1)
            }
            return
        }
        Glibc.kill(process, signal)
    }

    /// How often a signal is put off by 2 ms before it is sent to an init that may not listen.
    static let signalTriesMax = 250

    /// Whether the process is our init, and takes the signal rather than having it dropped.
    private func initListens(_ process: pid_t, for signal: Int32) -> Bool {
        guard (1...64).contains(signal), signal != SIGKILL,
            let status = Files.text("/proc/\(process)/status")
        else { return true }
        var isInit = false
        var heard: UInt64 = 0
        for line in status.split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count == 2 else { continue }
            switch words[0] {
            case "Name:": isInit = words[1] == BundleWriter.initName
            case "SigBlk:", "SigCgt:": heard |= UInt64(words[1], radix: 16) ?? 0
            default: break
            }
        }
        return isInit && heard & (1 << UInt64(signal - 1)) != 0
    }

    /// Ends everything: the first process of a PID namespace takes all others with it.
    func kill(_ id: ContainerID) {
        let paths = ContainerPaths(id, configuration)
        guard let entry = entry(id), !entry.hasEnded else { return }
        guard entry.isCreated, let process = initProcess(of: paths) else { return }
        Glibc.kill(process, SIGKILL)
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
        let isOutOfMemory = code == 137 && Files.exists(paths.outOfMemoryMark)
        end(id, .exited(ExitStatus(code: code, wasOutOfMemory: isOutOfMemory)))
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
            end(id, .vanished)
        }
    }

    private func fail(_ id: ContainerID, _ failure: ContainerFailure) {
        let paths = ContainerPaths(id, configuration)
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
        if let process = initProcess(of: paths) { Glibc.kill(process, SIGKILL) }
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

    /// The container's first process, if it is still the one that the monitor made.
    func initProcess(of paths: ContainerPaths) -> pid_t? {
        guard let text = Files.text(paths.pidFile), let pid = pid_t(text) else { return nil }
        // A process ID may be used again: only a member of the container's group is the one.
        return cgroups.processes(in: paths.group).contains(pid) ? pid : nil
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

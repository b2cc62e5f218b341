import Glibc
import Model

/// The control groups of this machine: pure v2, or v1 with or without v2 beside it.
///
/// An ordinary user's node makes none: nothing is found in them, and nothing enforced.
struct Cgroups: Sendable {
    /// Whether groups can be made for containers.
    let isUsable: Bool
    /// Whether one unified hierarchy does it all.
    let isUnified: Bool
    /// The unified hierarchy of a hybrid host, which crun must not see controllers in.
    let hidden: String?
    /// Whether swap is counted.
    let countsSwap: Bool

    static let root = "/sys/fs/cgroup"

    init(isRoot: Bool = true) {
        isUsable = isRoot
        isUnified = Files.exists("\(Cgroups.root)/cgroup.controllers")
        let unified = "\(Cgroups.root)/unified"
        let controllers = Files.text("\(unified)/cgroup.controllers") ?? ""
        hidden = isUnified || controllers.isEmpty ? nil : unified
        countsSwap =
            isUnified || Files.exists("\(Cgroups.root)/memory/memory.memsw.limit_in_bytes")
    }

    /// Whether this machine swaps at all.
    var isSwapping: Bool { (Files.text("/proc/swaps") ?? "").split(separator: "\n").count > 1 }

    /// The content of a group's file, in the v1 hierarchy of `controller` or the unified one.
    func text(_ group: String, _ controller: String, v1: String, v2: String) -> String? {
        Files.text(
            isUnified
                ? "\(Cgroups.root)\(group)/\(v2)" : "\(Cgroups.root)/\(controller)\(group)/\(v1)")
    }

    // MARK: Limits as the kernel enforces them

    /// The memory limit that the kernel enforces for a group; `nil` when there is none.
    func memoryLimit(of group: String) -> UInt64? {
        text(group, "memory", v1: "memory.limit_in_bytes", v2: "memory.max").flatMap { UInt64($0) }
    }

    /// How much memory and swap together a group may have; `nil` when there is no limit.
    func memoryAndSwapLimit(of group: String) -> UInt64? {
        guard isUnified else {
            return text(group, "memory", v1: "memory.memsw.limit_in_bytes", v2: "")
                .flatMap { UInt64($0) }
        }
        // On v2 swap is counted by itself.
        guard
            let swap = text(group, "memory", v1: "", v2: "memory.swap.max").flatMap({ UInt64($0) }),
            let memory = memoryLimit(of: group)
        else { return nil }
        return memory.addingReportingOverflow(swap).partialValue
    }

    /// The limit of processes that the kernel enforces for a group; `nil` when there is none.
    func pidsLimit(of group: String) -> UInt64? {
        text(group, "pids", v1: "pids.max", v2: "pids.max").flatMap { UInt64($0) }
    }

    /// Thousandths of a core that the kernel gives a group at most; `nil` when there is no limit.
    func cpuLimit(of group: String) -> UInt64? {
        var numbers: [UInt64?]
        if isUnified {
            numbers = (text(group, "cpu", v1: "", v2: "cpu.max") ?? "").split(separator: " ").map {
                UInt64($0)
            }
        } else {
            numbers = ["cpu.cfs_quota_us", "cpu.cfs_period_us"].map {
                text(group, "cpu", v1: $0, v2: "").flatMap { UInt64($0) }
            }
        }
        guard numbers.count == 2, let quota = numbers[0], let period = numbers[1], period > 0
        else { return nil }
        return quota * 1_000 / period
    }

    // MARK: What a group has used

    /// What the processes of a group use and have used; `nil` when there is no such group.
    func sample(of group: String) -> UsageSample? {
        guard let cpu = cpuMicroseconds(of: group) else { return nil }
        let peak = text(group, "memory", v1: "memory.max_usage_in_bytes", v2: "memory.peak")
        let memory = text(group, "memory", v1: "memory.usage_in_bytes", v2: "memory.current")
        let count = text(group, "pids", v1: "pids.current", v2: "pids.current")
        let (read, written) = bytesMoved(by: group)
        let usage = ResourceUsage(
            cpuMicroseconds: cpu, memoryPeakBytes: peak.flatMap { UInt64($0) } ?? 0,
            readBytes: read, writtenBytes: written)
        return UsageSample(
            usage: usage, memoryBytes: memory.flatMap { UInt64($0) } ?? 0,
            processCount: count.flatMap { UInt32($0) } ?? 0)
    }

    /// How many processes of a group the kernel has killed for lack of memory.
    func outOfMemoryKills(in group: String) -> UInt64 {
        let lines = text(group, "memory", v1: "memory.oom_control", v2: "memory.events")
        return Cgroups.number("oom_kill", in: lines ?? "") ?? 0
    }

    private func cpuMicroseconds(of group: String) -> UInt64? {
        guard isUnified else {
            return text(group, "cpuacct", v1: "cpuacct.usage", v2: "")
                .flatMap { UInt64($0) }.map { $0 / 1_000 }
        }
        return text(group, "cpu", v1: "", v2: "cpu.stat").flatMap {
            Cgroups.number("usage_usec", in: $0)
        }
    }

    private func bytesMoved(by group: String) -> (read: UInt64, written: UInt64) {
        var sums: [String: UInt64] = [:]
        let lines =
            text(group, "blkio", v1: "blkio.throttle.io_service_bytes", v2: "io.stat") ?? ""
        for line in lines.split(separator: "\n") {
            // v1: "8:0 Read 4096"; v2: "8:0 rbytes=4096 wbytes=0 …".
            let words = line.split(separator: " ")
            if !isUnified, words.count == 3, let bytes = UInt64(words[2]) {
                sums[String(words[1]), default: 0] &+= bytes
            }
            for word in words.dropFirst() where isUnified {
                let sides = word.split(separator: "=")
                guard sides.count == 2, let bytes = UInt64(sides[1]) else { continue }
                sums[String(sides[0]), default: 0] &+= bytes
            }
        }
        return (sums[isUnified ? "rbytes" : "Read"] ?? 0, sums[isUnified ? "wbytes" : "Write"] ?? 0)
    }

    private static func number(_ name: String, in lines: String) -> UInt64? {
        for line in lines.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == name { return UInt64(words[1]) }
        }
        return nil
    }

    // MARK: Processes and directories

    /// The processes in a group.
    func processes(in group: String) -> [pid_t] {
        for hierarchy in hierarchies {
            guard let text = Files.text("\(hierarchy)\(group)/cgroup.procs") else { continue }
            // One of another PID namespace shows as 0, which `kill` takes for the caller's own group.
            let found = text.split(separator: "\n").compactMap { pid_t($0) }.filter { $0 > 0 }
            if !found.isEmpty { return found }
        }
        return []
    }

    /// The names of the groups right below a group, in any hierarchy.
    func names(below group: String) -> [String] {
        let names = hierarchies.flatMap { hierarchy in
            Files.names(in: "\(hierarchy)\(group)").filter {
                Files.isDirectory("\(hierarchy)\(group)/\($0)")
            }
        }
        return Set(names).sorted()
    }

    /// Ends a frozen group: what is in it runs not one instruction more.
    ///
    /// A group that runs is left alone. A frozen process of v1 does not even die before the thaw, and
    /// whoever kills it along with itself, such as the first process of its PID namespace, may do so
    /// only after it: so each is killed here before.
    func endFrozen(_ group: String, where belongs: (pid_t) -> Bool) {
        let (path, word) =
            isUnified
            ? ("\(Cgroups.root)\(group)/cgroup.freeze", "0")
            : ("\(Cgroups.root)/freezer\(group)/freezer.state", "THAWED")
        guard let state = Files.text(path), state != word else { return }
        for process in processes(in: group) where belongs(process) { Glibc.kill(process, SIGKILL) }
        Files.overwrite(path, word)
    }

    /// Removes the empty directories of a group in every hierarchy, with groups that were made in it.
    ///
    /// - Returns: Whether none is left; processes that have just been killed may keep one.
    @discardableResult
    func remove(_ group: String) -> Bool {
        hierarchies.reduce(true) { isGone, hierarchy in
            Cgroups.removeTree("\(hierarchy)\(group)", depth: 0) && isGone
        }
    }

    /// How deep groups in a container's group are looked for.
    private static let depthMax = 16

    private static func removeTree(_ directory: String, depth: Int) -> Bool {
        if rmdir(directory) == 0 || errno == ENOENT { return true }
        guard depth < depthMax else { return false }
        for name in Files.names(in: directory) where Files.isDirectory("\(directory)/\(name)") {
            _ = removeTree("\(directory)/\(name)", depth: depth + 1)
        }
        return rmdir(directory) == 0
    }

    private var hierarchies: [String] {
        guard isUsable else { return [] }
        if isUnified { return [Cgroups.root] }
        return Files.names(in: Cgroups.root).map { "\(Cgroups.root)/\($0)" }
            .filter(Files.isDirectory)
    }
}

extension Files {
    /// Writes to a file that is there, such as one of the kernel's; nothing happens when it is not.
    static func overwrite(_ path: String, _ text: String) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }
}

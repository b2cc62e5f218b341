import Glibc

/// The control groups of this machine: pure v2, or v1 with or without v2 beside it.
struct Cgroups: Sendable {
    /// Whether one unified hierarchy does it all.
    let isUnified: Bool
    /// The unified hierarchy of a hybrid host, which crun must not see controllers in.
    let hidden: String?
    /// Whether swap is counted.
    let countsSwap: Bool

    private static let root = "/sys/fs/cgroup"

    init() {
        isUnified = Files.exists("\(Cgroups.root)/cgroup.controllers")
        let unified = "\(Cgroups.root)/unified"
        let controllers = Files.text("\(unified)/cgroup.controllers") ?? ""
        hidden = isUnified || controllers.isEmpty ? nil : unified
        countsSwap =
            isUnified || Files.exists("\(Cgroups.root)/memory/memory.memsw.limit_in_bytes")
    }

    /// The memory limit that the kernel enforces for a group; `nil` when there is none.
    func memoryLimit(of group: String) -> UInt64? {
        let path =
            isUnified
            ? "\(Cgroups.root)\(group)/memory.max"
            : "\(Cgroups.root)/memory\(group)/memory.limit_in_bytes"
        return Files.text(path).flatMap { UInt64($0) }
    }

    /// The limit of processes that the kernel enforces for a group; `nil` when there is none.
    func pidsLimit(of group: String) -> UInt64? {
        let path =
            isUnified
            ? "\(Cgroups.root)\(group)/pids.max" : "\(Cgroups.root)/pids\(group)/pids.max"
        return Files.text(path).flatMap { UInt64($0) }
    }

    /// The processes in a group.
    func processes(in group: String) -> [pid_t] {
        for hierarchy in hierarchies {
            guard let text = Files.text("\(hierarchy)\(group)/cgroup.procs") else { continue }
            let found = text.split(separator: "\n").compactMap { pid_t($0) }
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

    /// Removes the empty directories of a group in every hierarchy.
    func remove(_ group: String) {
        for hierarchy in hierarchies { rmdir("\(hierarchy)\(group)") }
    }

    private var hierarchies: [String] {
        if isUnified { return [Cgroups.root] }
        return Files.names(in: Cgroups.root).map { "\(Cgroups.root)/\($0)" }
            .filter(Files.isDirectory)
    }
}

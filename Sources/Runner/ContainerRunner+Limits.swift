import Glibc
import Model

/// Limits are read back once a container is made: one that the kernel did not take would be none.
extension ContainerRunner {
    /// Refuses a container whose limits don't hold, or says so when its task takes that.
    func checkLimits(
        _ spec: TaskSpec, _ paths: ContainerPaths, _ notes: inout [String]
    ) throws(ContainerFailure) {
        let missing = unenforced(spec, paths)
        guard !missing.isEmpty else { return }
        let list = missing.joined(separator: ", ")
        guard spec.options.isBestEffort || (!cgroups.isUsable && !spec.asksForLimits) else {
            destroy(paths)
            throw ContainerFailure(
                code: 125,
                message: "this node can't enforce the task's limits: \(list); run it elsewhere, or "
                    + "with --best-effort")
        }
        notes.append("not limited on this node: \(list)")
    }

    /// The limits that the kernel does not enforce as they were asked for.
    private func unenforced(_ spec: TaskSpec, _ paths: ContainerPaths) -> [String] {
        let group = paths.group
        let page = UInt64(sysconf(Int32(_SC_PAGESIZE)))
        let memory = max(spec.resources.memoryBytes / page * page, page)
        var missing: [String] = []
        if !ContainerRunner.holds(cgroups.memoryLimit(of: group), memory) {
            missing.append("memory")
        } else if cgroups.isSwapping,
            !ContainerRunner.holds(cgroups.memoryAndSwapLimit(of: group), memory)
        {
            missing.append("swap")
        }
        if cgroups.pidsLimit(of: group) != UInt64(spec.pidsMax) { missing.append("processes") }
        let cores = BundleWriter.quota(of: spec.resources, period: 100_000) / 100
        if !ContainerRunner.holds(cgroups.cpuLimit(of: group), UInt64(cores)) {
            missing.append("processors")
        }
        if spec.options.diskBytes != nil, !quota.isEnforced { missing.append("disk") }
        return missing
    }

    private static func holds(_ limit: UInt64?, _ wanted: UInt64) -> Bool {
        limit.map { $0 <= wanted } ?? false
    }
}

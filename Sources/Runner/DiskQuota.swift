import CShims
import Glibc
import Model

/// Limits on what tasks write to disk, by project quotas (ext4 and xfs, mounted with `prjquota`).
struct DiskQuota: Sendable {
    /// The directory of the writable layers.
    let directory: String
    /// Whether root sets the limits; nobody else may.
    private let isRoot: Bool
    /// Whether the file system enforces such limits.
    let isEnforced: Bool

    /// Projects of ours begin here; others number theirs from one.
    private static let firstProject: UInt32 = 0x4D00_0000
    /// How many numbers there are.
    private static let projectCount: UInt32 = 1 << 24
    /// How many numbers are tried for one layer.
    private static let triesMax: UInt32 = 256

    init(directory: String, isRoot: Bool = true) {
        self.isRoot = isRoot
        self.directory = directory
        isEnforced = isRoot && magpie_project_limits(directory) == 1
    }

    /// Limits what is written below an empty directory, and reads the limit back.
    ///
    /// - Returns: The project, for `lift`.
    func limit(_ layer: String, to bytes: UInt64, id: ContainerID) throws(RunnerError) -> UInt32 {
        guard isEnforced else {
            throw RunnerError(
                "this node can't limit what tasks write to disk: "
                    + (isRoot
                        ? "the file system of \(directory) has no project quotas (ext4 or xfs, mounted "
                            + "with prjquota)"
                        : "an ordinary user runs it, and only root sets quotas"))
        }
        let seed =
            UInt32(truncatingIfNeeded: id.task.value.low)
            &+ UInt32(
                truncatingIfNeeded: id.token.index)
        for step in 0..<DiskQuota.triesMax {
            let number = (seed &+ step) % DiskQuota.projectCount + DiskQuota.firstProject
            guard magpie_project_limit(directory, number) == 0 else { continue }
            guard magpie_limit_project(layer, number, bytes) == 0,
                magpie_project_limit(layer, number) == Int64(clamping: bytes / 512 * 512)
            else { throw Files.failure("limit what is written to", layer) }
            return number
        }
        throw RunnerError("no project number is free for a limit on \(layer)")
    }

    /// The limit of a project in bytes; 0 when it has none and nothing counts for it.
    func limit(of project: UInt32) -> Int64 { magpie_project_limit(directory, project) }

    /// Gives a project's number back.
    func lift(_ project: UInt32) {
        _ = magpie_limit_project(directory, project, 0)
    }
}

import Foundation
import Glibc
import Model

/// What belongs to a container, and what it uses: by its control group, or without one by its namespace.
extension ContainerRunner {
    /// The processes of a container, without the first one of its namespace.
    func processes(of paths: ContainerPaths) -> [pid_t] {
        guard !cgroups.isUsable else { return cgroups.processes(in: paths.group) }
        guard let sandbox = sandbox(of: paths) ?? stray(paths.id) else { return [] }
        return Files.names(in: "/proc").compactMap { pid_t($0) }.filter {
            $0 != sandbox.process && sandbox.contains($0)
        }
    }

    /// The namespace of a container that has lost its bundle, by what the runtime knows of it.
    private func stray(_ id: ContainerID) -> Sandbox? {
        let note = Files.read("\(configuration.runDirectory)/runtime/\(id)/status") ?? []
        let status = (try? JSONSerialization.jsonObject(with: Data(note))) as? [String: Any]
        guard let program = status?["pid"] as? Int, program > 0 else { return nil }
        func inode(_ process: String, _ kind: String) -> UInt64? {
            var status = stat()
            let isThere = stat("/proc/\(process)/ns/\(kind)", &status) == 0
            return isThere ? UInt64(status.st_ino) : nil
        }
        // A process ID may be used again: only one of this node's users, in a namespace below, is it.
        guard let namespace = inode("\(program)", "pid"), namespace != inode("self", "pid"),
            let users = inode("\(program)", "user"), users == inode("self", "user")
        else { return nil }
        return Sandbox(process: 0, namespace: namespace)
    }

    /// What a running container uses and has used; `nil` when it does not run.
    func sample(of paths: ContainerPaths) -> UsageSample? {
        guard !cgroups.isUsable else { return cgroups.sample(of: paths.group) }
        let found = processes(of: paths).compactMap { ProcessUsage($0) }
        guard !found.isEmpty else { return nil }
        let memory = found.reduce(0) { $0 &+ $1.memoryBytes }
        let usage = ResourceUsage(
            cpuMicroseconds: found.reduce(0) { $0 &+ $1.cpuMicroseconds }, memoryPeakBytes: memory,
            readBytes: found.reduce(0) { $0 &+ $1.readBytes },
            writtenBytes: found.reduce(0) { $0 &+ $1.writtenBytes })
        return UsageSample(
            usage: usage, memoryBytes: memory, processCount: UInt32(clamping: found.count))
    }

    /// What an ended container has used; `nil` when nobody has counted.
    func usage(of paths: ContainerPaths) -> ResourceUsage? {
        cgroups.isUsable ? cgroups.sample(of: paths.group)?.usage : nil
    }
}

/// What one process, with the children that it has waited for, has used.
struct ProcessUsage {
    let cpuMicroseconds: UInt64
    /// What it has in memory now, shared pages included.
    let memoryBytes: UInt64
    let readBytes: UInt64
    let writtenBytes: UInt64

    init?(_ process: pid_t) {
        guard let status = Files.text("/proc/\(process)/stat") else { return nil }
        let transfers = Files.text("/proc/\(process)/io") ?? ""
        self.init(
            status: status, transfers: transfers,
            ticksPerSecond: UInt64(sysconf(Int32(_SC_CLK_TCK))),
            pageSizeBytes: UInt64(sysconf(Int32(_SC_PAGESIZE))))
    }

    /// Source: proc(5), `/proc/PID/stat`, fields 14 to 17 and 24, and `/proc/PID/io`.
    init?(status: String, transfers: String, ticksPerSecond: UInt64, pageSizeBytes: UInt64) {
        // The name in parentheses may hold anything; what follows begins with field 3.
        guard let name = status.lastIndex(of: ")"), ticksPerSecond > 0 else { return nil }
        let fields = status[status.index(after: name)...].split(separator: " ")
        guard fields.count > 21, fields[0] != "Z" else { return nil }
        let ticks = (11...14).reduce(0 as UInt64) { $0 &+ (UInt64(fields[$1]) ?? 0) }
        cpuMicroseconds = ticks &* (1_000_000 / ticksPerSecond)
        memoryBytes = (UInt64(fields[21]) ?? 0) &* pageSizeBytes
        func transfer(_ name: String) -> UInt64 {
            for line in transfers.split(separator: "\n") where line.hasPrefix(name) {
                return UInt64(line.dropFirst(name.count)) ?? 0
            }
            return 0
        }
        readBytes = transfer("read_bytes: ")
        writtenBytes = transfer("write_bytes: ")
    }
}

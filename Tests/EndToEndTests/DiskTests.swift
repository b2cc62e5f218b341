import Foundation
import GRDB
import Glibc
import Model
import Testing

/// Disks that are full, and files that are not what was written.
@Suite(
    .serialized,
    .enabled(if: TestCluster.canRunContainers, "containers and mounts need root"))
struct DiskTests {
    @Test func `a full disk refuses submissions, says so, harms no task, and works again`()
        async throws
    {
        let mount = MountPoint()
        defer { mount.remove() }
        try await TestCluster.run(
            of: 1,
            preparing: { try mount.make(at: $0.nodes[0].dataDirectory, megabytes: 160) },
            afterwards: { mount.remove() }
        ) { try await checkFullDisk($0, mount) }
    }

    private func checkFullDisk(_ cluster: TestCluster, _ mount: MountPoint) async throws {
        let node = cluster.nodes[0]
        let beats = cluster.shared.appendingPathComponent("beats")
        let run = try await node.client(
            "run", "-d", "-v", "\(cluster.shared.path):/shared", "sh", "--", "-c",
            "while :; do echo x >> /shared/beats; sleep 0.05; done")
        #expect(run.code == 0, "\(run.errors)")
        func count() -> Int { (try? Data(contentsOf: beats).count) ?? 0 }
        try await eventually("the task runs") { count() > 10 }
        try mount.fill()
        try await eventually("submissions are refused") {
            try await node.client("run", "-d", "true").code == 125
        }
        let refused = try await node.client("run", "-d", "true")
        #expect(refused.errors.contains("disk"), "\(refused.errors)")
        // Longer than a lease: nothing that is needed to keep it needs the disk.
        let before = count()
        try await eventually("the task goes on for longer than a lease") { count() > before + 400 }
        try mount.empty()
        try await eventually("submissions are taken in again") {
            try await node.client("run", "true").code == 0
        }
        let task = try #require(try await cluster.tasks(seenBy: node).first)
        #expect(task.state == "running")
        #expect(task.attempt == 1)
        let log = try String(contentsOfFile: node.dataDirectory.path + ".log", encoding: .utf8)
        let complaints = log.split(separator: "\n").count { $0.contains("data directory failed") }
        #expect(complaints <= 2, "\(complaints) lines say that the disk refuses writes")
    }

    @Test func `a damaged row of the table is found, said so, and fetched again`() async throws {
        try await TestCluster.run(of: 2) { cluster in
            let run = try await cluster.nodes[0].client("run", "true")
            #expect(run.code == 0, "\(run.errors)")
            let id = try #require(try await cluster.tasks(seenBy: cluster.nodes[0]).first).id
            let node = cluster.nodes[1]
            try await eventually("both know its end") {
                try await cluster.tasks(seenBy: node).first?.state == "complete"
            }
            await node.signal(SIGTERM)
            await node.stop()
            try spoil(node.dataDirectory.appendingPathComponent("state.sqlite").path)
            try await node.start(["start"])
            try await eventually("the task is there again") {
                let reply = try await node.client("status", id, "-o", "json")
                return reply.code == 0 && reply.output.contains("\"complete\"")
            }
            let log = try String(
                contentsOfFile: node.dataDirectory.path + ".log", encoding: .utf8)
            #expect(log.contains("1 row of task can't be read"), "\(log.suffix(2_000))")
            #expect(log.contains("comes from the other nodes"))
        }
    }

    /// Has the rows of the table differ from what was written.
    private func spoil(_ path: String) throws {
        let database = try DatabaseQueue(path: path)
        try database.write { database in
            try database.execute(
                sql: "UPDATE record SET checksum = checksum + 1 WHERE space = ?",
                arguments: [Int(DurableSpace.task.rawValue)])
        }
        try database.close()
    }
}

/// A small file system in memory, mounted for a test.
final class MountPoint: @unchecked Sendable {
    private var path: String?

    func make(at folder: URL, megabytes: Int) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        guard mount("tmpfs", folder.path, "tmpfs", 0, "size=\(megabytes)m,mode=0700") == 0 else {
            throw NeverHappened(description: "mount: \(String(cString: strerror(errno)))")
        }
        path = folder.path
    }

    /// Writes until nothing fits any more.
    func fill() throws {
        guard let path else { return }
        let file = open("\(path)/filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        for size in [1 << 20, 4_096, 1] {
            let zeros = [UInt8](repeating: 0, count: size)
            while write(file, zeros, size) == size {}
        }
    }

    func empty() throws {
        guard let path else { return }
        unlink("\(path)/filler")
    }

    func remove() {
        guard let path else { return }
        umount2(path, Int32(MNT_DETACH))
        self.path = nil
    }
}

import CRDT
import Cluster
import Foundation
import Model
import NodeIO

/// What tasks take on disk, and what those that are gone leave behind.
extension TableBenchmark {
    /// So many tasks are written to a real database, each submitted, claimed and started.
    private static let diskTasksMax = 20_000

    func measureDisk(into report: inout [String: Double]) throws {
        let folder =
            FileManager.default.temporaryDirectory.path
            + "/magpie-table-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = "\(folder)/table.sqlite"
        let count = min(tasks, TableBenchmark.diskTasksMax)
        do {
            let store = try DurableStore(path: path) { _ in }
            var cluster = TableCluster(count: 1)
            var ticket: UInt64 = 0
            cluster.onWrite = { writes in
                ticket += 1
                store.submit(writes, PersistTicket(ticket))
            }
            for number in 0..<count {
                submit(number, at: 0, in: &cluster)
                cluster.step(0, .writeAttempt(id(number), row(number, .claimed)))
                cluster.step(0, .writeAttempt(id(number), row(number, .running)))
            }
            store.flush()
        }
        // Closed, so that the log is folded into the database.
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        report["disk_bytes_per_task"] = tenth(Double(size) / Double(count))
    }

    /// A million births that were collected, from a thousand lives of nodes.
    ///
    /// Once without those of the tasks that are live and young, as it mostly is; once without
    /// as many that are scattered among all.
    func measureCollected(into report: inout [String: Double]) {
        let origins = 1_000 as UInt64
        let perOrigin = 1_000 as UInt64
        func isYoung(_ origin: UInt64, _ sequence: UInt64) -> Bool { sequence > 900 }
        func isScattered(_ origin: UInt64, _ sequence: UInt64) -> Bool {
            Fingerprint.mix(origin &* perOrigin &+ sequence) % 10 == 0
        }
        for (name, isLive) in [("young", isYoung), ("scattered", isScattered)] {
            let before = allocatedSizeBytes
            var set = DotSet()
            let collecting = cpuSeconds {
                for origin in 1...origins {
                    for sequence in 1...perOrigin where !isLive(origin, sequence) {
                        set.insert(
                            Dot(origin: Fingerprint.mix(origin), sequence: sequence))
                    }
                }
            }
            let size = allocatedSizeBytes - before
            var joined = DotSet()
            let joining = cpuSeconds { joined.join(set) }
            let again = cpuSeconds { joined.join(set) }
            var found = 0
            let checking = cpuSeconds {
                for number in 0..<1_000_000 as Range<UInt64> {
                    let origin = Fingerprint.mix(number) % origins + 1
                    let dot = Dot(
                        origin: Fingerprint.mix(origin), sequence: number % perOrigin + 1)
                    if joined.contains(dot) { found += 1 }
                }
            }
            precondition(found > 0 && joined == set, "most are collected")
            var writer = ByteWriter()
            writer.dots(set)
            report["collected_\(name)_intervals"] = Double(set.intervalCount)
            report["collected_\(name)_memory_bytes"] = Double(size)
            report["collected_\(name)_wire_bytes"] = Double(writer.bytes.count)
            report["collected_\(name)_collect_ns_per_task"] = (collecting * 1_000).rounded()
            report["collected_\(name)_join_ms"] = hundredth(joining * 1_000)
            report["collected_\(name)_join_known_ms"] = hundredth(again * 1_000)
            report["collected_\(name)_check_ns"] = (checking * 1_000).rounded()
        }
    }
}

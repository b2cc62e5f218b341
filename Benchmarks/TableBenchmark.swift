import ArgumentParser
import CShims
import Cluster
import Foundation
import Glibc
import Model

/// The task table alone: replicas in one process and on one thread, without sockets or disks.
struct TableBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table", abstract: "Merges, memory, wire and repair of the task table.")

    @Option(help: "How many live tasks the table has.") var tasks = 100_000
    @Option(help: "How many tasks two replicas differ in before a repair.") var differences = 100
    @Option(help: "How many updates are spread per cluster size.") var updates = 2_000

    @Option(help: "What to measure; may be repeated.") var part: [Part] = Part.allCases

    /// What can be measured by itself.
    enum Part: String, CaseIterable, ExpressibleByArgument {
        case memory, disk, merges, fields, dissemination, join, repair, collected
    }

    func run() throws {
        var report: [String: Double] = [:]
        for part in Part.allCases where self.part.contains(part) {
            switch part {
            case .memory: measureMemory(into: &report)
            case .disk: try measureDisk(into: &report)
            case .merges: measureMerges(into: &report)
            case .fields: measureFields(into: &report)
            case .dissemination:
                for count in [5, 20, 100] { measureDissemination(count, into: &report) }
            case .join: measureJoin(into: &report)
            case .repair: measureRepair(into: &report)
            case .collected: measureCollected(into: &report)
            }
        }
        print(
            String(
                decoding: try JSONSerialization.data(
                    withJSONObject: report, options: [.prettyPrinted, .sortedKeys]),
                as: UTF8.self))
    }

    // MARK: Parts

    /// What the process has, as the kernel sees it.
    var residentSizeBytes: Int {
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?
            .split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return (pages ?? 0) * sysconf(Int32(_SC_PAGESIZE))
    }

    /// What the allocator has given out and not got back.
    var allocatedSizeBytes: Int { Int(magpie_allocated_bytes()) }

    /// What an operation costs on one core, however busy the machine is.
    func cpuSeconds(_ operation: () -> Void) -> Double {
        func spent() -> Double {
            // A million ticks a second, as POSIX wants it.
            Double(clock()) / 1e6
        }
        let before = spent()
        operation()
        return spent() - before
    }

    func id(_ number: Int) -> TaskID {
        // As version 7 draws them: a few per millisecond, in order, the rest at random.
        var random = SeededGenerator(seed: UInt64(number))
        return TaskID(
            at: WallTime(milliseconds: 1_700_000_000_000 + Int64(number) / 4), using: &random)
    }

    func spec(_ number: Int) -> TaskSpec {
        var spec = TaskSpec(command: ["sh", "-c", "make test-\(number)"])
        spec.environment = ["CI=1", "BUILD=\(number)"]
        return spec
    }

    func submit(_ number: Int, at index: Int, in cluster: inout TableCluster) {
        cluster.step(
            index,
            .submit(
                spec(number), id: id(number),
                wall: WallTime(milliseconds: 1_700_000_000_000 + Int64(number)), wantedCopies: 1))
    }

    func row(_ number: Int, _ phase: AttemptRow.Phase) -> AttemptRow {
        var row = AttemptRow(
            token: FencingToken(generation: 1, index: UInt64(number) + 1),
            session: SessionID(77), node: TableCluster.id(0), phase: phase)
        row.claimed = WallTime(milliseconds: 1_700_000_000_000)
        if phase >= .running { row.started = WallTime(milliseconds: 1_700_000_000_040) }
        return row
    }

    private func measureMemory(into report: inout [String: Double]) {
        // Takes what the allocator has to give without asking the kernel, so that both sizes are whole.
        let ballast = decodedSpecs()
        let empty = residentSizeBytes
        let emptyAllocated = allocatedSizeBytes
        let specs = decodedSpecs()
        let withSpecs = residentSizeBytes
        let specsAllocated = allocatedSizeBytes
        let alone = filled()
        let filledSize = residentSizeBytes
        let filledAllocated = allocatedSizeBytes
        // All are measured while all are there.
        let count = withExtendedLifetime((ballast, specs, alone)) { Double(specs.count) }
        let specSize = Double(withSpecs - empty) / count
        let specAllocated = Double(specsAllocated - emptyAllocated) / count
        report["memory_spec_bytes"] = tenth(specSize)
        report["memory_beyond_spec_bytes"] = tenth(
            Double(filledSize - withSpecs) / count - specSize)
        report["memory_spec_allocated_bytes"] = tenth(specAllocated)
        report["memory_beyond_spec_allocated_bytes"] = tenth(
            Double(filledAllocated - specsAllocated) / count - specAllocated)
    }

    /// The specs alone; no more room than they take, and none that was given back on the way.
    private func decodedSpecs() -> [TaskSpec] {
        var specs: [TaskSpec] = []
        specs.reserveCapacity(tasks)
        for number in 0..<tasks {
            if let spec = try? TaskSpec(decoding: spec(number).encoded) { specs.append(spec) }
        }
        return specs
    }

    /// One replica with all tasks, each submitted, claimed and started, that has heard from another one.
    private func filled() -> TableReplica {
        var cluster = TableCluster(count: 1)
        for number in 0..<tasks {
            submit(number, at: 0, in: &cluster)
            cluster.step(0, .writeAttempt(id(number), row(number, .claimed)))
            cluster.step(0, .writeAttempt(id(number), row(number, .running)))
        }
        // What comes from others is looked up by guesses: they have room from the first time on.
        var other = TableCluster(count: 2)
        other.keepsPackets = true
        submit(0, at: 0, in: &other)
        other.wait(.milliseconds(10))
        for message in other.takeKept() {
            _ = cluster.replicas[0].merge(
                DecodedDeltas(table: message), from: TableCluster.id(1), at: .zero)
        }
        return cluster.replicas[0]
    }

    private func measureFields(into report: inout [String: Double]) {
        var cluster = TableCluster(count: 2)
        submit(1, at: 0, in: &cluster)
        cluster.deliver()
        func size(_ event: TableEvent) -> Double {
            cluster.wait(.milliseconds(50))
            cluster.resetCounters()
            cluster.step(0, event)
            return Double(cluster.messageSizeBytesMax)
        }
        report["field_claimed_bytes"] = size(.writeAttempt(id(1), row(1, .claimed)))
        report["field_running_bytes"] = size(.writeAttempt(id(1), row(1, .running)))
        var ended = row(1, .complete)
        ended.exit = ExitStatus(code: 0)
        ended.ended = WallTime(milliseconds: 1_700_000_002_000)
        report["field_complete_bytes"] = size(.writeAttempt(id(1), ended))
        report["field_close_bytes"] = size(
            .close(
                id(1), TaskOutcome(kind: .complete, exit: ExitStatus(code: 0)),
                token: FencingToken(generation: 1, index: 2),
                wall: WallTime(milliseconds: 1_700_000_002_000)))
        report["field_cancel_bytes"] = size(.cancel(id(1)))
    }

    /// Updates at 1,000 a second, each at another replica.
    private func measureDissemination(_ count: Int, into report: inout [String: Double]) {
        var cluster = TableCluster(count: count)
        for number in 0..<updates / 2 { submit(number, at: number % count, in: &cluster) }
        _ = cluster.converge(roundsMax: 200)
        cluster.resetCounters()
        for number in 0..<updates / 2 {
            var update = row(number, .running)
            update.node = TableCluster.id(number % count)
            cluster.step(number % count, .writeAttempt(id(number), update))
            cluster.wait(.milliseconds(1))
        }
        let rounds = cluster.converge(roundsMax: 200)
        let deliveries = Double(updates / 2) * Double(count - 1)
        report["copies_per_node_and_update_n\(count)"] = hundredth(
            Double(cluster.deltaCount) / deliveries)
        report["wire_bytes_per_node_and_update_n\(count)"] = tenth(
            Double(cluster.sentSizeBytes) / deliveries)
        report["repair_rounds_n\(count)"] = Double(rounds)
    }

    private func measureJoin(into report: inout [String: Double]) {
        var cluster = TableCluster(count: 1)
        for number in 0..<tasks {
            submit(number, at: 0, in: &cluster)
            cluster.step(0, .writeAttempt(id(number), row(number, .running)))
        }
        let elapsed = cpuSeconds {
            _ = cluster.add()
            report["join_rounds"] = Double(cluster.converge(roundsMax: 100))
        }
        report["join_cpu_s"] = hundredth(elapsed)
        report["join_bytes_per_task"] = tenth(Double(cluster.sentSizeBytes) / Double(tasks))
        measureUpdates(&cluster, into: &report)
    }

    /// One field of every task changes: decoded, merged, fingerprinted and encoded for the disk.
    private func measureUpdates(
        _ cluster: inout TableCluster, into report: inout [String: Double]
    ) {
        for number in 0..<tasks {
            cluster.step(0, .writeAttempt(id(number), row(number, .failed)))
        }
        cluster.countsDeltas = false
        let elapsed = cpuSeconds { cluster.deliver() }
        report["updates_received_per_cpu_s"] = (Double(tasks) / elapsed).rounded()
    }

    /// Differences at random places, once by contexts and once by ranges.
    private func measureRepair(into report: inout [String: Double]) {
        var cluster = TableCluster(count: 2, keepsDisks: true)
        for number in 0..<tasks { submit(number, at: 0, in: &cluster) }
        _ = cluster.converge(roundsMax: 100)
        var random = SeededGenerator(seed: 5)
        let chosen = (0..<tasks).shuffled(using: &random).prefix(differences)
        cluster.dropsPackets = true
        for number in chosen {
            cluster.step(0, .writeAttempt(id(number), row(number, .running)))
        }
        cluster.wait(.milliseconds(10))
        cluster.dropsPackets = false
        cluster.resetCounters()
        report["repair_by_context_rounds"] = Double(cluster.converge(roundsMax: 100))
        report["repair_by_context_bytes"] = Double(cluster.sentSizeBytes)

        cluster.restart(1, without: chosen.map(id))
        cluster.resetCounters()
        report["repair_by_ranges_rounds"] = Double(cluster.converge(roundsMax: 100))
        report["repair_by_ranges_bytes"] = Double(cluster.sentSizeBytes)
        report["repair_by_ranges_deltas"] = Double(cluster.deltaCount)
    }

    func hundredth(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}

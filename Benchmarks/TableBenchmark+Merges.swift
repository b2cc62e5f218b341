import Cluster
import Model

/// How fast changes are joined, and what the memory allows.
extension TableBenchmark {
    /// Deltas of one field as they travel, joined into a replica with all tasks.
    ///
    /// In the order of submission, as tasks mostly start, and in any order; then the same once more.
    func measureMerges(into report: inout [String: Double]) {
        var random = SeededGenerator(seed: 3)
        var cluster = TableCluster(count: 2)
        for number in 0..<tasks { submit(number, at: 0, in: &cluster) }
        _ = cluster.converge(roundsMax: 100)
        cluster.keepsPackets = true
        let phases: [(AttemptRow.Phase, [Int])] = [
            (.claimed, Array(0..<tasks)), (.starting, Array(0..<tasks)),
            (.running, (0..<tasks).shuffled(using: &random)),
        ]
        for (phase, numbers) in phases {
            for number in numbers {
                cluster.step(0, .writeAttempt(id(number), row(number, phase)))
            }
            cluster.wait(.milliseconds(10))
            let messages = cluster.takeKept()
            let news = merge(messages, into: &cluster.replicas[1], expected: tasks)
            let known = merge(messages, into: &cluster.replicas[1], expected: 0)
            switch phase {
            case .claimed: report["merges_new_row_per_cpu_s"] = news.perSecond
            case .starting: report["merges_new_field_per_cpu_s"] = news.perSecond
            default:
                report["merges_new_field_any_order_per_cpu_s"] = news.perSecond
                report["merges_known_field_any_order_per_cpu_s"] = known.perSecond
                report["merges_fields_read_from_messages_per_cpu_s"] = news.readPerSecond
            }
        }
        measureReads(into: &report)
    }

    /// Reads all messages, then joins all that they carry: each is given away, as a received one is.
    private func merge(
        _ messages: [[UInt8]], into replica: inout TableReplica, expected: Int
    ) -> (perSecond: Double, readPerSecond: Double) {
        var batches: [DecodedDeltas] = []
        let reading = cpuSeconds { batches = messages.reversed().map(DecodedDeltas.init(table:)) }
        let count = Double(batches.map(\.count).reduce(0, +))
        var found = 0
        let joining = cpuSeconds {
            while let batch = batches.popLast() {
                found += replica.merge(batch, from: TableCluster.id(0), at: .zero)
            }
        }
        precondition(found == expected, "each delta is news once")
        replica.settle()
        return ((count / joining).rounded(), (count / reading).rounded())
    }

    /// What memory of a table's size takes to answer: when each question needs the answer before, and
    /// when many are asked at a time.
    private func measureReads(into report: inout [String: Double]) {
        // A line for each 64 bytes that a table of so many tasks has; in each the next of one long way.
        let lines = tasks * 600 / 64
        var random = SeededGenerator(seed: 7)
        let way = (0..<lines).shuffled(using: &random)
        var memory = [Int](repeating: 0, count: lines * 8)
        for (line, next) in zip(way, way.dropFirst() + way.prefix(1)) { memory[line * 8] = next }
        var line = 0
        var sum = 0
        let following = cpuSeconds { for _ in 0..<lines { line = memory[line * 8] } }
        let asking = cpuSeconds { for line in way { sum &+= memory[line * 8] } }
        precondition(line == 0 && sum == lines * (lines - 1) / 2, "every line was read once")
        report["memory_read_after_another_ns"] = tenth(following / Double(lines) * 1e9)
        report["memory_read_beside_others_ns"] = tenth(asking / Double(lines) * 1e9)
    }
}

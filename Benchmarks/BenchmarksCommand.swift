import ArgumentParser

/// Benchmarks, apart from the tests; each prints one JSON object.
@main
struct BenchmarksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmarks", abstract: "Measures Magpie; prints JSON.",
        subcommands: [
            ClaimsBenchmark.self, ClusterBenchmark.self, ContainersBenchmark.self,
            CoreBenchmark.self, IdleBenchmark.self, MembershipBenchmark.self, StreamsBenchmark.self,
            TableBenchmark.self,
        ])
}

/// Durations in order, and what people ask of them.
struct Sample {
    private let sorted: [Double]

    init(_ values: [Double]) {
        sorted = values.sorted()
    }

    /// The value below which this share of all values lies.
    func quantile(_ share: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        return sorted[min(Int(Double(sorted.count) * share), sorted.count - 1)]
    }
}

/// Rounds to a tenth, since more digits would be noise.
func tenth(_ value: Double) -> Double { (value * 10).rounded() / 10 }

import ArgumentParser
import Foundation
import Model
import Runner

/// Containers a second and how soon they start, beside the same by hand and under podman.
struct ContainersBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "containers",
        abstract: "The runner's containers, beside posix_spawn, crun, conmon + crun, and podman.",
        discussion: """
            All run 'true' to its end, with the same limits, mounts, namespaces and system calls \
            (podman: with its own defaults). By hand means conmon and crun as the runner calls \
            them, with the filter of system calls compiled before. Rounds alternate, so that all \
            meet the same noise. Needs root; podman is left out where it is not installed.
            """)

    @Option(help: "Containers at a time; may be repeated.") var parallel: [Int] = [1, 2, 4, 8]
    @Option(help: "What is measured, by its name in the report; may be repeated (default: all).")
    var way: [String] = []
    @Option(help: "Seconds of each measurement.") var seconds = 2.0
    @Option(help: "How often each is measured; medians are printed.") var rounds = 3

    func run() async throws {
        try await BenchFolder.use("containers") { folder in
            let lane = try RunnerLane(in: "\(folder)/runner")
            defer { lane.close() }
            let spec = TaskSpec(command: ["/usr/bin/true"])
            let hand = try await handMade(folder, lane, spec)
            defer { hand.cleanUp() }
            try BenchFolder.print(try await measure(ways(lane, spec, hand)))
        }
    }

    private func handMade(
        _ folder: String, _ lane: RunnerLane, _ spec: TaskSpec
    ) async throws -> HandMade {
        let configuration = lane.configuration
        var entrance = [configuration.launcher]
        if let hidden = lane.runner.hiddenHierarchy { entrance += ["--hide", hidden] }
        return HandMade(
            folder: "\(folder)/hand", entrance: entrance + ["--"],
            runtime: configuration.runtime, conmon: configuration.conmon,
            configuration: try await lane.sampleConfiguration(spec),
            root: "\(configuration.dataDirectory)/host-rootfs")
    }

    /// One way to run `true`; returns the milliseconds until it was started, if that is known.
    private struct Way: Sendable {
        let name: String
        let run: @Sendable (_ number: Int) async throws -> Double?
    }

    private func ways(_ lane: RunnerLane, _ spec: TaskSpec, _ hand: HandMade) -> [Way] {
        func blocking(_ name: String, _ body: @escaping @Sendable (Int) throws -> Void) -> Way {
            Way(name: name) { number in
                try await withCheckedThrowingContinuation { continuation in
                    DispatchQueue.global().async {
                        continuation.resume(with: Result { try body(number) })
                    }
                }
                return nil
            }
        }
        var ways = [
            Way(name: "magpie") { _ in try await lane.cycle(spec) },
            blocking("by_hand") { try hand.monitored("hand\($0)") },
            blocking("crun_run") { try hand.run("plain\($0)") },
            blocking("posix_spawn") { _ in try hand.spawn() },
        ]
        let podman = "/usr/bin/podman"
        if FileManager.default.isExecutableFile(atPath: podman) {
            ways.append(blocking("podman_run") { _ in try hand.podman(podman) })
        }
        return way.isEmpty ? ways : ways.filter { way.contains($0.name) }
    }

    private func measure(_ ways: [Way]) async throws -> [String: Any] {
        var report: [String: Any] = ["seconds": seconds, "rounds": rounds]
        for count in parallel {
            var results: [String: [Lap]] = [:]
            for round in 0..<rounds {
                FileHandle.standardError.write(
                    Data("round \(round + 1) of \(rounds), \(count) at a time\n".utf8))
                for way in ways {
                    results[way.name, default: []].append(
                        try await lap(way, by: count, base: (count * 100 + round) * 100_000))
                }
            }
            var figures: [String: Any] = [:]
            for (name, laps) in results { figures[name] = Lap.summary(laps) }
            func perSecond(_ name: String) -> Double? {
                results[name].map { Sample($0.map(\.perSecond)).quantile(0.5) }
            }
            if let own = perSecond("magpie"), let hand = perSecond("by_hand") {
                figures["time_over_by_hand"] = (hand / own * 100).rounded() / 100
                if let podman = perSecond("podman_run") {
                    figures["times_podman"] = tenth(own / podman)
                }
            }
            report["parallel_\(count)"] = figures
        }
        return report
    }

    /// What one measurement gave.
    private struct Lap {
        var perSecond: Double
        var milliseconds: [Double]
        var started: [Double]

        static func summary(_ laps: [Lap]) -> [String: Any] {
            let all = Sample(laps.flatMap(\.milliseconds))
            var figures: [String: Any] = [
                "per_second": tenth(Sample(laps.map(\.perSecond)).quantile(0.5)),
                "ms_p50": tenth(all.quantile(0.5)), "ms_p99": tenth(all.quantile(0.99)),
            ]
            let started = Sample(laps.flatMap(\.started))
            if started.quantile(0.5) > 0 {
                figures["started_ms_p50"] = tenth(started.quantile(0.5))
                figures["started_ms_p99"] = tenth(started.quantile(0.99))
            }
            return figures
        }
    }

    private func lap(_ way: Way, by count: Int, base: Int) async throws -> Lap {
        let clock = ContinuousClock()
        let begin = clock.now
        let end = begin + .seconds(seconds)
        var lap = Lap(perSecond: 0, milliseconds: [], started: [])
        try await withThrowingTaskGroup(of: ([Double], [Double]).self) { group in
            for lane in 0..<count {
                group.addTask {
                    var (times, starts): ([Double], [Double]) = ([], [])
                    var number = base + lane * 10_000
                    while clock.now < end {
                        number += 1
                        let start = clock.now
                        if let started = try await way.run(number) { starts.append(started) }
                        times.append((clock.now - start) / .milliseconds(1))
                    }
                    return (times, starts)
                }
            }
            for try await (times, starts) in group {
                lap.milliseconds += times
                lap.started += starts
            }
        }
        lap.perSecond = Double(lap.milliseconds.count) / ((clock.now - begin) / .seconds(1))
        return lap
    }
}

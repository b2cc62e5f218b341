import ArgumentParser
import Foundation
import Glibc

/// Real members under all that can happen to them, beside Serf's.
struct MembershipBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "membership",
        abstract: "Daemons in network namespaces: joins, ends, faults; beside Serf if installed.",
        discussion: """
            Each member is a process in a network namespace of its own; all of it ends with the \
            benchmark. Times are those at which a member's line about another one was read. Joins and \
            restarts include the start of the programs. Counts named '_false' are of members shown as \
            failed that were not; one that was seen failed by two others counts twice. Programs take \
            turns, a cluster each; times are judged by their median, counts by the worst trial. Needs \
            root, iproute2, and iptables for faults of the network.
            """)

    @Option(help: "How many members a cluster has.") var nodes = 20
    @Option(help: "How many clusters of each program are measured.") var trials = 3
    @Option(help: "How long members are watched where nothing should happen, in seconds.")
    var watch = 30.0
    @Option(help: "What is measured besides joining (default: all); may be repeated.")
    var part: [MembershipPart] = []
    @Option(help: "magpie or serf alone.") var only: String?
    @Flag(help: .hidden) var isInside = false

    func validate() throws {
        guard nodes >= 4, trials >= 1, watch >= 1 else {
            throw ValidationError("at least 4 nodes, 1 trial, and 1 second")
        }
    }

    func run() async throws {
        guard isInside else {
            try MembershipNetwork.enter(
                Array(CommandLine.arguments.dropFirst()) + ["--is-inside"])
        }
        // The number of this process is always the same in here.
        try await BenchFolder.use("membership-\(Int.random(in: 10_000...99_999))") { folder in
            let signals = MembershipBenchmark.endOnSignals(removing: folder)
            try BenchFolder.print(try await measure(in: folder))
            for signal in signals { signal.cancel() }
        }
    }

    /// The first process of a namespace gets no signals unless it asks for them.
    private static func endOnSignals(removing folder: String) -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                try? FileManager.default.removeItem(atPath: folder)
                _exit(128 + number)
            }
            source.resume()
            return source
        }
    }

    private func measure(in folder: String) async throws -> [String: Any] {
        let network = try await MembershipNetwork.make(of: nodes)
        let serf = SerfMembership()
        let programs = ([MagpieMembership(), serf] as [(any MembershipProgram)?])
            .compactMap { $0 }.filter { only == nil || $0.name == only }
        guard !programs.isEmpty else { throw BenchFailure("there is nothing to measure") }
        let wanted = part.isEmpty ? MembershipPart.allCases : part
        let parts = MembershipPart.allCases.filter {
            wanted.contains($0) && (network.canFail || !$0.needsFaults)
        }
        var report = MembershipReport(nodes: nodes)
        for trial in 1...trials {
            for program in programs {
                say("\(program.name), trial \(trial) of \(trials)")
                let cluster = MembershipCluster(program, of: nodes, in: folder)
                defer { cluster.stop() }
                var run = MembershipTrial(cluster, network, watchSeconds: watch)
                try await run.run(parts)
                say(
                    "\(run.figures.sorted { $0.key < $1.key }.map { "\($0.key) \(tenth($0.value))" })"
                )
                report.add(run.figures, of: program.name)
            }
        }
        var left: [String] = []
        if serf == nil { left.append("serf is not installed") }
        if !network.canFail { left.append("there is no iptables: no faults of the network") }
        return [
            "nodes": nodes, "trials": trials, "watch_seconds": watch, "profile": "lan",
            "left_out": left, "figures": report.figures,
        ]
    }

    /// What is under way, for people who wait.
    private func say(_ text: String) {
        FileHandle.standardError.write(Data("\(text)\n".utf8))
    }
}

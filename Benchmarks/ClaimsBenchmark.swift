import ArgumentParser
import Foundation
import NIOCore

/// Claims a second and their latency, beside etcd's compare-and-set on the same disk.
struct ClaimsBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "claims",
        abstract: "Three nodes' locks with fsync, beside three of etcd when it is installed.",
        discussion: """
            Magpie: the shipped membership, lock, transport and store of three nodes in this \
            process, one thread each; claimers on the two nodes that do not lead. etcd: three \
            processes; claimers over gRPC on the two members that come first. Rounds alternate, so \
            that both meet the same noise.
            """)

    @Option(help: "Seconds of each measurement.") var seconds = 3.0
    @Option(help: "How often each is measured; medians are printed.") var rounds = 3
    @Option(help: "Claimers at a time; may be repeated.") var claimers: [Int] = [1, 8, 64]
    @Option(help: "Where the disks' files go (default: the temporary directory).")
    var directory: String?

    func run() async throws {
        try await BenchFolder.use("claims", below: directory) { folder in
            say("starting three nodes of each")
            let nodes = try await form(folder)
            let etcd = try await EtcdCluster.start(in: folder)
            do {
                try await etcd?.waitUntilReady()
                try BenchFolder.print(try await measure(nodes, etcd))
            } catch {
                await stop(nodes, etcd)
                throw error
            }
            await stop(nodes, etcd)
        }
    }

    /// What is under way, for people who wait.
    private func say(_ text: String) {
        FileHandle.standardError.write(Data("\(text)\n".utf8))
    }

    private func stop(_ nodes: [ClaimNode], _ etcd: EtcdCluster?) async {
        for node in nodes { await node.close() }
        await etcd?.stop()
    }

    private func form(_ folder: String) async throws -> [ClaimNode] {
        var nodes = [try await ClaimNode.open(1, in: folder, isFounder: true)]
        let token = try await nodes[0].token()
        for number in 2...3 {
            let node = try await ClaimNode.open(number, in: folder, isFounder: false)
            try await node.join(nodes[0].address, token)
            nodes.append(node)
        }
        while true {
            var isReady = true
            for node in nodes {
                let state = try await node.state()
                if state.voters != 3 || !state.mayClaim { isReady = false }
            }
            if isReady { return nodes }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func measure(
        _ nodes: [ClaimNode], _ etcd: EtcdCluster?
    ) async throws -> [String: Any] {
        var report: [String: Any] = [
            "seconds": seconds, "rounds": rounds,
            "etcd": etcd == nil ? "not installed" : "Debian's etcd-server, gRPC",
        ]
        for count in claimers {
            var own: [Round] = []
            var theirs: [Round] = []
            for round in 0..<rounds {
                say("round \(round + 1) of \(rounds), \(count) claimers")
                own.append(try await claim(nodes, by: count))
                if let etcd {
                    theirs.append(try await claim(etcd, by: count, round: round))
                }
            }
            report["magpie_\(count)"] = Round.summary(own)
            if !theirs.isEmpty {
                report["etcd_\(count)"] = Round.summary(theirs)
                report["claims_ratio_\(count)"] = tenth(
                    Round.median(own.map(\.perSecond)) / Round.median(theirs.map(\.perSecond)))
            }
        }
        return report
    }

    private func claim(_ nodes: [ClaimNode], by count: Int) async throws -> Round {
        var followers: [ClaimNode] = []
        for node in nodes where try await !node.state().leads { followers.append(node) }
        let shares = followers.prefix(2).enumerated().map { index, node in
            (node, count / 2 + (index == 0 ? count % 2 : 0))
        }
        let span = TimeAmount.nanoseconds(Int64(seconds * 1e9))
        var latencies: [Double] = []
        var denials = 0
        try await withThrowingTaskGroup(of: ClaimCount.self) { group in
            for (node, share) in shares where share > 0 {
                group.addTask { try await node.claim(by: share, for: span) }
            }
            for try await count in group {
                latencies += count.latencies
                denials += count.denials
            }
        }
        return Round(latencies: latencies, denials: denials, seconds: seconds)
    }

    private func claim(
        _ etcd: EtcdCluster, by count: Int, round: Int
    ) async throws -> Round {
        var clients: [EtcdClient] = []
        for index in 0..<min(count, 8) {
            clients.append(try await EtcdClient.connect(etcd.clientPorts[index % 2]))
        }
        defer { for client in clients { client.close() } }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        var latencies: [Double] = []
        var denials = 0
        try await withThrowingTaskGroup(of: ([Double], Int).self) { group in
            for claimer in 0..<count {
                let client = clients[claimer % clients.count]
                group.addTask {
                    var own: [Double] = []
                    var refused = 0
                    var number = 0
                    while clock.now < end {
                        let begin = clock.now
                        number += 1
                        let key = "task/\(count)/\(round)/\(claimer)/\(number)"
                        if try await client.claim(key) {
                            own.append((clock.now - begin) / .milliseconds(1))
                        } else {
                            refused += 1
                        }
                    }
                    return (own, refused)
                }
            }
            for try await (own, refused) in group {
                latencies += own
                denials += refused
            }
        }
        return Round(latencies: latencies, denials: denials, seconds: seconds)
    }
}

/// What came of one measurement.
private struct Round {
    let perSecond: Double
    let p50: Double
    let p99: Double
    let denials: Int

    init(latencies: [Double], denials: Int, seconds: Double) {
        let sample = Sample(latencies)
        perSecond = Double(latencies.count) / seconds
        p50 = sample.quantile(0.5)
        p99 = sample.quantile(0.99)
        self.denials = denials
    }

    static func median(_ values: [Double]) -> Double { Sample(values).quantile(0.5) }

    static func summary(_ rounds: [Round]) -> [String: Any] {
        [
            "claims_per_second": median(rounds.map(\.perSecond)).rounded(),
            "p50_ms": (median(rounds.map(\.p50)) * 100).rounded() / 100,
            "p99_ms": (median(rounds.map(\.p99)) * 100).rounded() / 100,
            "denied": rounds.reduce(0) { $0 + $1.denials },
        ]
    }
}

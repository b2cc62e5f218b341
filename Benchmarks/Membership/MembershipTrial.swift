import ArgumentParser
import Glibc

/// What can be measured of a cluster's membership.
enum MembershipPart: String, CaseIterable, ExpressibleByArgument, Sendable {
    case idle
    case kill
    case restart
    case leave
    case frozen
    case slow
    case loss
    case deaf
    case mute
    case cut
    case split
    case flood

    /// Whether the network has to fail for it.
    var needsFaults: Bool {
        switch self {
        case .loss, .deaf, .mute, .cut, .split: true
        case .idle, .kill, .restart, .leave, .frozen, .slow, .flood: false
        }
    }
}

/// One cluster, from its founding to its end, and what was measured of it.
struct MembershipTrial {
    let cluster: MembershipCluster
    let network: MembershipNetwork
    /// How long it is watched where nothing should happen, in seconds.
    let watchSeconds: Double
    /// What was measured, by name.
    private(set) var figures: [String: Double] = [:]

    init(_ cluster: MembershipCluster, _ network: MembershipNetwork, watchSeconds: Double) {
        self.cluster = cluster
        self.network = network
        self.watchSeconds = watchSeconds
    }

    private typealias Clock = ContinuousClock

    /// The member to whom things happen: neither the founder nor a seed.
    private var victim: Int { cluster.count - 1 }

    mutating func run(_ parts: [MembershipPart]) async throws {
        figures["join_s"] = try await cluster.form()
        for part in parts {
            try await cluster.settle()
            switch part {
            case .idle: try await idle()
            case .kill: try await kill()
            case .restart: try await restart()
            case .leave: try await leave()
            case .frozen: for seconds in [3, 5, 8] { try await freeze(for: seconds) }
            case .slow: try await slow()
            case .loss: try await lose()
            case .deaf: try await isolate("deaf", .deaf(victim))
            case .mute: try await isolate("mute", .mute(victim))
            case .cut:
                try await watch("cut_false", under: .cut(1, 2))
            case .split: try await split()
            case .flood: try await flood()
            }
        }
    }

    /// Counts what is shown as failed, but for what `isDue`.
    private mutating func count(
        _ name: String, since begin: ContinuousClock.Instant,
        unless isDue: (MembershipLedger.Change) -> Bool = { _ in false }
    ) {
        figures[name] = Double(cluster.ledger.failures(since: begin).count { !isDue($0) })
    }

    // MARK: Nobody is at fault

    private mutating func idle() async throws {
        // Until what follows a founding is over: voters are chosen, views compared.
        try await Task.sleep(for: .seconds(10))
        let begin = Clock.now
        let before = cluster.usages()
        try await Task.sleep(for: .seconds(watchSeconds))
        let after = cluster.usages()
        let seconds = (Clock.now - begin) / .seconds(1)
        let perNode = Double(after.count)
        func rate(_ value: (WatchedProcess.Usage) -> Double) -> Double {
            (after.map(value).reduce(0, +) - before.map(value).reduce(0, +)) / perNode / seconds
        }
        figures["idle_packets_per_s"] = rate(\.packets)
        figures["idle_datagrams_per_s"] = rate(\.datagrams)
        figures["idle_bytes_per_s"] = rate(\.bytes)
        figures["idle_cpu_percent"] = rate(\.processorSeconds) * 100
        figures["idle_rss_mib"] = after.map(\.residentSizeMiB).reduce(0, +) / perNode
        count("idle_false", since: begin)
    }

    // MARK: Members come and go

    private mutating func kill() async throws {
        let victim = victim
        let begin = Clock.now
        cluster.kill(victim)
        let times = await cluster.secondsUntil(
            victim, is: .failed, by: cluster.running, since: begin)
        figures["kill_first_s"] = times.first
        figures["kill_all_s"] = times.all
        count("kill_false", since: begin) { $0.subject == victim }
        try cluster.restart(victim)
        _ = try await cluster.secondsUntilFull(since: begin)
    }

    /// A member that was taken for failed comes back; and one that was away for a moment alone.
    private mutating func restart() async throws {
        var begin = Clock.now
        cluster.kill(victim)
        _ = await cluster.secondsUntil(
            victim, is: .failed, by: cluster.running, since: begin)
        begin = Clock.now
        try cluster.restart(victim)
        figures["restart_s"] = try await cluster.secondsUntilFull(since: begin)
        try await cluster.settle()
        begin = Clock.now
        cluster.kill(victim)
        try cluster.restart(victim)
        figures["restart_at_once_s"] = try await cluster.secondsUntilFull(since: begin)
        try await Task.sleep(for: .seconds(10))
        count("restart_at_once_false", since: begin)
    }

    private mutating func leave() async throws {
        let victim = victim
        let begin = Clock.now
        try await cluster.leave(victim)
        let others = cluster.others(than: victim)
        let times = await cluster.secondsUntil(victim, is: .left, by: others, since: begin)
        figures["leave_s"] = times.all
        cluster.reap(victim)
        count("leave_shown_failed", since: begin)
        try cluster.restart(victim)
        _ = try await cluster.secondsUntilFull(since: begin)
    }

    // MARK: Members that are not quick

    private mutating func freeze(for seconds: Int) async throws {
        try await cluster.settle()
        let begin = Clock.now
        cluster.send(SIGSTOP, to: victim)
        try await Task.sleep(for: .seconds(seconds))
        cluster.send(SIGCONT, to: victim)
        let end = Clock.now
        // What it is blamed for may become known only after it has woken up.
        try await Task.sleep(for: .seconds(4))
        let healed = try await cluster.secondsUntilFull(since: end)
        figures["frozen_\(seconds)s_healed_s"] = max(healed, 0)
        count("frozen_\(seconds)s_false", since: begin)
    }

    /// Some members stand still for twelve seconds of thirteen, one tenth of all.
    private mutating func slow() async throws {
        let slow = Set(cluster.running.suffix(max(1, cluster.count / 10)))
        let begin = Clock.now
        for _ in 0..<max(1, Int(watchSeconds / 13)) {
            for member in slow { cluster.send(SIGSTOP, to: member) }
            try await Task.sleep(for: .seconds(12))
            for member in slow { cluster.send(SIGCONT, to: member) }
            try await Task.sleep(for: .seconds(1))
        }
        let end = Clock.now
        _ = try await cluster.secondsUntilFull(since: end)
        count("slow_false", since: begin) { slow.contains($0.subject) }
    }

    // MARK: The network is not sound

    private mutating func lose() async throws {
        try await watch("loss_10_false", under: .loss(0.1, datagramsAlone: false))
        try await cluster.settle()
        try await watch("loss_30_datagrams_false", under: .loss(0.3, datagramsAlone: true))
        try await cluster.settle()
        try await watch("loss_30_false", under: .loss(0.3, datagramsAlone: false))
    }

    /// Counts what is shown as failed while something is wrong that should harm nobody.
    private mutating func watch(_ name: String, under fault: NetworkFault) async throws {
        let begin = Clock.now
        try await network.impose(fault)
        try await Task.sleep(for: .seconds(watchSeconds))
        try await network.lift()
        count(name, since: begin)
    }

    /// One member hears nothing or is not heard, until all others have noticed.
    private mutating func isolate(_ name: String, _ fault: NetworkFault) async throws {
        let victim = victim
        let begin = Clock.now
        try await network.impose(fault)
        let times = await cluster.secondsUntil(
            victim, is: .failed, by: cluster.others(than: victim), since: begin)
        figures["\(name)_noticed_s"] = times.all
        // Long enough for it to think of the others what it likes.
        try await Task.sleep(for: .seconds(15))
        try await network.lift()
        let end = Clock.now
        figures["\(name)_healed_s"] = max(try await cluster.secondsUntilFull(since: end), 0)
        count("\(name)_collateral", since: begin) {
            $0.subject == victim || $0.observer == victim
        }
    }

    /// Datagrams that only a signature tells from a member's, ten thousand in a second.
    private mutating func flood() async throws {
        let flooded = victim
        guard let header = try await cluster.header(ofPacketsFrom: 1) else { return }
        let flood = try await MembershipFlood.make()
        let begin = Clock.now
        let before = cluster.usage(of: flooded)
        let sent = flood.send(header, to: flooded, perSecond: 10_000, seconds: watchSeconds)
        let after = cluster.usage(of: flooded)
        let seconds = (Clock.now - begin) / .seconds(1)
        figures["flood_packets_per_s"] = Double(sent) / seconds
        figures["flood_cpu_percent"] =
            (after.processorSeconds - before.processorSeconds) / seconds * 100
        figures["flood_rss_mib"] = after.residentSizeMiB
        try await Task.sleep(for: .seconds(10))
        count("flood_false", since: begin)
    }

    private mutating func split() async throws {
        let (ledger, members) = (cluster.ledger, cluster.running)
        let halves = [members.filter { $0 % 2 == 0 }, members.filter { $0 % 2 == 1 }]
        let begin = Clock.now
        try await network.impose(.split)
        var noticed = 0.0
        for (half, other) in [(halves[0], halves[1]), (halves[1], halves[0])] {
            for member in half {
                let times = await cluster.secondsUntil(
                    member, is: .failed, by: other, since: begin)
                noticed = max(noticed, times.all)
            }
        }
        figures["split_noticed_s"] = noticed
        figures["split_false"] = Double(
            ledger.failures(since: begin).count { $0.observer % 2 == $0.subject % 2 })
        try await network.lift()
        let end = Clock.now
        figures["split_merged_s"] = try await cluster.secondsUntilFull(since: end)
    }
}

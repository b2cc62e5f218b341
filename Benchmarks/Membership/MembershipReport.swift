/// What issue and design ask of the figures of a membership.
struct MembershipAim {
    /// At most this: the median of times and loads, the worst of what is counted.
    let limit: Double
    let isCount: Bool

    /// `nil` for what is shown for its own sake.
    ///
    /// The limits of times hold for 20 members and for 40; what lies between is held to the latter.
    init?(_ name: String, nodes: Int) {
        let isSmall = nodes <= 20
        switch name {
        case "join_s": limit = isSmall ? 0.45 : 1
        case "kill_first_s": limit = isSmall ? 6 : 7
        case "kill_all_s": limit = isSmall ? 6.3 : 7.3
        case "leave_s": limit = 0.7
        case "restart_s", "frozen_8s_healed_s": limit = 0.5
        case "deaf_healed_s", "mute_healed_s": limit = 2
        case "split_merged_s": limit = 5
        case "idle_packets_per_s": limit = 2.4
        case "idle_cpu_percent": limit = 0.3
        case "idle_rss_mib": limit = 30
        case "idle_false", "kill_false", "leave_shown_failed", "restart_at_once_false",
            "frozen_3s_false", "frozen_5s_false", "slow_false", "loss_10_false",
            "loss_30_datagrams_false", "deaf_collateral", "mute_collateral", "cut_false",
            "split_false", "flood_false":
            limit = 0
        default: return nil
        }
        isCount = limit == 0
    }
}

/// The figures of all trials, by program.
struct MembershipReport {
    private var values: [String: [String: [Double]]] = [:]
    let nodes: Int

    init(nodes: Int) { self.nodes = nodes }

    mutating func add(_ figures: [String: Double], of program: String) {
        for (name, value) in figures {
            values[name, default: [:]][program, default: []].append(value)
        }
    }

    /// For each figure the medians and worst values side by side, and whether Magpie does what is
    /// asked of it.
    var figures: [String: Any] {
        var report: [String: Any] = [:]
        for (name, programs) in values {
            var row: [String: Any] = [:]
            for (program, values) in programs {
                row[program] = [
                    "median": hundredth(Sample(values).quantile(0.5)),
                    "worst": hundredth(values.max() ?? 0), "trials": values.count,
                ]
            }
            if let aim = MembershipAim(name, nodes: nodes) {
                row["aim_at_most"] = aim.limit
                if let own = programs["magpie"] {
                    let judged = aim.isCount ? own.max() ?? 0 : Sample(own).quantile(0.5)
                    row["met"] = judged <= aim.limit
                }
            }
            report[name] = row
        }
        return report
    }

    private func hundredth(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}

import Model

extension StudyRun {
    /// What the run says about a contender.
    package func result(_ study: FairnessStudy) -> FairnessResult {
        let counted = tasks.filter { $0.submitted >= warmUpEnd && $0.ended != nil }
        let waits = counted.map { Double(($0.started ?? $0.submitted) - $0.submitted) / 1e9 }
        let slowdowns = counted.map(StudyRun.slowdown)
        let responses = responses()
        let busy = busyShares
        let imbalance = imbalance(
            every: max(
                StudyRun.sampleInterval, lastSubmission / Int64(StudyRun.sampleCountMax)))
        var result = FairnessResult(
            name: study.policy.text, violation: violation, measures: [:], waits: waits,
            slowdowns: slowdowns, responses: responses, busyShares: busy, imbalance: imbalance,
            timeline: Array(spans.prefix(FairnessResult.timelineCountMax)),
            span: (Double(end) / 1e9, costs.events))
        measureNodes(&result)
        measureTasks(&result, study)
        measureUsers(&result)
        measureCosts(&result, tasks: counted.count)
        measureIncidents(&result)
        return result
    }

    /// How often the imbalance is looked at, in nanoseconds, unless the run is very long.
    static let sampleInterval: Int64 = 500_000_000
    /// How often it is looked at in all, about.
    package static let sampleCountMax = 5_000

    // MARK: Tasks

    /// From submission to the end, over the run time, which counts as one second at least.
    static func slowdown(_ task: Task) -> Double {
        let response = Double((task.ended ?? 0) - task.submitted)
        let floor = FairnessStudy.serviceFloor.nanoseconds
        return max(1, response / Double(max(floor, task.service)))
    }

    /// How long each job took that came after the warm-up and has ended.
    private func responses() -> [Double] {
        var ends: [Int64?] = []
        var firsts: [Int64] = []
        for task in tasks {
            while ends.count <= task.job {
                ends.append(0)
                firsts.append(.max)
            }
            firsts[task.job] = min(firsts[task.job], task.submitted)
            if let known = ends[task.job] { ends[task.job] = task.ended.map { max($0, known) } }
        }
        return zip(firsts, ends).compactMap { first, end in
            guard first >= warmUpEnd, first < .max, let end else { return nil }
            return Double(end - first) / 1e9
        }
    }

    private func measureTasks(_ result: inout FairnessResult, _ study: FairnessStudy) {
        guard !result.waits.isEmpty else { return }
        let waits = result.waits.sorted()
        result.measures[.waitMean] = Statistics.mean(waits)
        result.measures[.waitP50] = Statistics.quantile(0.5, of: waits)
        result.measures[.waitP95] = Statistics.quantile(0.95, of: waits)
        result.measures[.waitP99] = Statistics.quantile(0.99, of: waits)
        result.measures[.waitP999] = Statistics.quantile(0.999, of: waits)
        result.measures[.waitMax] = waits.last
        let slowdowns = result.slowdowns.sorted()
        result.measures[.slowdownMean] = Statistics.mean(slowdowns)
        result.measures[.slowdownP50] = Statistics.quantile(0.5, of: slowdowns)
        result.measures[.slowdownP95] = Statistics.quantile(0.95, of: slowdowns)
        result.measures[.slowdownP99] = Statistics.quantile(0.99, of: slowdowns)
        result.measures[.slowdownP999] = Statistics.quantile(0.999, of: slowdowns)
        result.measures[.slowdownMax] = slowdowns.last
        let starved = starvedCount(factor: study.starvationFactor)
        if let starved { result.measures[.starved] = Double(starved) / Double(waits.count) }
        if let last = tasks.compactMap(\.ended).max() {
            result.measures[.makespan] = Double(last) / 1e9
        }
        guard !result.responses.isEmpty else { return }
        let responses = result.responses.sorted()
        result.measures[.responseMean] = Statistics.mean(responses)
        result.measures[.responseP50] = Statistics.quantile(0.5, of: responses)
        result.measures[.responseP95] = Statistics.quantile(0.95, of: responses)
        result.measures[.responseP99] = Statistics.quantile(0.99, of: responses)
    }

    // MARK: Nodes

    /// Each node's busy time over its capacity, from the warm-up's end to the last submission: what
    /// comes after it shows how a cluster runs empty.
    private var busyShares: [Double] {
        var busy = capacities.map { _ in 0.0 }
        for span in spans {
            let length = min(span.to, lastSubmission) - max(span.from, warmUpEnd)
            guard length > 0 else { continue }
            busy[span.node] += Double(length) * Double(tasks[span.task].demand.cpuMillis)
        }
        var windows = capacities.map { _ in Double(max(1, lastSubmission - warmUpEnd)) }
        for absence in absences {
            let length = min(absence.to, lastSubmission) - max(absence.from, warmUpEnd)
            windows[absence.node] = max(1, windows[absence.node] - Double(max(0, length)))
        }
        return capacities.indices.map {
            busy[$0] / Double(max(1, capacities[$0].cpuMillis)) / windows[$0]
        }
    }

    private func measureNodes(_ result: inout FairnessResult) {
        let shares = result.busyShares
        result.measures[.jain] = Statistics.jain(shares)
        result.measures[.gini] = Statistics.gini(shares)
        if let most = shares.max(), let least = shares.min(), least > 0 {
            result.measures[.busyRatio] = most / least
        }
        let capacity = capacities.reduce(0.0) { $0 + Double($1.cpuMillis) }
        let used = zip(shares, capacities).reduce(0.0) { $0 + $1.0 * Double($1.1.cpuMillis) }
        result.measures[.utilisation] = used / max(1, capacity)
        let counted = result.imbalance.filter {
            (Double(warmUpEnd)...Double(lastSubmission)).contains($0.seconds * 1e9)
        }
        if !counted.isEmpty {
            result.measures[.imbalance] = Statistics.mean(counted.map(\.deviation))
        }
    }

    /// How unequally the nodes' cores are in use, up to the last submission.
    func imbalance(every interval: Int64) -> [StudySample] {
        var changes: [(time: Int64, node: Int, millis: Int64)] = []
        changes.reserveCapacity(2 * spans.count)
        for span in spans {
            let millis = Int64(tasks[span.task].demand.cpuMillis)
            changes.append((span.from, span.node, millis))
            changes.append((span.to, span.node, -millis))
        }
        changes.sort { ($0.time, $0.node, $0.millis) < ($1.time, $1.node, $1.millis) }
        var used = capacities.map { _ in Int64(0) }
        var next = changes.startIndex
        var samples: [StudySample] = []
        for time in stride(from: interval, through: lastSubmission, by: Int(interval)) {
            while next < changes.endIndex, changes[next].time <= time {
                used[changes[next].node] += changes[next].millis
                next += 1
            }
            let away = Set(absences.filter { ($0.from...$0.to).contains(time) }.map(\.node))
            let shares = capacities.indices.filter { !away.contains($0) }.map {
                Double(used[$0]) / Double(max(1, capacities[$0].cpuMillis))
            }
            samples.append(
                StudySample(
                    seconds: Double(time) / 1e9, meanLoad: Statistics.mean(shares),
                    deviation: Statistics.deviation(shares)))
        }
        return samples
    }

    // MARK: Costs

    private func measureCosts(_ result: inout FairnessResult, tasks count: Int) {
        guard count > 0 else { return }
        let tasks = Double(count)
        result.measures[.messages] = Double(costs.messages) / tasks
        guard costs.claims > 0 else { return }
        result.measures[.bytes] = Double(costs.bytes) / tasks
        result.measures[.lockRequests] = Double(costs.claimRequests) / tasks
        result.measures[.claims] = Double(costs.claims) / tasks
        result.measures[.claimsWasted] = Double(costs.denials) / Double(costs.claims)
        let delays = self.tasks.filter { $0.submitted >= warmUpEnd }
            .compactMap { task in task.claimed.map { Double($0 - task.submitted) / 1e9 } }.sorted()
        if !delays.isEmpty {
            result.measures[.claimDelayP50] = Statistics.quantile(0.5, of: delays)
        }
        guard !claimLatencies.isEmpty else { return }
        result.measures[.claimLatencyMean] = Statistics.mean(claimLatencies)
        result.measures[.claimLatencyP95] = Statistics.quantile(0.95, of: claimLatencies.sorted())
    }
}

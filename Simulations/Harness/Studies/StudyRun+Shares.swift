import Model

/// What users got, what became of tasks whose node was lost, and who starved.
extension StudyRun {
    // MARK: Users

    /// The shares of the users who have submitted something that counts.
    var userShares: [UserShare] {
        var cpu = users.map { _ in 0.0 }
        var bytes = users.map { _ in 0.0 }
        for span in spans {
            let length = Double(min(span.to, lastSubmission) - max(span.from, warmUpEnd))
            guard length > 0 else { continue }
            let task = tasks[span.task]
            cpu[task.user] += length * Double(task.demand.cpuMillis)
            bytes[task.user] += length * Double(task.demand.memoryBytes)
        }
        let window = Double(max(1, lastSubmission - warmUpEnd))
        let cores = capacities.reduce(0.0) { $0 + Double($1.cpuMillis) } * window
        let memory = capacities.reduce(0.0) { $0 + Double($1.memoryBytes) } * window
        var waits: [[Double]] = users.map { _ in [] }
        var slowdowns: [[Double]] = users.map { _ in [] }
        for task in tasks where task.submitted >= warmUpEnd && task.ended != nil {
            waits[task.user].append(Double((task.started ?? 0) - task.submitted) / 1e9)
            slowdowns[task.user].append(StudyRun.slowdown(task))
        }
        return users.indices.filter { !waits[$0].isEmpty }.map {
            UserShare(
                name: users[$0].name, weight: users[$0].weight, cpuShare: cpu[$0] / max(1, cores),
                memoryShare: bytes[$0] / max(1, memory), waitMean: Statistics.mean(waits[$0]),
                slowdownMean: Statistics.mean(slowdowns[$0]))
        }
    }

    func measureUsers(_ result: inout FairnessResult) {
        result.users = userShares
        guard result.users.count > 1 else { return }
        result.measures[.userJain] = Statistics.jain(
            result.users.map { $0.dominantShare / $0.weight })
        let slowdowns = result.users.map(\.slowdownMean)
        if let most = slowdowns.max(), let least = slowdowns.min(), least > 0 {
            result.measures[.userSlowdownRatio] = most / least
        }
    }

    // MARK: Starvation

    /// How many tasks that count waited for more than `factor` times their fair time; `nil` when
    /// fair waits are not known.
    func starvedCount(factor: Double) -> Int? {
        guard fairWaits.count == tasks.count else { return nil }
        let floor = FairnessStudy.serviceFloor.nanoseconds
        return tasks.indices.count { number in
            let task = tasks[number]
            guard task.submitted >= warmUpEnd, task.ended != nil, let started = task.started
            else { return false }
            let fair = Double(fairWaits[number] + max(floor, task.service))
            return Double(started - task.submitted) > factor * fair
        }
    }

    // MARK: Incidents

    /// From the end of each attempt that was cut short to the next start of its task, in seconds.
    var rerunDelays: [Double] {
        var lastEnds: [Int: Int64] = [:]
        var delays: [Double] = []
        for span in spans.sorted(by: { ($0.from, $0.task) < ($1.from, $1.task) }) {
            if let end = lastEnds[span.task] { delays.append(Double(span.from - end) / 1e9) }
            lastEnds[span.task] = span.to
        }
        return delays
    }

    func measureIncidents(_ result: inout FairnessResult) {
        let delays = rerunDelays
        if disturbance != nil || !delays.isEmpty {
            result.measures[.reruns] = Double(delays.count)
        }
        if let longest = delays.max() {
            result.measures[.rerunDelayMean] = Statistics.mean(delays)
            result.measures[.rerunDelayMax] = longest
        }
        if let disturbance {
            result.measures[.convergence] = StudyRun.convergence(
                result.imbalance.filter { $0.seconds * 1e9 >= Double(warmUpEnd) },
                before: Double(disturbance.lowerBound) / 1e9,
                after: Double(disturbance.upperBound) / 1e9)
        }
    }

    /// Over how long a time the imbalance must be back, in seconds.
    static let convergenceWindow = 5.0

    /// How long after `time` the imbalance, on average over the next `convergenceWindow` seconds, is
    /// no more than two deviations above what it was before `calm`; `nil` when it never is, or when
    /// nothing is known of the time before.
    static func convergence(
        _ samples: [StudySample], before calm: Double, after time: Double
    ) -> Double? {
        let before = samples.filter { $0.seconds < calm }.map(\.deviation)
        guard !before.isEmpty else { return nil }
        let bound = Statistics.mean(before) + 2 * Statistics.deviation(before)
        let later = samples.filter { $0.seconds >= time }
        guard let last = later.last else { return nil }
        var end = later.startIndex
        var sum = 0.0
        for (start, sample) in later.enumerated() {
            guard sample.seconds + convergenceWindow <= last.seconds else { return nil }
            while later[end].seconds < sample.seconds + convergenceWindow {
                sum += later[end].deviation
                end += 1
            }
            if sum / Double(end - start) <= bound { return sample.seconds - time }
            sum -= sample.deviation
        }
        return nil
    }
}

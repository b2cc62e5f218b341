import Model

/// What a study wants to know of a run: which program ran where and when, how long claims took.
struct StudyLog {
    private struct Execution {
        var node: Int
        var from: Int64
        /// Since when it has run at the node's present speed.
        var since: Int64
        /// How much it still had to do then, in nanoseconds at speed 1.
        var left: Double
    }

    private var running: [ContainerID: Execution] = [:]
    private var records: [(task: TaskID, node: Int, from: Int64, to: Int64)] = []
    /// When each node last asked for claims; one request is under way at a time.
    private var asked: [Int: Int64] = [:]
    /// When each claim was asked for, and how long its answer took.
    private(set) var claims: [(asked: Int64, latency: Int64)] = []

    mutating func began(_ id: ContainerID, on node: Int, work: Duration, at now: Int64) {
        running[id] = Execution(
            node: node, from: now, since: now, left: Double(work.nanoseconds))
    }

    mutating func ended(_ id: ContainerID, at now: Int64) {
        guard let execution = running.removeValue(forKey: id) else { return }
        records.append((id.task, execution.node, execution.from, now))
    }

    /// A node has changed its speed: what it runs, and how long each still takes.
    mutating func changed(
        _ node: Int, from old: Double, to new: Double, at now: Int64
    ) -> [(id: ContainerID, delay: Int64)] {
        var delays: [(id: ContainerID, delay: Int64)] = []
        for id in running.keys.sorted() {
            guard var execution = running[id], execution.node == node else { continue }
            execution.left = max(0, execution.left - Double(now - execution.since) * old)
            execution.since = now
            running[id] = execution
            delays.append((id, Int64(execution.left / new)))
        }
        return delays
    }

    mutating func asksForClaims(_ node: Int, at now: Int64) { asked[node] = now }

    mutating func claimAnswered(_ node: Int, at now: Int64) {
        guard let since = asked[node] else { return }
        claims.append((since, now - since))
    }

    /// All executions in the order of their ends; what still runs ends at `end`.
    func spans(
        from start: Int64, until end: Int64, number: (TaskID) -> Int?
    ) -> [StudyRun.Span] {
        let unfinished = running.sorted { $0.key < $1.key }.map {
            (task: $0.key.task, node: $0.value.node, from: $0.value.from, to: end)
        }
        return (records + unfinished).compactMap { record in
            guard let task = number(record.task) else { return nil }
            return StudyRun.Span(
                node: record.node, task: task, from: record.from - start, to: record.to - start)
        }
    }
}

extension StudyOutcome {
    /// How many executions a timeline shows at most.
    private static let barsMax = 1_500

    /// What ran where and when in the run with the first seed.
    ///
    /// Colours tell neighbours apart and mean nothing.
    func timeline(_ cells: [Cell], _ window: ClosedRange<Double>) -> Drawing {
        let spans = (cells.first?.records.first?.spans ?? [])
            .filter { $0.end > window.lowerBound && $0.start < window.upperBound }
            .sorted { ($0.start, $0.node, $0.end) < ($1.start, $1.node, $1.end) }
            .prefix(StudyOutcome.barsMax)
        let nodes = Set(spans.map(\.node)).sorted()
        var ends: [[Double]] = nodes.map { _ in [] }
        var bars: [TimelinePlot.Bar] = []
        for span in spans {
            guard let row = nodes.firstIndex(of: span.node) else { continue }
            // The first lane that is free; tasks that overlap lie side by side.
            let lane = ends[row].firstIndex { $0 <= span.start } ?? ends[row].count
            if lane == ends[row].count { ends[row].append(0) }
            ends[row][lane] = span.end
            let times = "\(Format.fixed(span.start, 2)) s to \(Format.fixed(span.end, 2)) s"
            bars.append(
                TimelinePlot.Bar(
                    row: row, lane: lane, start: max(span.start, window.lowerBound),
                    end: min(span.end, window.upperBound), style: bars.count % 4,
                    title: "node \(span.node + 1), \(times)"))
        }
        return TimelinePlot(
            rows: nodes.map { "node \($0 + 1)" }, lanes: ends.map { max(1, $0.count) }, bars: bars
        ).drawing
    }
}

import Cluster
import ControlAPI
import Hummingbird
import Model

/// Which part of a log a request wants.
struct LogFilter: Equatable {
    /// One stream alone; `nil` for both.
    var stream: LogStream?
    /// Nothing older.
    var since: WallTime?
    /// Nothing newer.
    var until: WallTime?

    /// The entries that are wanted, and whether a newer one than wanted was among them.
    func apply(to entries: [LogEntry]) -> (kept: [LogEntry], isPast: Bool) {
        let kept = entries.filter { entry in
            (stream == nil || entry.stream == stream) && since.map { entry.time >= $0 } ?? true
                && until.map { entry.time <= $0 } ?? true
        }
        let isPast = until.map { until in entries.contains { $0.time > until } } ?? false
        return (kept, isPast)
    }
}

/// What a request for a log asks for.
struct LogQuery {
    var follows = false
    var hasTimes = false
    var filter = LogFilter()
    var start = LogStart.at(.beginning)
    var attempt: FencingToken?

    /// Reads the parameters of a request.
    init(_ parameters: Parameters) throws {
        follows = try LogQuery.flag("follow", parameters)
        hasTimes = try LogQuery.flag("timestamps", parameters)
        switch parameters.get("stream") {
        case nil: break
        case "stdout": filter.stream = .stdout
        case "stderr": filter.stream = .stderr
        case .some(let text): throw InvalidInput("stream: \(text) is neither stdout nor stderr")
        }
        filter.since = try parameters.get("since").map { try LogQuery.time($0) }
        filter.until = try parameters.get("until").map { try LogQuery.time($0) }
        if let text = parameters.get("from") {
            guard let from = AttemptCursor(text) else {
                throw InvalidInput("from: \(text) is no cursor of a frame")
            }
            attempt = from.attempt
            start = .at(from.place)
        } else if let text = parameters.get("tail"), text != "all" {
            guard let count = UInt32(text), count <= LogStart.linesMax else {
                throw InvalidInput(
                    "tail: \(text) is no count of lines up to \(LogStart.linesMax), nor all")
            }
            start = .lastLines(count, of: filter.stream)
        }
    }

    private static func flag(_ name: String, _ parameters: Parameters) throws -> Bool {
        switch parameters.get(name) {
        case nil, "false": return false
        case "true": return true
        case .some(let text): throw InvalidInput("\(name): \(text) is neither true nor false")
        }
    }

    private static func time(_ text: some StringProtocol) throws -> WallTime {
        try Quantities.time(String(text), now: NodeDriver.wallTime)
    }
}

import Cluster
import ControlAPI
import Foundation
import Model
import NIOCore

/// Writes looks at a log as frames or plain bytes, and knows when a request has had its fill.
struct LogPage {
    let query: LogQuery
    let isFramed: Bool
    /// Whether output that is newer than wanted was seen.
    private(set) var isPast = false
    private var isCopyTold = false

    static let gapNotice =
        "some output is missing here: it was rotated away before it was read, or never copied"
    static let copyNotice =
        "the node that has the output does not answer; this is the end of it, as other nodes keep it"

    init(query: LogQuery, isFramed: Bool) {
        self.query = query
        self.isFramed = isFramed
    }

    /// How long the next look may wait for output.
    mutating func wait(atMost limit: Duration) -> Duration {
        guard query.follows else { return .zero }
        guard let until = query.filter.until else { return limit }
        let left = until.milliseconds - NodeDriver.wallTime.milliseconds
        return max(.zero, min(limit, .milliseconds(left)))
    }

    /// What is sent of one look.
    mutating func buffer(of look: APIServer.Look) throws -> ByteBuffer {
        let (entries, isNewer) = query.filter.apply(to: look.chunk.entries)
        let isOver = query.filter.until.map { $0 < NodeDriver.wallTime } ?? false
        isPast = isNewer || isOver && look.chunk.entries.isEmpty
        var buffer = ByteBuffer()
        guard isFramed else {
            for entry in entries { buffer.writeBytes(entry.bytes) }
            return buffer
        }
        for notice in notices(of: look) { try write(LogFrame(notice: notice), to: &buffer) }
        let runs = LogPage.runs(of: entries, areTimed: query.hasTimes)
        for (index, run) in runs.enumerated() {
            let isLast = index == runs.count - 1
            try write(
                LogFrame(
                    stream: run.stream == .stderr ? "stderr" : "stdout",
                    time: Quantities.text(run.time), data: Data(run.bytes),
                    cursor: isLast ? look.cursor.text : nil), to: &buffer)
        }
        if let end = look.end {
            try write(LogFrame(end: TaskView(end)), to: &buffer)
        } else if isPast {
            try write(LogFrame(isPast: true), to: &buffer)
        }
        // An empty line now and then shows whether anybody still listens.
        if buffer.readableBytes == 0 { buffer.writeString("\n") }
        return buffer
    }

    private mutating func notices(of look: APIServer.Look) -> [String] {
        var notices: [String] = []
        if look.chunk.isCopy, !isCopyTold { notices.append(LogPage.copyNotice) }
        isCopyTold = look.chunk.isCopy
        if look.hasGap { notices.append(LogPage.gapNotice) }
        return notices
    }

    private func write(_ frame: LogFrame, to buffer: inout ByteBuffer) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        buffer.writeBytes(try encoder.encode(frame))
        buffer.writeString("\n")
    }

    /// Joins neighbours of one stream: a frame for each line would cost more than the line.
    static func runs(of entries: [LogEntry], areTimed: Bool) -> [LogEntry] {
        var runs: [LogEntry] = []
        for entry in entries {
            if let last = runs.last, last.stream == entry.stream,
                !areTimed || last.time == entry.time
            {
                runs[runs.count - 1].bytes += entry.bytes
            } else {
                runs.append(entry)
            }
        }
        return runs
    }
}

import ArgumentParser
import ControlAPI
import Foundation
import NIOHTTP1

/// `client stats`: what running tasks use at this moment.
struct StatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Show what running tasks use, wherever they run.",
        discussion: """
            Without IDs all running tasks are shown, and those whose nodes do not answer are left \
            out. With --follow they are measured again and again, until they have ended; CPU is \
            then what they use of a core between two measurements.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var list: ListOptions
    @Flag(name: [.customShort("f"), .long], help: "Measure again every second.")
    var follow = false
    @Argument(help: "The tasks' IDs, or beginnings or ends that only they have.")
    var ids: [String] = []

    /// How long the pause between two measurements is.
    private static let interval: Duration = .seconds(1)

    /// When a task was measured, for the share of a core since then.
    private struct Mark {
        var time: ContinuousClock.Instant
        var cpuSeconds: Double
    }

    func run() async throws {
        try await reporting {
            let connection = try Connection(common.node)
            var marks: [String: Mark] = [:]
            while true {
                let stats = try await measure(connection)
                show(stats, &marks)
                guard follow, !stats.isEmpty else { return }
                try await Task.sleep(for: StatsCommand.interval)
            }
        }
    }

    /// Measures what was asked for; of several, those that don't run are told about and left out.
    private func measure(_ connection: Connection) async throws -> [StatsView] {
        var wanted = ids
        if ids.isEmpty {
            wanted = try await connection.ask(.GET, APIPaths.tasks, as: [TaskView].self)
                .filter { $0.state == "running" }.map(\.id)
        }
        var stats: [StatsView] = []
        for id in wanted {
            do {
                stats.append(
                    try await connection.ask(
                        .GET, "\(try Connection.task(id))/stats", as: StatsView.self))
            } catch let error as ServerError where ids.count != 1 || follow {
                // A task of the whole list may have ended since.
                if !ids.isEmpty, !follow { Output.error("client: \(error.message)") }
            }
        }
        return stats
    }

    private func show(_ stats: [StatsView], _ marks: inout [String: Mark]) {
        switch list.output {
        case .json:
            if let text = try? json(stats) { Output.line(text) }
        case .name: for task in stats { Output.line(task.id) }
        case .table, .wide:
            var table = Table(
                header: [
                    "ID", "NODE", "CPU TIME", "CPU", "MEMORY", "LIMIT", "PEAK", "READ", "WRITTEN",
                    "PIDS",
                ])
            for task in stats {
                table.rows.append([
                    task.id, task.node ?? "-", UsageText.seconds(task.usage.cpuSeconds),
                    StatsCommand.share(of: task, &marks), UsageText.bytes(task.memory),
                    UsageText.bytes(task.memoryLimit), UsageText.bytes(task.usage.memoryPeak),
                    UsageText.bytes(task.usage.read), UsageText.bytes(task.usage.written),
                    "\(task.pids)",
                ])
            }
            for line in table.lines { Output.line(line) }
        }
    }

    /// What a task used of a core since it was measured last.
    private static func share(of task: StatsView, _ marks: inout [String: Mark]) -> String {
        let now = Mark(time: .now, cpuSeconds: task.usage.cpuSeconds)
        defer { marks[task.id] = now }
        guard let before = marks[task.id] else { return "-" }
        let passed = (now.time - before.time) / .seconds(1)
        guard passed > 0 else { return "-" }
        return String(format: "%.0f%%", (now.cpuSeconds - before.cpuSeconds) / passed * 100)
    }
}

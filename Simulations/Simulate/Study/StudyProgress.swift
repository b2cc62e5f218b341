import Dispatch
import Foundation
import Glibc
import SimulationHarness
import Synchronization

/// How far a study is: a bar on a terminal, a line for each run elsewhere.
final class StudyProgress: @unchecked Sendable {
    private struct State {
        var runs = 0
        var weight = 0.0
    }

    private let isTerminal: Bool
    /// Runs in all, and those that were there at the beginning.
    private let total: Int
    private let known: Int
    private let weight: Double
    private let begin = ContinuousClock.now
    private let state = Mutex(State())
    /// Touched by `init` and `end` alone; all else is constant or behind a lock.
    private let timer: (any DispatchSourceTimer)?

    private static let barWidth = 28

    /// Begins to show.
    ///
    /// - Parameters:
    ///   - total: All runs of the study.
    ///   - trials: Those that are still to be done.
    init(total: Int, trials: [StudyTrial]) {
        isTerminal = isatty(STDERR_FILENO) == 1
        self.total = total
        known = total - trials.count
        weight = trials.reduce(0) { $0 + StudyProgress.weight(of: $1) }
        // A source that was never resumed can't be released.
        timer = isTerminal ? DispatchSource.makeTimerSource(queue: .global()) : nil
        timer?.setEventHandler { [weak self] in self?.draw() }
        timer?.schedule(deadline: .now(), repeating: .seconds(1))
        timer?.resume()
    }

    /// A run has ended.
    func finished(_ trial: StudyTrial, _ words: String) {
        let runs = state.withLock { state in
            state.runs += 1
            state.weight += StudyProgress.weight(of: trial)
            return state.runs
        }
        guard !isTerminal else { return draw() }
        say("\(known + runs)/\(total)  \(words)\(rest.map { "  (\($0) left)" } ?? "")\n")
    }

    /// Shows no more.
    func end() {
        guard isTerminal else { return }
        timer?.cancel()
        say("\r\u{1B}[K")
    }

    private func draw() {
        let runs = known + state.withLock { $0.runs }
        let filled = StudyProgress.barWidth * runs / max(1, total)
        let bar =
            String(repeating: "█", count: filled)
            + String(repeating: "░", count: StudyProgress.barWidth - filled)
        say("\r\u{1B}[K\(bar)  \(runs)/\(total) runs\(rest.map { "  \($0) left" } ?? "")")
    }

    /// The time left, if runs take as long as those before, by what they have to simulate.
    private var rest: String? {
        let done = state.withLock { $0.weight }
        guard done > 0, done < weight else { return nil }
        let seconds = (ContinuousClock.now - begin) / .seconds(1) * (weight - done) / done
        if seconds < 90 { return "about \(Int(seconds.rounded(.up))) s" }
        if seconds < 5_400 { return "about \(Int((seconds / 60).rounded(.up))) min" }
        return "about \(Format.fixed(seconds / 3_600, 1)) h"
    }

    /// About how long a run takes, in no unit: every node of the core hears of every task, and a
    /// reference scheduler has no core.
    private static func weight(of trial: StudyTrial) -> Double {
        let tasks = Double(trial.study.taskCount)
        guard case .policy = trial.study.policy.kind else { return tasks }
        return tasks * Double(trial.study.nodeCount + 1)
    }

    private func say(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}

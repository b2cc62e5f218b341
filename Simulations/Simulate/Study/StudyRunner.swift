import ArgumentParser
import Dispatch
import Foundation
import Glibc
import SimulationHarness

/// Does what a study still lacks, over all cores.
struct StudyRunner {
    let plan: StudyPlan
    let folder: URL
    let jobs: Int

    /// The results file's name in the folder.
    static let fileName = "runs.jsonl"

    /// Runs all that is not in the results file yet.
    ///
    /// - Returns: All runs of the study.
    /// - Throws: A `StudyFileError` when the results file does not take them, a failure with exit
    ///   code 1 when a run broke a promise.
    func run() async throws -> StudyOutcome {
        let behaviour = StudyTrial.behaviour
        let store = try StudyStore(
            path: folder.appendingPathComponent(StudyRunner.fileName).relativePath)
        // A policy may not care for what is varied: such runs are the same, and one is enough.
        var cells: [String: [Int]] = [:]
        var records: [(cell: Int, record: StudyRecord)] = []
        var missing: [StudyTrial] = []
        for trial in try plan.trials() {
            let key = trial.key(behaviour: behaviour)
            if let record = store.records[key] {
                records.append((trial.cell, record))
            } else if cells[key] == nil {
                missing.append(trial)
            }
            cells[key, default: []].append(trial.cell)
        }
        let total = cells.count
        tell(known: total - missing.count, of: total, in: store)
        let interrupt = interruption(of: store, total: total)
        defer { interrupt.cancel() }
        let progress = StudyProgress(total: total, trials: missing)
        var failure: (any Error)?
        var violations: [String] = []
        let firstSeed = plan.firstSeed
        await Crew.perform(missing, jobs: jobs) { trial in
            (trial, trial.run(behaviour: behaviour, withSpans: trial.study.seed == firstSeed))
        } _: { trial, made in
            switch made {
            case .success(let record):
                do { try store.append(record) } catch { failure = failure ?? error }
                records += (cells[record.key] ?? []).map { ($0, record) }
            case .failure(let violation):
                violations.append("\(words(trial)): \(violation)")
            }
            progress.finished(trial, words(trial))
        }
        progress.end()
        if let failure { throw failure }
        for violation in violations { say("VIOLATION in \(violation)\n") }
        guard violations.isEmpty else { throw ExitCode.failure }
        return StudyOutcome(plan: plan, behaviour: behaviour, records: records)
    }

    /// Ctrl-C ends between two lines of the results file, and says how to go on.
    private func interruption(
        of store: StudyStore, total: Int
    ) -> any DispatchSourceSignal {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler {
            store.undisturbed {
                FileHandle.standardError.write(
                    Data(
                        ("\ninterrupted: what was finished of \(total) runs is in \(store.path); "
                            + "the same command goes on from there\n").utf8))
                exit(128 + SIGINT)
            }
        }
        source.resume()
        return source
    }

    private func tell(known: Int, of total: Int, in store: StudyStore) {
        if known > 0 { say("\(known) of \(total) runs are in \(store.path) already\n") }
        let others = store.records.count - known
        guard others > 0 else { return }
        say(
            "\(others) runs in \(store.path) are of other parameters, or of a program that behaved "
                + "differently: they are left out\n")
    }

    private func words(_ trial: StudyTrial) -> String {
        let cell = plan.cells[trial.cell].map(\.words)
        return (cell + ["seed \(trial.study.seed)"]).joined(separator: ", ")
    }

    private func say(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}

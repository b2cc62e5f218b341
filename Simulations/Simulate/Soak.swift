import Foundation
import Glibc
import SimulationHarness

/// Many seeds on all cores, in order of their numbers.
struct Soak {
    var options: ScenarioOptions
    var first: UInt64
    var count: Int
    /// Whether the first failing seed ends it.
    var stopsAtFailure = false
    /// Told now and then how far it is.
    var progress: ((Tally) -> Void)?

    /// How many seeds are handed out at a time: after each lot it may stop, and all below are done.
    private static let lotSize = 64

    /// Runs them all; prints each seed that fails, and how to play it again.
    func run() async throws -> Tally {
        var tally = Tally(firstSeed: first)
        let begin = ContinuousClock.now
        let before = Soak.processorSeconds
        var next = 0
        while next < count, !(stopsAtFailure && !tally.failures.isEmpty) {
            let end = min(count, next + Soak.lotSize)
            let scenarios = try (next..<end).map {
                try options.scenario(first &+ UInt64($0))
            }
            await Crew.perform(scenarios, { World.run($0) }) { report in
                let replay = "simulate run \(options.text)--seed \(report.seed) --trace"
                tally.add(report, replay: replay)
                guard report.violation != nil else { return }
                print(Summary.line(report))
                print(Summary.violation(report, options))
            }
            next = end
            tally.wallSeconds = (ContinuousClock.now - begin) / .seconds(1)
            tally.coreSeconds = Soak.processorSeconds - before
            progress?(tally)
        }
        return tally
    }

    /// The processor time of this process so far.
    private static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

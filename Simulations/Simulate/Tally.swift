import Foundation
import SimulationHarness

/// What many seeds came to.
struct Tally: Encodable {
    /// A seed that broke a promise.
    struct Failure: Encodable {
        var seed: UInt64
        var message: String
        var replay: String
    }

    var firstSeed: UInt64
    var seeds = 0
    var failures: [Failure] = []
    var events = 0
    var starts = 0
    var lapses = 0
    /// Committed entries of the lock that were compared with those of other voters.
    var entriesCompared = 0
    /// Runs in which a minority stayed away while the rest had to go on.
    var minorities = 0
    /// Daemons that stopped since another one had their key.
    var clonesStopped = 0
    /// How many runs had each kind of fault, and how often it happened; kinds that hold all the time
    /// happen once in a run.
    var faults: [String: Count] = [:]
    var virtualSeconds = 0.0
    var wallSeconds = 0.0
    /// Time on processors, of all cores together.
    var coreSeconds = 0.0

    struct Count: Encodable {
        var runs = 0
        var incidents = 0
    }

    /// How much faster than real time one core simulates.
    var speedPerCore: Double { coreSeconds > 0 ? virtualSeconds / coreSeconds : 0 }
    /// How much faster than real time all cores together simulate.
    var speed: Double { wallSeconds > 0 ? virtualSeconds / wallSeconds : 0 }

    init(firstSeed: UInt64) {
        self.firstSeed = firstSeed
    }

    mutating func add(_ report: RunReport, replay: String) {
        seeds += 1
        events += report.counts.events
        starts += report.counts.starts
        lapses += report.counts.lapses
        entriesCompared += report.counts.entries
        minorities += report.counts.minorities
        clonesStopped += report.counts.clonesStopped
        virtualSeconds += report.seconds
        for kind in report.faults.kinds {
            faults[kind.rawValue, default: Count()].runs += 1
            faults[kind.rawValue, default: Count()].incidents +=
                report.counts.incidents[kind] ?? (kind.isSteady ? 1 : 0)
        }
        if let violation = report.violation {
            failures.append(
                Failure(seed: report.seed, message: violation.description, replay: replay))
        }
    }

    /// In words, in a few lines.
    var text: String {
        "\(seeds) seeds, \(events) events, \(failures.count) violations; "
            + "\(Summary.tenths(virtualSeconds)) virtual seconds in "
            + "\(Summary.tenths(wallSeconds)) s, \(Int(speed)) times real time, "
            + "\(Int(speedPerCore)) per core"
    }

    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(Whole(tally: self)) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }

    /// The tally with what follows from it.
    private struct Whole: Encodable {
        var tally: Tally

        private enum Key: String, CodingKey {
            case speed
            case speedPerCore
        }

        func encode(to encoder: any Encoder) throws {
            try tally.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(tally.speed, forKey: .speed)
            try container.encode(tally.speedPerCore, forKey: .speedPerCore)
        }
    }
}

package import Model

/// How a virtual program behaves; follows from its command alone, so that every attempt is alike.
///
/// `sleep SECONDS [CODE]` runs that long and ends with the code (0), or at once when asked to;
/// `stubborn SECONDS` ignores SIGTERM; `exit CODE` ends at once; `hog` runs out of memory; any
/// other command does not exist.
package struct Behaviour: Hashable, Sendable {
    /// How long it runs when nobody ends it.
    package var runTime: Duration = .milliseconds(1)
    /// What it leaves behind then.
    package var exit = ExitStatus(code: 0)
    /// Whether signals other than SIGKILL leave it unmoved.
    package var ignoresSignals = false
    /// Why it can't be started at all.
    package var startFailure: ContainerFailure?

    /// The behaviour of a task's program.
    package init(of spec: TaskSpec) {
        let words = spec.command
        let first = words.count > 1 ? words[1] : nil
        switch (words.first, first) {
        case ("sleep", let seconds?):
            runTime = Behaviour.duration(seconds)
            exit = ExitStatus(code: words.count > 2 ? Int32(words[2]) ?? 0 : 0)
        case ("stubborn", let seconds?):
            runTime = Behaviour.duration(seconds)
            ignoresSignals = true
        case ("exit", let code?):
            exit = ExitStatus(code: Int32(code) ?? 0)
        case ("hog", _):
            runTime = .milliseconds(20)
            exit = ExitStatus(code: 137, wasOutOfMemory: true)
        default:
            startFailure = ContainerFailure(code: 127, message: "there is no such program")
        }
    }

    private static func duration(_ seconds: String) -> Duration {
        .nanoseconds(Int64(min(max(Double(seconds) ?? 0, 0), 1e6) * 1e9))
    }
}

/// How long the steps of virtual containers take.
package struct RuntimeLatency: Sendable {
    /// Making a container.
    package var create: (Duration, Duration) = (.milliseconds(8), .milliseconds(50))
    /// Starting its program.
    package var start: (Duration, Duration) = (.milliseconds(2), .milliseconds(8))
    /// From SIGKILL to the end of the last process.
    package var kill: (Duration, Duration) = (.milliseconds(1), .milliseconds(20))
    /// The share of steps that take up to `slowMax` instead.
    package var slowShare = 0.0
    /// How long a slow step takes at most; longer than a lease of the
    /// profile `local`.
    package var slowMax: Duration = .seconds(6)

    /// Makes the usual latencies.
    package init() {}
}

/// How a task ended, once and for all.
package struct TaskOutcome: Hashable, Sendable {
    /// The four ways to end.
    package enum Kind: UInt8, Sendable, Comparable, CaseIterable {
        /// Its node was lost and its policy forbids another attempt.
        case lost = 1
        /// A user canceled it.
        case canceled = 2
        /// It ended with a code other than zero, by a signal, or could not be started.
        case failed = 3
        /// It ended with exit code zero.
        case complete = 4

        /// Orders by raw value.
        package static func < (left: Kind, right: Kind) -> Bool { left.rawValue < right.rawValue }
    }

    /// How it ended.
    package var kind: Kind
    /// What became of the process, when one ran.
    package var exit: ExitStatus?
    /// Why, in words for a person; at most `reasonSizeBytesMax` bytes of UTF-8.
    package var reason: String {
        didSet { reason = TaskOutcome.cut(reason) }
    }

    /// The longest reason that a record carries.
    package static let reasonSizeBytesMax = 512

    /// Makes an outcome; a longer reason is cut at a character boundary.
    package init(kind: Kind, exit: ExitStatus? = nil, reason: String = "") {
        self.kind = kind
        self.exit = exit
        self.reason = TaskOutcome.cut(reason)
    }

    /// As much of a reason as a record carries, cut between two characters.
    package static func cut(_ reason: String) -> String {
        guard reason.utf8.count > reasonSizeBytesMax else { return reason }
        var kept = reason.prefix(reasonSizeBytesMax)
        while kept.utf8.count > reasonSizeBytesMax { kept.removeLast() }
        return String(kept)
    }
}

/// What a process left behind when it ended.
package struct ExitStatus: Hashable, Sendable {
    /// The exit code as a shell shows it: 0…255, 128 + signal for a killed process.
    package var code: Int32
    /// Whether the kernel killed a process of the task for lack of memory.
    package var wasOutOfMemory: Bool

    /// Makes an exit status.
    package init(code: Int32, wasOutOfMemory: Bool = false) {
        self.code = code
        self.wasOutOfMemory = wasOutOfMemory
    }
}

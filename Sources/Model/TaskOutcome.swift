/// How a task ended, once and for all.
public struct TaskOutcome: Hashable, Sendable {
    /// The four ways to end.
    public enum Kind: UInt8, Sendable, Comparable, CaseIterable {
        /// Its node was lost and its policy forbids another attempt.
        case lost = 1
        /// A user canceled it.
        case canceled = 2
        /// It ended with a code other than zero, by a signal, or could not be started.
        case failed = 3
        /// It ended with exit code zero.
        case complete = 4

        /// Orders by raw value.
        public static func < (left: Kind, right: Kind) -> Bool { left.rawValue < right.rawValue }
    }

    /// How it ended.
    public var kind: Kind
    /// What became of the process, when one ran.
    public var exit: ExitStatus?
    /// Why, in words for a person; at most `reasonSizeBytesMax` bytes of UTF-8.
    public var reason: String {
        didSet { reason = TaskOutcome.cut(reason) }
    }

    /// The longest reason that a record carries.
    public static let reasonSizeBytesMax = 512

    /// Makes an outcome; a longer reason is cut at a character boundary.
    public init(kind: Kind, exit: ExitStatus? = nil, reason: String = "") {
        self.kind = kind
        self.exit = exit
        self.reason = TaskOutcome.cut(reason)
    }

    /// As much of a reason as a record carries, cut between two characters.
    public static func cut(_ reason: String) -> String {
        guard reason.utf8.count > reasonSizeBytesMax else { return reason }
        var kept = reason.prefix(reasonSizeBytesMax)
        while kept.utf8.count > reasonSizeBytesMax { kept.removeLast() }
        return String(kept)
    }
}

/// What a process left behind when it ended.
public struct ExitStatus: Hashable, Sendable {
    /// The exit code as a shell shows it: 0…255, 128 + signal for a killed process.
    public var code: Int32
    /// Whether the kernel killed a process of the task for lack of memory.
    public var wasOutOfMemory: Bool

    /// Makes an exit status.
    public init(code: Int32, wasOutOfMemory: Bool = false) {
        self.code = code
        self.wasOutOfMemory = wasOutOfMemory
    }
}

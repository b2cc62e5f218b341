/// Proof of a claim: strictly larger for each new claim on a task, and never granted twice.
///
/// Source: `Docs/Safety.md`, rule "Token"; Kleppmann, "How to do distributed locking" (2016).
public struct FencingToken: Hashable, Comparable, Sendable, CustomStringConvertible {
    // In this order, what follows a token in memory begins right behind it.
    /// The index of the log entry that granted the claim.
    public var index: UInt64
    /// The lock's generation; rises only when a lost majority is given up for good.
    public var generation: UInt32

    /// Makes a token.
    public init(generation: UInt32, index: UInt64) {
        self.generation = generation
        self.index = index
    }

    /// Smaller than every granted token.
    public static let zero = FencingToken(generation: 0, index: 0)

    /// The form `generation.index`.
    public var description: String { "\(generation).\(index)" }

    /// Orders by generation, then by log index.
    public static func < (left: FencingToken, right: FencingToken) -> Bool {
        (left.generation, left.index) < (right.generation, right.index)
    }
}

/// A mark of the machine and of the data directory in which a node lives.
///
/// A copy of the directory on another machine has another one, though it has the same key. A
/// mark proves nothing: equal ones may be copies, different ones are not the same place.
public struct MachineID: Hashable, Sendable {
    /// A hash of what distinguishes the place; zero when that is not known.
    public var value: UInt64

    /// Makes a mark from a hash.
    public init(_ value: UInt64) {
        self.value = value
    }

    /// Nobody has said where.
    public static let unknown = MachineID(0)
}

/// The identity of a lease that a node holds: 64 random bits, drawn for each session.
public struct SessionID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The random bits; zero is never drawn.
    public var value: UInt64

    /// Makes a session identifier from its bits.
    public init(_ value: UInt64) {
        self.value = value
    }

    /// Sixteen lower-case hexadecimal digits.
    public var description: String {
        Wide128(high: 0, low: value).hexadecimal.suffix(16).lowercased()
    }

    /// Tells whether the left identifier sorts first; the order has no meaning in time.
    public static func < (left: SessionID, right: SessionID) -> Bool { left.value < right.value }
}

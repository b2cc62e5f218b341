/// The birth certificate of a task: which life of which node took it in, as how manieth.
///
/// Dense: the sequence counts submissions only, so that sets of birth dots shrink to intervals.
public struct BirthDot: Hashable, Comparable, Sendable {
    /// The boot ID under which the accepting node ran.
    public var origin: BootID
    /// Counts the submissions that this life of the node accepted, from 1.
    public var sequence: UInt64

    /// Makes a birth dot.
    public init(origin: BootID, sequence: UInt64) {
        self.origin = origin
        self.sequence = sequence
    }

    /// Orders by origin, then by sequence.
    public static func < (left: BirthDot, right: BirthDot) -> Bool {
        (left.origin, left.sequence) < (right.origin, right.sequence)
    }
}

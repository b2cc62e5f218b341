/// The identity of a node: the first 16 bytes of the BLAKE2b-256 hash of its Ed25519 public key.
public struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The identifier's bits.
    public var value: Wide128

    /// Makes an identifier from its bits.
    public init(_ value: Wide128) {
        self.value = value
    }

    /// Stands for "no particular node", for example the receiver of a first join request.
    public static let none = NodeID(Wide128(high: 0, low: 0))

    /// Thirty-two lower-case hexadecimal digits.
    public var description: String { value.hexadecimal }

    /// Tells whether the left identifier's bytes sort first.
    public static func < (left: NodeID, right: NodeID) -> Bool { left.value < right.value }
}

/// One life of a node's process: 64 random bits drawn at each start and never loaded.
public struct BootID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The random bits.
    public var value: UInt64

    /// Makes a boot identifier from its bits.
    public init(_ value: UInt64) {
        self.value = value
    }

    /// Sixteen lower-case hexadecimal digits.
    public var description: String {
        Wide128(high: 0, low: value).hexadecimal.suffix(16).lowercased()
    }

    /// Tells whether the left identifier sorts first; the order has no meaning in time.
    public static func < (left: BootID, right: BootID) -> Bool { left.value < right.value }
}

/// The identity of a cluster: the first 16 bytes of the BLAKE2b-256 hash of its genesis record.
public struct ClusterID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The identifier's bits.
    public var value: Wide128

    /// Makes an identifier from its bits.
    public init(_ value: Wide128) {
        self.value = value
    }

    /// Thirty-two lower-case hexadecimal digits.
    public var description: String { value.hexadecimal }

    /// Tells whether the left identifier's bytes sort first.
    public static func < (left: ClusterID, right: ClusterID) -> Bool { left.value < right.value }
}

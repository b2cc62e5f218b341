/// Where a node listens for gossip: an IP address and a port, the same for UDP and TCP.
///
/// Names are resolved by the surroundings; the core sees addresses only.
public struct PeerAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Four bytes of an IPv4 address or sixteen of an IPv6 address, in network order.
    public var ip: [UInt8]
    /// The port, 1…65535; 0 lets the operating system choose when binding.
    public var port: UInt16

    /// Makes an address; traps when `ip` is neither four nor sixteen bytes long.
    public init(ip: [UInt8], port: UInt16) {
        precondition(ip.count == 4 || ip.count == 16, "an IP address has 4 or 16 bytes")
        self.ip = ip
        self.port = port
    }

    /// Reads `a.b.c.d:port`; `nil` for anything else, host names and IPv6 text included.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let port = UInt16(parts[1]) else { return nil }
        let octets = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let bytes = octets.compactMap { UInt8($0) }
        guard octets.count == 4, bytes.count == 4 else { return nil }
        self.init(ip: bytes, port: port)
    }

    /// Whether this stands for all addresses of a machine.
    public var isWildcard: Bool { ip.allSatisfy { $0 == 0 } }

    /// The host part as text: dotted decimals, or for IPv6 the short form of RFC 5952, section 4.
    public var host: String {
        if ip.count == 4 { return ip.map(String.init).joined(separator: ".") }
        let groups = stride(from: 0, to: 16, by: 2).map { offset in
            UInt16(ip[offset]) << 8 | UInt16(ip[offset + 1])
        }
        // The longest run of zeros, the first one among equals; a single zero is written out.
        var zeros = 0..<0
        var start = 0
        for index in groups.indices {
            guard groups[index] == 0 else {
                start = index + 1
                continue
            }
            if index + 1 - start > max(zeros.count, 1) { zeros = start..<(index + 1) }
        }
        func text(_ part: some Sequence<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard !zeros.isEmpty else { return text(groups) }
        return text(groups[..<zeros.lowerBound]) + "::" + text(groups[zeros.upperBound...])
    }

    /// The form `a.b.c.d:port` or `[groups]:port`.
    public var description: String { ip.count == 4 ? "\(host):\(port)" : "[\(host)]:\(port)" }

    /// Orders by address bytes, then by port.
    public static func < (left: PeerAddress, right: PeerAddress) -> Bool {
        if left.ip == right.ip { return left.port < right.port }
        return left.ip.lexicographicallyPrecedes(right.ip)
    }
}

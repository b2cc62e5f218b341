package import Model
package import NIOCore

extension PeerAddress {
    /// The address of a socket; `nil` for one that is no IP socket.
    package init?(_ socket: SocketAddress) {
        guard let port = socket.port else { return nil }
        let ip: [UInt8]
        switch socket {
        // Family and port come before the address, with IPv6 the flow label too.
        case .v4(let address): ip = withUnsafeBytes(of: address.address) { Array($0[4..<8]) }
        case .v6(let address): ip = withUnsafeBytes(of: address.address) { Array($0[8..<24]) }
        case .unixDomainSocket: return nil
        }
        self.init(ip: PeerAddress.unmapped(ip), port: UInt16(port))
    }

    /// What counts as one source: an IPv4 address, or a network of IPv6, of which whoever has one
    /// address has all; without its port.
    ///
    /// Source: RFC 6177, section 2 (sites get /64 at least).
    package var source: PeerAddress {
        guard ip.count == 16 else { return PeerAddress(ip: ip, port: 0) }
        return PeerAddress(ip: Array(ip.prefix(8)) + Array(repeating: 0, count: 8), port: 0)
    }

    /// What an IPv4 address is preceded by where a socket for both kinds shows or takes it.
    ///
    /// Source: RFC 4291, section 2.5.5.2.
    private static let mappedPrefix: [UInt8] = Array(repeating: 0, count: 10) + [0xFF, 0xFF]

    /// The address for a socket of IPv6.
    var mapped: PeerAddress {
        ip.count == 16 ? self : PeerAddress(ip: PeerAddress.mappedPrefix + ip, port: port)
    }

    private static func unmapped(_ ip: [UInt8]) -> [UInt8] {
        ip.count == 16 && ip.starts(with: mappedPrefix) ? Array(ip.suffix(4)) : ip
    }
}

extension SocketAddress {
    init(_ peer: PeerAddress) throws {
        try self.init(ipAddress: peer.host, port: Int(peer.port))
    }
}

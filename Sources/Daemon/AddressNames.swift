import Glibc
import Model
import NodeIO

/// Addresses as people write them: numbers or names, IPv4 or IPv6 in brackets.
extension DaemonSettings {
    /// Reads HOST:PORT; a name stands for the first of its addresses.
    static func address(_ text: String, option: String) throws -> PeerAddress {
        let (host, port) = try hostAndPort(text, option: option)
        guard let port else { throw StartFailure("\(option) \(text): write HOST:PORT") }
        guard let first = addresses(of: host).first else {
            throw StartFailure("\(option) \(text): the name \(host) can't be resolved")
        }
        return PeerAddress(ip: first, port: port)
    }

    /// All addresses of the seeds that people named, in their order; a name may stand for several.
    ///
    /// - Throws: `StartFailure` when one is malformed, or not a single name can be resolved: a name
    ///   that is unknown today is no reason not to ask the others.
    static func seeds(_ texts: [String]) throws -> [PeerAddress] {
        var found: [PeerAddress] = []
        for text in texts {
            let (host, port) = try hostAndPort(text, option: "join")
            for ip in addresses(of: host) {
                let seed = PeerAddress(ip: ip, port: port ?? portUsual)
                if !found.contains(seed) { found.append(seed) }
            }
        }
        guard !found.isEmpty else {
            throw StartFailure(
                "join \(texts.joined(separator: " ")): no name of a seed can be resolved; check "
                    + "the spelling, or give IP addresses")
        }
        return found
    }

    private static func hostAndPort(
        _ text: String, option: String
    ) throws -> (host: String, port: UInt16?) {
        let malformed = StartFailure("\(option) \(text): write HOST:PORT")
        var host = text[...]
        var port: UInt16?
        let isBareAddress = text.filter { $0 == ":" }.count > 1 && !text.hasPrefix("[")
        guard !isBareAddress else {
            throw StartFailure("\(option) \(text): write [ADDRESS]:PORT for IPv6")
        }
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            guard let number = UInt16(text[text.index(after: colon)...]) else { throw malformed }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, !host.contains(where: \.isWhitespace) else { throw malformed }
        return (String(host), port)
    }

    /// What a name stands for: IPv4 addresses, and IPv6 ones only when there is no other.
    private static func addresses(of host: String) -> [[UInt8]] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [[UInt8]] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ai_next
            guard let address = entry.ai_addr else { continue }
            switch entry.ai_family {
            case AF_INET:
                address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                    found.append(withUnsafeBytes(of: pointer.pointee.sin_addr) { Array($0) })
                }
            case AF_INET6:
                address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                    found.append(withUnsafeBytes(of: pointer.pointee.sin6_addr) { Array($0) })
                }
            default: break
            }
        }
        let old = found.filter { $0.count == 4 }
        return old.isEmpty ? found : old
    }
}

extension DaemonSettings {
    /// The address that packets towards a peer would carry; nothing is sent.
    ///
    /// An address of IPv6 is only given when the node's sockets take such packets, `isIPv6`.
    static func ownAddress(towards peer: PeerAddress?, isIPv6: Bool) -> [UInt8] {
        // Addresses of documentation ranges: the route that leads out names the interface.
        let outside: [[UInt8]] = [
            [192, 0, 2, 1], [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [1],
        ]
        let targets = [peer?.ip].compactMap { $0 } + outside
        for target in targets where target.count == 4 || isIPv6 {
            if let own = source(towards: target) { return own }
        }
        return [127, 0, 0, 1]
    }

    private static func source(towards ip: [UInt8]) -> [UInt8]? {
        // Any port but 0; no packet goes there.
        let port = in_port_t(9).bigEndian
        if ip.count == 4 {
            var target = sockaddr_in()
            target.sin_family = sa_family_t(AF_INET)
            target.sin_port = port
            withUnsafeMutableBytes(of: &target.sin_addr) { $0.copyBytes(from: ip) }
            return source(towards: target, family: AF_INET).map { own in
                withUnsafeBytes(of: own.sin_addr) { Array($0) }
            }
        }
        var target = sockaddr_in6()
        target.sin6_family = sa_family_t(AF_INET6)
        target.sin6_port = port
        withUnsafeMutableBytes(of: &target.sin6_addr) { $0.copyBytes(from: ip) }
        return source(towards: target, family: AF_INET6).map { own in
            withUnsafeBytes(of: own.sin6_addr) { Array($0) }
        }
    }

    private static func source<Address>(towards target: Address, family: Int32) -> Address? {
        let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var own = target
        var size = socklen_t(MemoryLayout<Address>.size)
        let isKnown = withUnsafePointer(to: target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, size) == 0
            }
        }
        guard isKnown else { return nil }
        let isRead = withUnsafeMutablePointer(to: &own) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &size) == 0
            }
        }
        return isRead ? own : nil
    }
}

import Glibc

/// Somebody outside of the cluster who sends forged datagrams, from several addresses.
///
/// One address alone would be turned away before a signature is looked at.
struct MembershipFlood {
    private static let addresses = (1...16).map { "10.231.200.\($0)" }

    /// Takes the addresses, in the benchmark's own namespace.
    static func make() async throws -> MembershipFlood {
        try await Tool.run(
            "/sbin/ip", ["-batch", "-"],
            input: addresses.map { "addr replace \($0)/32 dev lo" })
        return MembershipFlood()
    }

    /// Sends packets that begin like a member's and go on at random, until the time is over.
    ///
    /// - Returns: How many the sockets took.
    func send(_ header: [UInt8], to member: Int, perSecond: Int, seconds: Double) -> Int {
        let sockets = MembershipFlood.addresses.map { MembershipFlood.socket(from: $0) }
        defer { for socket in sockets { close(socket) } }
        var target = MembershipFlood.endpoint(MembershipNetwork.address(of: member), port: 7_946)
        var random = SystemRandomNumberGenerator()
        var bytes = header + [UInt8](repeating: 0, count: 200)
        var sent = 0
        var due = 0
        let begin = ContinuousClock.now
        while true {
            let elapsed = (ContinuousClock.now - begin) / .seconds(1)
            guard elapsed < seconds else { return sent }
            // What is due by now, in small heaps: a timer is not that fine.
            while due < Int(elapsed * Double(perSecond)) {
                for place in stride(from: header.count, to: bytes.count, by: 8) {
                    withUnsafeBytes(of: random.next()) { word in
                        for (offset, byte) in word.enumerated() where place + offset < bytes.count {
                            bytes[place + offset] = byte
                        }
                    }
                }
                let result = withUnsafePointer(to: &target) { address in
                    address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                        sendto(
                            sockets[due % sockets.count], bytes, bytes.count, 0, address,
                            socklen_t(MemoryLayout<sockaddr_in>.size))
                    }
                }
                if result == bytes.count { sent += 1 }
                due += 1
            }
            usleep(1_000)
        }
    }

    private static func socket(from address: String) -> Int32 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var own = endpoint(address, port: 0)
        _ = withUnsafePointer(to: &own) { own in
            own.withMemoryRebound(to: sockaddr.self, capacity: 1) { own in
                bind(socket, own, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return socket
    }

    private static func endpoint(_ address: String, port: UInt16) -> sockaddr_in {
        var endpoint = sockaddr_in()
        endpoint.sin_family = sa_family_t(AF_INET)
        endpoint.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &endpoint.sin_addr)
        return endpoint
    }
}

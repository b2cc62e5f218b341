import Foundation
import Glibc
import Synchronization

/// Hears all datagrams that any program of this machine sends, as somebody on the wire would.
final class DatagramTap: Sendable {
    private let socket: Int32
    private let heard = Mutex<Heard>(Heard())

    private struct Heard {
        var isOver = false
        var datagrams: [Datagram] = []
        var isThreadDone = false
    }

    /// One datagram over IPv4.
    struct Datagram: Sendable {
        var target: String
        var payload: [UInt8]

        func contains(_ text: String) -> Bool {
            Data(payload).range(of: Data(text.utf8)) != nil
        }
    }

    /// Begins to listen, which root alone may.
    init() throws {
        // All protocols (ETH_P_ALL), in the network's order of bytes.
        socket = Glibc.socket(AF_PACKET, Int32(SOCK_DGRAM.rawValue), Int32(UInt16(3).bigEndian))
        guard socket >= 0 else { throw NeverHappened(description: "no packet socket: \(errno)") }
        var size: Int32 = 64 << 20
        setsockopt(
            socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size))
        var patience = timeval(tv_sec: 0, tv_usec: 100_000)
        setsockopt(
            socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        Thread.detachNewThread { [self] in listen() }
    }

    private func listen() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !heard.withLock({ $0.isOver }) {
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 28, let datagram = DatagramTap.read(buffer[..<count]) else { continue }
            heard.withLock { $0.datagrams.append(datagram) }
        }
        close(socket)
        heard.withLock { $0.isThreadDone = true }
    }

    /// Reads an IPv4 packet; `nil` when it holds no datagram.
    private static func read(_ packet: ArraySlice<UInt8>) -> Datagram? {
        let header = Int(packet[0] & 0x0F) * 4
        guard packet[0] >> 4 == 4, packet[9] == IPPROTO_UDP, packet.count >= header + 8 else {
            return nil
        }
        let ip = packet[16..<20].map { String($0) }.joined(separator: ".")
        let port = Int(packet[header + 2]) << 8 | Int(packet[header + 3])
        return Datagram(target: "\(ip):\(port)", payload: Array(packet[(header + 8)...]))
    }

    /// What was heard so far.
    var datagrams: [Datagram] { heard.withLock { $0.datagrams } }

    /// Stops listening.
    func end() async throws {
        heard.withLock { $0.isOver = true }
        try await eventually("the tap has ended") { heard.withLock { $0.isThreadDone } }
    }

    /// Says something on loopback that whoever listens can read.
    static func say(_ text: String) -> String? {
        let speaker = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(speaker) }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        // Nobody listens at the port named discard (RFC 863).
        target.sin_port = UInt16(9).bigEndian
        inet_pton(AF_INET, "127.0.0.1", &target.sin_addr)
        let bytes = Array(text.utf8)
        let sent = withUnsafePointer(to: &target) { target in
            target.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
                sendto(
                    speaker, bytes, bytes.count, 0, target,
                    socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return sent == bytes.count ? "127.0.0.1:9" : nil
    }
}

import CShims
import Foundation
import Glibc

/// A program whose lines are handed over as it writes them.
struct WatchedProcess: Sendable {
    /// The process.
    let id: pid_t

    /// Starts a program; `heed` gets each line of its output and its errors, on a thread of its own.
    static func start(
        _ command: [String], heed: @escaping @Sendable (String) -> Void
    ) throws -> WatchedProcess {
        var ends: [Int32] = [-1, -1]
        guard magpie_pipe(&ends) == 0 else { throw BenchFailure("no pipe can be made") }
        let (reader, writer) = (ends[0], ends[1])
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(writer)
            close(null)
        }
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        var envp: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin")]
        argv.append(nil)
        envp.append(nil)
        defer { for pointer in argv + envp { free(pointer) } }
        var id: pid_t = 0
        let status = magpie_spawn(&id, command[0], argv, envp, nil, null, writer, writer, -1)
        guard status == 0 else {
            close(reader)
            throw BenchFailure("can't start \(command[0]): \(String(cString: strerror(status)))")
        }
        Thread.detachNewThread { follow(reader, heed) }
        return WatchedProcess(id: id)
    }

    private static func follow(_ reader: Int32, _ heed: (String) -> Void) {
        defer { close(reader) }
        var rest: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = read(reader, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest += buffer[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                heed(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeFirst(end + 1)
            }
        }
    }

    func send(_ signal: Int32) { kill(id, signal) }

    /// Waits for its end.
    func reap() {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
    }

    /// What the process has used up so far, and what its network namespace has sent.
    var usage: Usage {
        var usage = Usage()
        // The name, in brackets, may hold spaces.
        let stat = text("stat").split(separator: ")").last?.split(separator: " ") ?? []
        let ticks = stat.dropFirst(11).prefix(2).compactMap { Double($0) }.reduce(0, +)
        usage.processorSeconds = ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        let pages = text("statm").split(separator: " ").dropFirst().first.flatMap { Double($0) }
        usage.residentSizeMiB =
            (pages ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))) / Double(1 << 20)
        usage.packets = counter("net/snmp", "Ip:", "OutRequests")
        usage.datagrams = counter("net/snmp", "Udp:", "OutDatagrams")
        usage.bytes = counter("net/netstat", "IpExt:", "OutOctets")
        return usage
    }

    struct Usage {
        var processorSeconds = 0.0
        var residentSizeMiB = 0.0
        var packets = 0.0
        var datagrams = 0.0
        var bytes = 0.0
    }

    private func text(_ file: String) -> String {
        (try? String(contentsOfFile: "/proc/\(id)/\(file)", encoding: .utf8)) ?? ""
    }

    /// A counter of the kernel's: a line of names, then one of numbers, both begin alike.
    private func counter(_ file: String, _ family: String, _ name: String) -> Double {
        let lines = text(file).split(separator: "\n").filter { $0.hasPrefix(family) }
            .map { $0.split(separator: " ") }
        guard lines.count == 2, let column = lines[0].firstIndex(where: { $0 == name }),
            column < lines[1].count
        else { return 0 }
        return Double(lines[1][column]) ?? 0
    }
}

import Foundation
import Glibc
import Subprocess
import SystemPackage

/// What can be wrong with the network between members.
enum NetworkFault: Sendable {
    /// Packets get lost, each with this probability.
    case loss(Double, datagramsAlone: Bool)
    /// A member hears nothing.
    case deaf(Int)
    /// Nothing that a member says is heard.
    case mute(Int)
    /// Two members can't hear each other.
    case cut(Int, Int)
    /// Members with even numbers can't hear those with odd ones.
    case split
}

/// One network namespace per member, each with a cable to the benchmark's own, which routes.
///
/// All of them, and the processes in them, end with the benchmark (`enter`). Every packet between
/// members passes the benchmark's namespace once, where faults are rules of its packet filter.
struct MembershipNetwork: Sendable {
    /// Whether faults can be imposed: they need `iptables`.
    let canFail: Bool

    private static let gateway = "10.231.255.254"
    private static let nodesMax = 250

    /// Has the benchmark begin anew in namespaces of its own, whose first process it is: whatever
    /// ends it ends all that it has started, and its network is gone with it.
    static func enter(_ arguments: [String]) throws -> Never {
        guard geteuid() == 0 else {
            throw BenchFailure(
                "membership: members live in network namespaces, which need root; run it as root")
        }
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
        let command =
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", own]
            + arguments
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        argv.append(nil)
        execv("/usr/bin/unshare", argv)
        throw BenchFailure("/usr/bin/unshare can't be run: \(String(cString: strerror(errno)))")
    }

    /// Makes the namespaces, within those of `enter`.
    static func make(of count: Int) async throws -> MembershipNetwork {
        guard count <= nodesMax else {
            throw BenchFailure("--nodes \(count): at most \(nodesMax)")
        }
        // Names of namespaces are files; these are seen by nobody else, and vanish.
        try await Tool.run("/usr/bin/mount", ["-t", "tmpfs", "none", "/run"])
        try FileManager.default.createDirectory(
            atPath: "/run/netns", withIntermediateDirectories: true)
        var lines = ["link set lo up"]
        for node in 0..<count {
            lines += [
                "netns add n\(node)",
                "link add p\(node) type veth peer name eth netns n\(node)",
                "addr add \(gateway)/32 dev p\(node)", "link set p\(node) up",
                "route add \(address(of: node))/32 dev p\(node)",
            ]
        }
        try await Tool.run("/sbin/ip", ["-batch", "-"], input: lines)
        for node in 0..<count {
            try await Tool.run(
                "/sbin/ip", ["-n", "n\(node)", "-batch", "-"],
                input: [
                    "link set lo up", "addr add \(address(of: node))/32 dev eth",
                    "link set eth up", "route add default via \(gateway) dev eth onlink",
                ])
        }
        try "1".write(
            toFile: "/proc/sys/net/ipv4/ip_forward", atomically: false, encoding: .utf8)
        let network = MembershipNetwork(
            canFail: FileManager.default.isExecutableFile(atPath: filter))
        if network.canFail { try await network.lift() }
        return network
    }

    private static let filter = "/usr/sbin/iptables-restore"

    /// Even numbers in one half of the network, odd ones in the other.
    static func address(of node: Int) -> String { "10.231.\(node % 2).\(node / 2 + 1)" }

    /// What stands before a command that runs in a member's namespace.
    static func entrance(to node: Int) -> [String] {
        ["/usr/bin/nsenter", "--net=/run/netns/n\(node)"]
    }

    /// From now on these faults are there, and no others.
    func impose(_ faults: NetworkFault...) async throws {
        let rules = faults.flatMap(MembershipNetwork.rules).map { "-A FORWARD \($0) -j DROP" }
        try await Tool.run(
            MembershipNetwork.filter, [],
            input: ["*filter", ":FORWARD ACCEPT [0:0]"] + rules + ["COMMIT"])
    }

    /// From now on the network is sound.
    func lift() async throws { try await impose() }

    private static func rules(of fault: NetworkFault) -> [String] {
        switch fault {
        case .loss(let share, let datagramsAlone):
            [
                (datagramsAlone ? "-p udp " : "")
                    + "-m statistic --mode random --probability \(share)"
            ]
        case .deaf(let node): ["-d \(address(of: node))"]
        case .mute(let node): ["-s \(address(of: node))"]
        case .cut(let one, let other):
            [
                "-s \(address(of: one)) -d \(address(of: other))",
                "-s \(address(of: other)) -d \(address(of: one))",
            ]
        case .split:
            ["-s 10.231.0.0/24 -d 10.231.1.0/24", "-s 10.231.1.0/24 -d 10.231.0.0/24"]
        }
    }
}

/// A program of the system that is run to its end.
enum Tool {
    static func run(_ path: String, _ arguments: [String], input: [String] = []) async throws {
        let result = try await Subprocess.run(
            .path(FilePath(path)), arguments: Arguments(arguments),
            input: .string(input.map { $0 + "\n" }.joined()),
            output: .string(limit: 1 << 16), error: .string(limit: 1 << 16))
        guard result.terminationStatus.isSuccess else {
            throw BenchFailure(
                "\(path) \(arguments.joined(separator: " ")): \(result.standardError)")
        }
    }
}

import AsyncHTTPClient
import ControlAPI
import Foundation
import Glibc
import NIOCore
import NIOHTTP1
import SystemPackage

/// Where one member lives.
struct MemberPlace: Sendable {
    let number: Int
    let directory: String

    var name: String { "n\(number)" }
    var address: String { "\(MembershipNetwork.address(of: number)):7946" }
}

/// How a member comes into its cluster.
enum MemberEntrance: Sendable {
    case founding
    case joining(seed: String, token: String)
    /// Again, after it was killed or had left.
    case returning(seed: String)
}

/// A program that keeps a list of members and writes into its log how it changes.
protocol MembershipProgram: Sendable {
    /// What it is called in the report.
    var name: String { get }

    func command(of place: MemberPlace, _ entrance: MemberEntrance) -> [String]

    /// What newcomers show to be let in.
    func token(of place: MemberPlace) async throws -> String

    /// Has a member say goodbye.
    func leave(_ place: MemberPlace, _ process: WatchedProcess) async throws

    /// What a line of a member's output says; `nil` when it is of no interest.
    func read(_ line: String, of place: MemberPlace) -> MembershipLine?
}

/// Magpie's daemon, without tasks.
struct MagpieMembership: MembershipProgram {
    let name = "magpie"

    func command(of place: MemberPlace, _ entrance: MemberEntrance) -> [String] {
        let verb =
            switch entrance {
            case .founding, .returning: ["start"]
            case .joining(let seed, let token): ["join", seed, "--token", token]
            }
        return [BenchNode.path("daemon").string] + verb + [
            "--name", place.name, "--data-dir", place.directory, "--bind", place.address,
            "--profile", "lan", "--no-tasks", "--log-level", "info",
        ]
    }

    func token(of place: MemberPlace) async throws -> String {
        try await Program.run("daemon", ["token", "--data-dir", place.directory])
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func leave(_ place: MemberPlace, _ process: WatchedProcess) async throws {
        var request = HTTPClientRequest(
            url: BenchNode.url(APIPaths.leave, of: place.directory))
        request.method = .POST
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        guard (200..<300).contains(response.status.code) else {
            throw BenchFailure("leaving was answered \(response.status)")
        }
    }

    func read(_ line: String, of place: MemberPlace) -> MembershipLine? {
        if line.hasPrefix("ready ") { return field("id=", in: line).map { .ready(key: $0) } }
        guard line.hasSuffix("member changed"), let key = field("node=", in: line) else {
            return nil
        }
        switch field("state=", in: line) {
        case "alive": return .changed(key: key, .alive)
        case "suspect": return .changed(key: key, .suspect)
        case "dead": return .changed(key: key, .failed)
        case "left": return .changed(key: key, .left)
        default: return nil
        }
    }

    private func field(_ name: String, in line: String) -> String? {
        line.split(separator: " ").first { $0.hasPrefix(name) }.map {
            String($0.dropFirst(name.count))
        }
    }
}

/// Serf's agent, from Debian's package.
///
/// Source: Serf documentation, "Agent"; what it logs is its delegate's events.
struct SerfMembership: MembershipProgram {
    static let path = "/usr/bin/serf"
    let name = "serf"

    /// `nil` when Serf is not installed.
    init?() {
        guard FileManager.default.isExecutableFile(atPath: SerfMembership.path) else { return nil }
    }

    func command(of place: MemberPlace, _ entrance: MemberEntrance) -> [String] {
        let join =
            switch entrance {
            case .founding: [String]()
            case .joining(let seed, _), .returning(let seed): ["-join=\(seed)"]
            }
        return [SerfMembership.path, "agent", "-node=\(place.name)", "-bind=\(place.address)"] + [
            "-rpc-addr=127.0.0.1:7373", "-profile=lan", "-log-level=info",
        ] + join
    }

    func token(of place: MemberPlace) async throws -> String { "" }

    func leave(_ place: MemberPlace, _ process: WatchedProcess) async throws {
        process.send(SIGINT)
    }

    func read(_ line: String, of place: MemberPlace) -> MembershipLine? {
        if line.contains("Serf agent running") { return .ready(key: place.name) }
        guard let mark = line.range(of: "serf: EventMember") else { return nil }
        let words = line[mark.upperBound...].split(separator: " ")
        guard words.count >= 2 else { return nil }
        let key = String(words[1])
        switch words[0] {
        case "Join:": return .changed(key: key, .alive)
        case "Failed:": return .changed(key: key, .failed)
        case "Leave:": return .changed(key: key, .left)
        default: return nil
        }
    }
}

import Foundation
import Model
import Testing

@testable import Raft

/// Directed schedules as text: each command is followed by what it leaves behind.
///
/// `MAGPIE_REWRITE=1 swift test --filter Transcript` writes the files anew; review them as a diff.
@Suite struct TranscriptTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Transcripts")

    static var names: [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return all.filter { $0.hasSuffix(".txt") }.sorted()
    }

    @Test(arguments: names)
    func `a schedule plays as it is written`(name: String) throws {
        let file = TranscriptTests.folder.appendingPathComponent(name)
        let text = try String(contentsOf: file, encoding: .utf8)
        let (played, violations) = try Transcript.play(text, mutation: nil)
        #expect(violations.isEmpty)
        if ProcessInfo.processInfo.environment["MAGPIE_REWRITE"] == "1" {
            try played.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(played == text)
        }
    }

    @Test func `figure 8 catches a leader that commits old terms by counting`() throws {
        let file = TranscriptTests.folder.appendingPathComponent("figure-8.txt")
        let text = try String(contentsOf: file, encoding: .utf8)
        let (_, violations) = try Transcript.play(text, mutation: .commitsOldTerms)
        #expect(!violations.isEmpty)
    }

    @Test func `the schedule of reads catches a leader that does not ask before it answers`()
        throws
    {
        let file = TranscriptTests.folder.appendingPathComponent("read-index.txt")
        let text = try String(contentsOf: file, encoding: .utf8)
        let (played, _) = try Transcript.play(text, mutation: .readsUnconfirmed)
        #expect(played.contains("read 8 ready"))
        #expect(!text.contains("read 8 ready"))
    }

    @Test func `the schedule of overlapping changes catches a leader that allows them`() throws {
        let file = TranscriptTests.folder.appendingPathComponent("overlapping-change.txt")
        let text = try String(contentsOf: file, encoding: .utf8)
        let (played, _) = try Transcript.play(text, mutation: .overlapsChanges)
        #expect(played != text)
    }
}

/// Plays a transcript: lines of commands, each with its outcome below, until an empty line.
enum Transcript {
    struct Unknown: Error, CustomStringConvertible {
        let description: String
    }

    static func play(
        _ text: String, mutation: RaftMutation?
    ) throws -> (text: String, violations: [String]) {
        let bench = RaftBench(seed: 1, mutation: mutation)
        var played: [String] = []
        var isOutcome = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if line.isEmpty {
                isOutcome = false
                played.append(line)
            } else if line.hasPrefix("#") {
                played.append(line)
            } else if !isOutcome {
                isOutcome = true
                played.append(line)
                played += try perform(line.split(separator: " ").map(String.init), bench)
            }
        }
        return (played.joined(separator: "\n"), bench.violations)
    }

    private static func perform(_ words: [String], _ bench: RaftBench) throws -> [String] {
        let numbers = words.dropFirst().compactMap { Int($0) }
        switch words.first {
        case "cluster":
            bench.found(Array(1...numbers[0]))
        case "campaign":
            // Long after anybody heard from a leader: node, then those that may answer it.
            bench.now = bench.now + .seconds(10)
            bench.wires = []
            bench.step(numbers[0], .deadlineReached)
            exchange(Set(numbers), bench)
        case "elect":
            // The same, but only the votes travel; what the winner sends then waits.
            for _ in 0..<3 where bench.engines[numbers[0]]?.role != .leader {
                bench.now = bench.now + .seconds(10)
                bench.wires = []
                bench.step(numbers[0], .deadlineReached)
                exchange(Set(numbers), bench) { $0.isVote }
            }
        case "propose":
            let size = words.count > 3 ? Int(words[3]) ?? 1 : 1
            let payload = [UInt8](repeating: words[2].utf8.first ?? 0, count: size)
            bench.step(numbers[0], .propose(payload, context: 1))
        case "exchange":
            exchange(Set(numbers), bench)
        case "heartbeat":
            bench.tick(numbers[0])
        case "deliver":
            // From, to, how many messages.
            for _ in 0..<numbers[2] {
                guard
                    let index = bench.wires.firstIndex(where: {
                        $0.from == numbers[0] && $0.to == numbers[1]
                    })
                else { break }
                bench.deliver(index)
            }
        case "drop":
            bench.wires = []
        case "crash":
            bench.crash(numbers[0])
        case "restart":
            bench.start(numbers[0])
        case "read":
            bench.step(numbers[0], .readIndex(context: UInt64(numbers[1])))
        case "compact":
            bench.step(numbers[0], .compact(upTo: UInt64(numbers[1]), snapshot: [1, 2, 3]))
        case "members":
            bench.step(
                numbers[0], .proposeMembers(voters: numbers.dropFirst().map(RaftBench.id)))
        case "start":
            bench.start(numbers[0])
        default:
            throw Unknown(description: "no command: \(words)")
        }
        return state(bench)
    }

    /// Delivers everything among these nodes until they are quiet.
    private static func exchange(
        _ nodes: Set<Int>, _ bench: RaftBench,
        where isWanted: (RaftMessage.Content) -> Bool = { _ in true }
    ) {
        var steps = 0
        while steps < 1_000,
            let index = bench.wires.firstIndex(where: {
                nodes.contains($0.from) && nodes.contains($0.to) && isWanted($0.message.content)
            })
        {
            bench.deliver(index)
            steps += 1
        }
    }

    private static func state(_ bench: RaftBench) -> [String] {
        var lines = bench.engines.keys.sorted().compactMap { number in
            bench.engines[number].map { line(number, $0) }
        }
        lines += bench.reads.map { "  read \($0.context) ready at \($0.index)" }
        lines += bench.droppedReads.map { "  read \($0) dropped" }
        return lines
    }

    private static func line(_ number: Int, _ engine: RaftEngine) -> String {
        var log = engine.firstIndex > 1 ? ["(\(engine.firstIndex - 1))"] : []
        if engine.lastIndex >= engine.firstIndex {
            log += (engine.firstIndex...engine.lastIndex).compactMap { index in
                engine.log.entry(at: index).map { "\($0.term)\(symbol($0))" }
            }
        }
        let members = engine.members
        var voters = members.voters.map { "\(RaftBench.number($0))" }.joined()
        if members.isJoint {
            voters += "&" + members.outgoingVoters.map { "\(RaftBench.number($0))" }.joined()
        }
        if !members.learners.isEmpty {
            voters += "+" + members.learners.map { "\(RaftBench.number($0))" }.joined()
        }
        return "  \(number) \(engine.role) term \(engine.term) commit \(engine.commitIndex) "
            + "voters \(voters) log \(log.joined(separator: " "))"
    }

    private static func symbol(_ entry: RaftEntry) -> String {
        switch entry.content {
        case .noop: "-"
        case .members: "m"
        case .command(let bytes): String(decoding: bytes.prefix(1), as: UTF8.self)
        }
    }
}

extension RaftMessage.Content {
    fileprivate var isVote: Bool {
        switch self {
        case .preVoteRequest, .preVoteReply, .voteRequest, .voteReply: true
        default: false
        }
    }
}

import Model

@testable import Raft

/// Plays a transcript: lines of commands, each with what it changed below, until an empty line.
///
/// Only nodes whose line changed are shown. Nodes are numbers; `perform…` has the commands.
final class Transcript {
    struct Unknown: Error, CustomStringConvertible {
        let description: String
    }

    private let bench: RaftBench
    private var shown: [Int: String] = [:]
    private var kept: [RaftBench.Wire] = []
    private var noticesShown = 0
    private var violationsShown = 0

    private init(_ mutation: RaftMutation?) {
        bench = RaftBench(seed: 1, mutation: mutation)
    }

    static func play(
        _ text: String, mutation: RaftMutation?
    ) throws -> (text: String, violations: [String]) {
        let transcript = Transcript(mutation)
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
                played += try transcript.perform(line.split(separator: " ").map(String.init))
            }
        }
        return (played.joined(separator: "\n"), transcript.bench.violations)
    }

    private func perform(_ words: [String]) throws -> [String] {
        let numbers = words.dropFirst().compactMap { Int($0) }
        guard let verb = words.first else { return [] }
        if verb == "under-way" { return underWay(numbers) }
        let isKnown =
            performSetting(verb, words, numbers) || performTime(verb, words, numbers)
            || performNetwork(verb, numbers) || performRequest(verb, words, numbers)
        guard isKnown else { throw Unknown(description: "no command: \(words)") }
        return changes()
    }

    // MARK: Commands

    private func performSetting(_ verb: String, _ words: [String], _ numbers: [Int]) -> Bool {
        switch verb {
        case "limit":
            switch words[1] {
            case "batch": bench.configuration.batchCountMax = numbers[0]
            case "inflight": bench.configuration.inflightMax = numbers[0]
            case "chunk": bench.configuration.chunkSizeBytes = numbers[0]
            case "margin": bench.configuration.catchUpMargin = UInt64(numbers[0])
            case "voters": bench.givenVoters = numbers[0]
            default: return false
            }
        case "cluster": bench.found(Array(1...numbers[0]))
        case "given":
            // given N term T log T T T: the first entry names the voters, the others are commands.
            let terms = numbers.dropFirst(2).map(UInt64.init)
            bench.give(numbers[0], term: UInt64(numbers[1]), terms: terms)
        case "start", "restart": bench.start(numbers[0])
        case "crash": bench.crash(numbers[0])
        case "disk":
            if words[2] == "slow" {
                bench.slowDisks.insert(numbers[0])
            } else {
                bench.slowDisks.remove(numbers[0])
                while bench.persistOne(numbers[0]) {}
            }
        default: return false
        }
        return true
    }

    private func performTime(_ verb: String, _ words: [String], _ numbers: [Int]) -> Bool {
        switch verb {
        case "campaign":
            silence(numbers[0])
            bench.exchange(Set(numbers))
        case "elect":
            // What the winner sends then waits.
            for _ in 0..<3 where bench.engines[numbers[0]]?.role != .leader {
                silence(numbers[0])
                bench.exchange(Set(numbers)) { $0.message.content.isVote }
            }
        case "wait": bench.now = bench.now + .milliseconds(numbers[0])
        case "timeout", "heartbeat": bench.tick(numbers[0])
        default: return false
        }
        return true
    }

    /// Nobody has heard from a leader for long, and this node campaigns.
    private func silence(_ number: Int) {
        bench.now = bench.now + .seconds(10)
        bench.wires = []
        bench.step(number, .deadlineReached)
    }

    private func performNetwork(_ verb: String, _ numbers: [Int]) -> Bool {
        switch verb {
        case "exchange": bench.exchange(Set(numbers))
        case "deliver":
            for _ in 0..<(numbers.count > 2 ? numbers[2] : 1) {
                let index = bench.wires.firstIndex {
                    $0.from == numbers[0] && $0.to == numbers[1]
                }
                if let index { bench.deliver(index) }
            }
        case "drop":
            bench.wires.removeAll {
                numbers.isEmpty || $0.from == numbers[0] && $0.to == numbers[1]
            }
        case "keep": kept = bench.wires.filter { $0.from == numbers[0] && $0.to == numbers[1] }
        case "replay": bench.wires += kept
        default: return false
        }
        return true
    }

    private func performRequest(_ verb: String, _ words: [String], _ numbers: [Int]) -> Bool {
        switch verb {
        case "propose":
            for word in words.dropFirst(2) {
                bench.step(numbers[0], .propose(Array(word.utf8), context: 1))
            }
        case "read": bench.step(numbers[0], .readIndex(context: UInt64(numbers[1])))
        case "compact":
            let size = numbers.count > 2 ? numbers[2] : 8
            bench.compact(numbers[0], upTo: UInt64(numbers[1]), sizeBytes: size)
        case "members":
            let voters = numbers.dropFirst().map(RaftBench.id)
            bench.step(numbers[0], .proposeMembers(voters: voters))
        case "transfer":
            bench.step(numbers[0], .transferLeadership(RaftBench.id(numbers[1])))
        default: return false
        }
        return true
    }

    // MARK: Outcomes

    private func changes() -> [String] {
        var lines: [String] = []
        for number in Set(shown.keys).union(bench.engines.keys).sorted() {
            let line =
                bench.engines[number].map { Transcript.line(number, $0) } ?? "  \(number) down"
            if shown[number] != line { lines.append(line) }
            shown[number] = line
        }
        lines += bench.notices.dropFirst(noticesShown).map { "  \($0)" }
        lines += bench.violations.dropFirst(violationsShown).map { "  VIOLATION: \($0)" }
        noticesShown = bench.notices.count
        violationsShown = bench.violations.count
        return lines
    }

    private func underWay(_ numbers: [Int]) -> [String] {
        let wires = bench.wires.filter {
            numbers.isEmpty || $0.from == numbers[0] && $0.to == numbers[1]
        }
        guard !wires.isEmpty else { return ["  nothing"] }
        return wires.map {
            "  \($0.from)>\($0.to) term \($0.message.term) \($0.message.content.text)"
        }
    }

    private static func line(_ number: Int, _ engine: RaftEngine) -> String {
        var log = engine.firstIndex > 1 ? ["…\(engine.firstIndex - 1)"] : []
        if engine.lastIndex >= engine.firstIndex {
            log += (engine.firstIndex...engine.lastIndex).compactMap { index in
                engine.log.entry(at: index)?.text
            }
        }
        var words = [
            "\(engine.role)", "term \(engine.term)", "commit \(engine.commitIndex)",
            "voters \(engine.members.text)",
        ]
        if !log.isEmpty { words.append("log \(log.joined(separator: " "))") }
        return "  \(number) " + words.joined(separator: " ")
    }
}

extension RaftMembers {
    fileprivate var text: String {
        func numbers(_ nodes: [NodeID]) -> String {
            nodes.map { "\(RaftBench.number($0))" }.joined()
        }
        var text = voters.isEmpty ? "none" : numbers(voters)
        if isJoint { text += "&" + numbers(outgoingVoters) }
        if !learners.isEmpty { text += "+" + numbers(learners) }
        return text
    }
}

extension RaftEntry {
    /// The term, then `-` for a leader's first entry, `m` for members, or the command.
    fileprivate var text: String {
        switch content {
        case .noop: "\(term)-"
        case .members: "\(term)m"
        case .command(let bytes): "\(term)" + String(decoding: bytes.prefix(8), as: UTF8.self)
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

    fileprivate var text: String {
        switch self {
        case .preVoteRequest(let index, let term):
            return "would you vote for me, log ends \(index)/\(term)"
        case .preVoteReply(let isGranted): return isGranted ? "would vote" : "would not vote"
        case .voteRequest(let index, let term, let isTransfer):
            return "vote for me, log ends \(index)/\(term)" + (isTransfer ? ", handed over" : "")
        case .voteReply(let isGranted): return isGranted ? "vote" : "no vote"
        case .append(let index, let term, let entries, let commit, _):
            let texts = entries.map { $0.text }.joined(separator: " ")
            return "append after \(index)/\(term) [\(texts)] commit \(commit)"
        case .appendReply(let matchIndex, _): return "on disk up to \(matchIndex)"
        case .appendReject(let index, let hint, _):
            return "no match at \(index), perhaps at \(hint)"
        case .snapshot(let index, let term, _, let offset, let total, let chunk, _):
            return "snapshot \(index)/\(term), \(chunk.count) bytes from \(offset) of \(total)"
        case .snapshotReply(let index, let received, _):
            return "snapshot \(index) up to byte \(received)"
        case .timeoutNow: return "campaign at once"
        }
    }
}

import CRDT
import Gossip
import Lock
import Model

/// Reads packets between nodes for people: traces and debugging; nothing is decided by it.
package enum PacketInspection {
    /// What a packet says, as far as it can be read; signatures are not checked.
    package static func describe(_ bytes: [UInt8]) -> String {
        let (text, payload) = GossipInspection.describe(bytes)
        guard let payload else { return text }
        guard let message = try? PeerMessage(decoding: payload) else { return "unreadable" }
        switch message {
        case .table(let bytes): return "table \(describe(table: Array(bytes)))"
        case .lock(let bytes): return "lock \(LockInspection.describe(Array(bytes)))"
        case .logQuery(let query): return "log query of \(query.container)"
        case .logAnswer(let read, _): return "log answer \(read.value)"
        case .signal(let container, let signal): return "signal \(signal) to \(container)"
        case .gone(let node, let token): return "gone \(node) up to \(token)"
        }
    }

    private static func describe(table bytes: [UInt8]) -> String {
        guard let message = try? TableMessage(decoding: bytes) else { return "unreadable" }
        switch message {
        case .push(let ack, let hops, let deltas):
            return "push ack \(ack) hops \(hops) [\(list(deltas))]"
        case .records(let deltas, let voids):
            return "records [\(list(deltas))], \(voids.count) voids"
        case .vector(let context, let wantsReply):
            return "vector\(wantsReply ? "?" : "") of \(context.intervalCount) intervals"
        case .stored(let ack): return "stored \(ack)"
        case .digest(let context, _): return "digest \(String(context, radix: 16))"
        case .same: return "same"
        case .collected(let births): return "collected \(births.intervalCount) intervals"
        }
    }

    private static func list(_ deltas: [TaskDelta]) -> String {
        deltas.map { delta in
            var parts = ["\(delta.id)"]
            if delta.submission != nil { parts.append("submission") }
            if delta.isCancelRequested { parts.append("cancel") }
            parts += delta.rows.map { "\($0.token) \($0.phase)" }
            if let close = delta.close { parts.append("closed \(close.outcome.kind)") }
            return parts.joined(separator: " ")
        }.joined(separator: "; ")
    }
}

import CRDT
import Gossip
import Lock
package import Model

/// Reads packets between nodes for people: traces and debugging; nothing is decided by it.
package enum PacketInspection {
    /// What a packet says, as far as it can be read; signatures are not checked.
    package static func describe(_ bytes: [UInt8], via channel: Channel) -> String {
        let (text, payload) = GossipInspection.describe(bytes, via: channel)
        guard let payload else { return text }
        guard let message = try? PeerMessage(decoding: payload) else { return "unreadable" }
        switch message {
        case .table(let bytes): return "table \(describe(table: Array(bytes)))"
        case .lock(let bytes): return "lock \(LockInspection.describe(Array(bytes)))"
        case .image(let bytes): return "image, \(bytes.count) bytes"
        case .logQuery(let query): return "log query of \(query.container)"
        case .logAnswer(let read, _): return "log answer \(read.value)"
        case .logCopy(let id, let chunk):
            return "log copy of \(id) to \(chunk.next.segment)-\(chunk.next.offset)"
        case .logKept(let id, _): return "log kept \(id)"
        case .copyQuery(_, let id, _): return "copy query of \(id)"
        case .usageQuery(_, let container): return "usage query of \(container)"
        case .usageAnswer(let id, _): return "usage answer \(id.value)"
        case .callQuery(_, let container, let number, _): return "call \(number) to \(container)"
        case .callAnswer(let id, _): return "call answer \(id.value)"
        case .signal(let container, let signal): return "signal \(signal) to \(container)"
        case .gone(let node, let token): return "gone \(node) up to \(token)"
        }
    }

    /// How many deltas of tasks a message of the table carries.
    package static func deltaCount(table bytes: [UInt8]) -> Int {
        switch try? TableMessage(decoding: bytes) {
        case .push(_, _, let deltas): deltas.readable.count
        case .records(let deltas, _, _): deltas.readable.count
        default: 0
        }
    }

    private static func describe(table bytes: [UInt8]) -> String {
        guard let message = try? TableMessage(decoding: bytes) else { return "unreadable" }
        switch message {
        case .push(let ack, let reach, let deltas):
            return "push ack \(ack) \(describe(reach)) [\(list(deltas.readable))]"
        case .records(let deltas, let voids, let isMore):
            return "records [\(list(deltas.readable))], \(voids.count) voids"
                + (isMore ? " and more" : "")
        case .context(let page, let wantsReply):
            return "context\(wantsReply ? "?" : "") of \(page.set.intervalCount) intervals"
        case .stored(let ack): return "stored \(ack)"
        case .digest(let digest): return "digest \(String(digest.context, radix: 16))"
        case .same: return "same"
        case .buckets: return "buckets"
        case .collected(let page, let wantsReply):
            return "collected\(wantsReply ? "?" : "") \(page.set.intervalCount) intervals"
        case .lacking(let ids): return "lacking \(ids.count)"
        case .ranges(let ranges): return "\(ranges.count) ranges"
        }
    }

    private static func describe(_ reach: PushReach) -> String {
        switch reach {
        case .none: "to keep"
        case .rumour(let hops): "hops \(hops)"
        case .span(let span): "to tell \(span.lower) to \(span.upper)"
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

import Cluster
import Model

/// The hash of everything that happened, and the last of it for people to read.
struct Trace {
    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    var keepsTrail = false
    private(set) var trail: [String] = []

    /// How many lines are kept.
    static let trailCountMax = 20_000

    mutating func note(_ event: NodeEvent, _ machine: Int, _ time: Int64) {
        mix(UInt64(bitPattern: time))
        mix(UInt64(machine))
        if case .received(let bytes, _, _) = event { mix(bytes) }
        if case .persisted(let ticket) = event { mix(ticket.value) }
        if keepsTrail { keep("\(Double(time) / 1e9) \(machine + 1) ◀ \(Trace.short(event))") }
    }

    mutating func note(_ effect: NodeEffect, _ machine: Int, _ time: Int64) {
        switch effect {
        case .send(let bytes, let address, _):
            mix(UInt64(address.port))
            mix(bytes)
        case .persist(_, let ticket): mix(ticket.value)
        case .container(let id, _): mix(id.task.value.low ^ id.token.index)
        case .readLog, .reply, .observe: mix(7)
        }
        if keepsTrail {
            if case .send = effect { return }
            if case .persist = effect { return }
            keep("\(Double(time) / 1e9) \(machine + 1)   ▶ \(Trace.short(effect))")
        }
    }

    private mutating func keep(_ line: String) {
        if trail.count >= Trace.trailCountMax { trail.removeFirst(Trace.trailCountMax / 2) }
        trail.append(line)
    }

    private mutating func mix(_ bytes: [UInt8]) {
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    }

    private mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01B3
    }

    private static func short(_ value: Any) -> String {
        String(String(describing: value).prefix(200))
    }
}

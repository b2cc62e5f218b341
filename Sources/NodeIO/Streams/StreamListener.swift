import Gossip
import Model
import NIOCore

/// The connections that others have opened: from them this node hears, and says nothing.
///
/// Everything happens on the transport's event loop.
final class StreamListener: @unchecked Sendable {
    private struct Incoming {
        let channel: any NIOCore.Channel
        let source: PeerAddress
        /// The key that the handshake has proven, by the ID that it makes.
        var key: NodeID?
        var lastHeard: NIODeadline
    }

    private let limits: StreamLimits
    private let hooks: TransportHooks
    private var ledger: HandshakeLedger
    private var connections: [HandshakeLedger.ID: Incoming] = [:]
    /// The connections of each key, the oldest first.
    private var ofKey: [NodeID: [HandshakeLedger.ID]] = [:]

    init(limits: StreamLimits, hooks: TransportHooks) {
        self.limits = limits
        self.hooks = hooks
        ledger = HandshakeLedger(limits, at: StreamListener.now)
    }

    private static var now: Instant {
        Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds))
    }

    /// How many connections are open, handshakes included.
    var count: Int { connections.count }
    /// How many handshakes are under way.
    var handshakeCount: Int { ledger.handshakeCount }

    // MARK: Events

    /// Somebody has connected; closes the connection when there is no place for it.
    func accept(
        _ channel: any NIOCore.Channel, as identity: StreamIdentity
    ) -> EventLoopFuture<Void> {
        let source =
            channel.remoteAddress.flatMap(PeerAddress.init)
            ?? PeerAddress(ip: [0, 0, 0, 0], port: 0)
        guard connections.count < limits.incomingMax else {
            hooks.refused(.tooManyConnections)
            return channel.close()
        }
        guard let (id, displaced) = ledger.begin(from: source, at: StreamListener.now) else {
            hooks.refused(.tooManyHandshakes)
            return channel.close()
        }
        connections[id] = Incoming(channel: channel, source: source, lastHeard: .now())
        if let displaced { close(displaced, for: .displaced) }
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in ended(id) }
        return channel.eventLoop.makeCompletedFuture {
            try addHandlers(to: channel, id, identity)
        }
    }

    private func addHandlers(
        to channel: any NIOCore.Channel, _ id: HandshakeLedger.ID, _ identity: StreamIdentity
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(RecordGate { [self] in hooks.refused(.plaintext) })
        try pipeline.addHandler(
            identity.listener { [self] in connections[id]?.key = $0 })
        try pipeline.addHandler(
            HandshakeWatch(limit: limits.handshakeTime) { [self] refusal in
                shaken(id, refusal)
            })
        try pipeline.addHandler(
            FrameReader(
                sizeBytesMax: { [self] in frameSizeBytesMax(on: id) },
                // What comes after an end that was counted is not counted again.
                refuse: { [self] in if connections[id] != nil { hooks.refused($0) } },
                deliver: { [self] in heard($0, on: id) }))
    }

    /// A handshake has ended.
    private func shaken(_ id: HandshakeLedger.ID, _ refusal: StreamRefusal?) {
        guard refusal == nil, let key = connections[id]?.key else {
            ledger.end(id)
            // Who was closed on purpose was counted then.
            if let refusal, connections[id] != nil { hooks.refused(refusal) }
            return
        }
        ofKey[key, default: []].append(id)
        if let own = ofKey[key], own.count > limits.incomingOfOneMax {
            close(own[0], for: .tooManyConnections)
        }
        let end = StreamListener.now + .nanoseconds(limits.strangerTime.nanoseconds)
        let displaced = ledger.complete(
            id, isMember: hooks.standing(key).isMember, until: end)
        if let displaced { close(displaced, for: .strangerEnded) }
    }

    private func frameSizeBytesMax(on id: HandshakeLedger.ID) -> Int {
        connections[id]?.key.map { hooks.standing($0).frameSizeBytesMax } ?? 0
    }

    private func heard(_ bytes: [UInt8], on id: HandshakeLedger.ID) {
        guard let connection = connections[id], let key = connection.key else { return }
        connections[id]?.lastHeard = .now()
        guard hooks.standing(key).maySay(bytes, under: key) else {
            return hooks.refused(.foreignFrame)
        }
        hooks.receive(bytes, connection.source, .stream)
    }

    // MARK: Ends

    /// Ends what has had its time: strangers that are strangers still, and what is silent.
    func sweep() {
        for id in ledger.overdue(at: StreamListener.now) {
            if let key = connections[id]?.key, hooks.standing(key).isMember {
                ledger.promote(id)
            } else {
                close(id, for: .strangerEnded)
            }
        }
        let silent = connections.filter { $0.value.lastHeard + limits.silenceTime < .now() }
        for id in silent.keys.sorted() { close(id, for: .silent) }
    }

    func closeAll() async {
        for channel in connections.values.map(\.channel) { try? await channel.close() }
    }

    private func close(_ id: HandshakeLedger.ID, for refusal: StreamRefusal) {
        guard let channel = connections[id]?.channel else { return ledger.end(id) }
        hooks.refused(refusal)
        ended(id)
        channel.close(promise: nil)
    }

    private func ended(_ id: HandshakeLedger.ID) {
        ledger.end(id)
        guard let key = connections.removeValue(forKey: id)?.key else { return }
        ofKey[key]?.removeAll { $0 == id }
        if ofKey[key]?.isEmpty == true { ofKey[key] = nil }
    }
}

import Model

/// Pings on behalf of others. Source: SWIM §3.1; the nacks are Lifeguard's, §IV.A.
///
/// The target seals its answer for the origin, and the helper sends it on as it is: a helper can
/// neither vouch for the dead nor kill the living.
extension Membership {
    /// A member could not bring home a ping.
    mutating func pingForOther(
        _ target: NodeID, number: UInt64, origin: NodeID, emit: (GossipEffect) -> Void
    ) {
        // Only members are pinged, and only so many: nobody can use this node against others.
        guard table.state(of: target) != nil, target != id, target != origin else { return }
        let relay = Relays.Relay(
            origin: origin, number: number, target: target,
            nackAt: now + configuration.probeTimeout * 0.8,
            endsAt: now + configuration.probeInterval * 2)
        guard relays.begin(relay) else { return }
        transmit(
            .indirectPing(number: number, origin: origin, piggyback(for: target)), to: target,
            via: .datagram, emit: emit)
    }

    /// This node is the target: it answers the origin, by way of the helper.
    mutating func answerIndirectly(
        _ number: UInt64, origin: NodeID, helper: NodeID, emit: (GossipEffect) -> Void
    ) {
        guard ring?[origin] != nil, origin != id,
            let packet = seal(
                GossipMessage.ack(number: number, view: fingerprint, []).encoded, to: origin,
                via: .datagram)
        else { return }
        transmit(
            .indirectAck(number: number, origin: origin, packet: packet), to: helper,
            via: .datagram, emit: emit)
    }

    /// The target has answered: its packet goes to the origin.
    mutating func passOn(
        _ packet: [UInt8], number: UInt64, origin: NodeID, target: NodeID,
        emit: (GossipEffect) -> Void
    ) {
        guard relays.answered(number, for: origin, by: target) != nil,
            let address = table.address(of: origin)
        else { return }
        emit(.send(packet, to: address, of: origin, via: .datagram))
    }

    /// Tells origins that there is no answer yet, so that they know that this node is there.
    mutating func checkRelays(emit: (GossipEffect) -> Void) {
        for relay in relays.expire(at: now) {
            transmit(.nack(number: relay.number), to: relay.origin, via: .datagram, emit: emit)
        }
    }
}

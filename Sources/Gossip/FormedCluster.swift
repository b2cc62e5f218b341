package import Model

/// A cluster whose members all know each other from the beginning.
///
/// For simulations of more nodes than could join one after another: all begin with one and the same
/// view, and share it until it changes.
package struct FormedCluster: Sendable {
    /// One member's place in it.
    package struct Seat: Sendable {
        /// The member's key.
        package var key: NodeKey
        /// The life with which it begins.
        package var boot: BootID
        /// Where it listens.
        package var address: PeerAddress
        /// What it tells about itself.
        package var metadata: NodeMetadata

        /// Makes a place.
        package init(key: NodeKey, boot: BootID, address: PeerAddress, metadata: NodeMetadata) {
            self.key = key
            self.boot = boot
            self.address = address
            self.metadata = metadata
        }
    }

    let scheme: any SignatureScheme
    let ring: KeyRing
    let table: MemberTable
    let fingerprint: UInt64

    /// Seats everybody; the first is the founder, who has let all others in.
    ///
    /// - Throws: `outOfBounds` when there are more than `KeyRing.membersMax`, or none.
    package init(
        _ seats: [Seat], nonce: UInt64, scheme: any SignatureScheme, at now: Instant
    ) throws(CodecError) {
        guard let founder = seats.first?.key else { throw .outOfBounds }
        var ring = KeyRing(
            genesis: Genesis(founder: founder.publicKey, nonce: nonce), scheme: scheme)
        let seed = founder.derive(Array("formed".utf8))
        let token = JoinToken(
            cluster: ring.cluster, inviter: founder, seed: seed,
            expiry: WallTime(milliseconds: .max), scheme: scheme)
        let secret = scheme.keyPair(seed: seed).secret
        var table = MemberTable()
        var fingerprint: UInt64 = 0
        for seat in seats {
            if seat.key.id != founder.id {
                let statement = Admission.tokenStatement(
                    nodeKey: seat.key.publicKey, cluster: ring.cluster)
                var admission = Admission(
                    nodeKey: seat.key.publicKey, invitation: token.invitation,
                    tokenSignature: scheme.sign(statement, secret: secret), admitter: founder.id)
                admission.signature = founder.sign(admission.statement)
                guard ring.add(admission) == .added else { throw .outOfBounds }
            }
            var alive = AliveStatement(
                subject: seat.key.id, incarnation: 1, boot: seat.boot, address: seat.address,
                metadata: seat.metadata.encoded)
            alive.signature = seat.key.sign(alive.statement(in: ring.cluster))
            let member = Member(
                alive: alive, metadata: seat.metadata, state: .alive, stateSince: now)
            table.put(member)
            fingerprint ^= member.fingerprint
        }
        self.scheme = scheme
        self.ring = ring
        self.table = table
        self.fingerprint = fingerprint
    }
}

extension Membership {
    /// Begins as a member of a formed cluster; its periodic work is due at any time of its intervals.
    ///
    /// - Throws: `outOfBounds` when the metadata is not within its bounds, or nobody has this seat.
    package init(
        _ seat: FormedCluster.Seat, of cluster: FormedCluster, configuration: GossipConfiguration,
        seed: UInt64, wallTime: WallTime, at now: Instant
    ) throws(CodecError) {
        try self.init(
            key: seat.key, bootID: seat.boot, scheme: cluster.scheme, configuration: configuration,
            metadata: seat.metadata, advertise: seat.address, genesis: nil,
            restored: DurableImage(), seed: seed, wallTime: wallTime, at: now)
        guard let member = cluster.table[seat.key.id] else { throw .outOfBounds }
        own = member.alive
        ring = cluster.ring
        table = cluster.table
        fingerprint = cluster.fingerprint
        schedule.probe = now + random.duration(upTo: configuration.probeInterval)
        schedule.reconnect = now + random.duration(upTo: configuration.reconnectInterval)
        schedule.exchange =
            now + random.duration(upTo: configuration.exchangeInterval * exchangeScale)
    }
}

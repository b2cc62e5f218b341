package import Model

/// A token that was just made, and what must be on disk before anybody is told of it.
package struct IssuedToken: Sendable {
    /// The token; its secret is kept nowhere.
    package var token: JoinToken
    /// The name by which it is taken back.
    package var name: String
    /// What this node keeps of it.
    package var rows: [DurableWrite]
}

/// A token as the member that made it sees it.
package struct TokenStatus: Hashable, Sendable {
    /// What is kept of it.
    package var record: TokenRecord
    /// How many nodes it has let in, as far as this node has heard.
    package var uses: Int
}

/// Why no token was made or taken back.
package enum TokenFailure: Error, Hashable, Sendable {
    /// This node does not belong to a cluster.
    case notMember
    /// As many of this node's tokens are good as can be; take some back.
    case tooMany
    /// None of this node's tokens is called so.
    case unknown
    /// Several are.
    case ambiguous
}

/// Tokens that this node has made. It alone lets nodes in by them: so their uses are counted in one
/// place, and what is taken back there is void everywhere.
///
/// Uses are counted in the ring: the certificates that came of a token are its uses, and they
/// outlive this node's disk on all other members' disks.
extension Membership {
    /// Makes a token that lets nodes join until it expires, is used up, or is taken back.
    ///
    /// - Throws: `notMember`, or `tooMany`; nothing has changed then.
    package mutating func issueToken(
        lifetime: Duration, usesMax: UInt32? = nil, at now: Instant
    ) throws(TokenFailure) -> IssuedToken {
        guard let ring else { throw .notMember }
        let wall = wallTime(at: now)
        var rows = tokens.forgetExpired(at: wall).map(MembershipRows.forgetToken)
        guard !tokens.isFull else { throw .tooMany }
        // The boot ID and a counter of its own make the label unique; the key makes it secret.
        tokensIssued += 1
        var label = ByteWriter()
        label.raw("token".utf8)
        boot.encode(into: &label)
        label.varint(tokensIssued)
        label.fixed64(random.next())
        let token = JoinToken(
            cluster: ring.cluster, inviter: key, seed: key.derive(label.bytes),
            expiry: wall + lifetime, scheme: scheme)
        let record = TokenRecord(
            tokenKey: token.invitation.tokenKey, expiry: token.invitation.expiry,
            usesMax: usesMax)
        tokens.put(record)
        rows.append(MembershipRows.token(record))
        return IssuedToken(token: token, name: record.name, rows: rows)
    }

    /// Takes a token back, by its name or the beginning of it; it lets nobody in from now on.
    ///
    /// Who has come in by it stays.
    ///
    /// - Throws: `unknown` or `ambiguous`; nothing has changed then.
    package mutating func revokeToken(
        _ name: String
    ) throws(TokenFailure) -> DurableWrite {
        let found = tokens.all.filter { $0.name.hasPrefix(name) }
        guard var record = found.first, !name.isEmpty else { throw .unknown }
        guard found.count == 1 else { throw .ambiguous }
        record.isRevoked = true
        tokens.put(record)
        return MembershipRows.token(record)
    }

    /// The tokens of this node that have not expired; those that expire first in front.
    package func tokenStatuses(at now: Instant) -> [TokenStatus] {
        let wall = wallTime(at: now)
        return tokens.all.filter { $0.expiry > wall }.map {
            TokenStatus(record: $0, uses: ring?.uses[$0.tokenKey] ?? 0)
        }
    }

    // MARK: Letting in

    /// Whether a token that this node has made is good for one more node.
    func checkOwnToken(
        _ invitation: JoinToken.Invitation, in ring: KeyRing
    ) throws(JoinRefusal) {
        guard wallTime(at: now) < invitation.expiry else { throw .expiredToken }
        guard let record = tokens[invitation.tokenKey] else { throw .badToken }
        guard !record.isRevoked else { throw .revokedToken }
        guard let usesMax = record.usesMax else { return }
        guard ring.uses[invitation.tokenKey, default: 0] < usesMax else { throw .usedToken }
    }

    /// Another member has made the token: that one is asked to let the joiner in, and answers it.
    ///
    /// Only who knows a token's secret gets this far: nobody else can use this node to bother
    /// another. The joiner is told, so that it knows whose silence keeps it out.
    mutating func passOn(
        _ request: GossipMessage.JoinRequest, _ packet: [UInt8], emit: (GossipEffect) -> Void
    ) throws(JoinRefusal) {
        guard packet.count <= GossipMessage.joinRequestSizeBytesMax else { throw .malformed }
        transmit(
            .passedOn(packet[...]), to: request.invitation.inviter, via: .stream, emit: emit)
        throw .inviterAsked
    }

    /// A member passes on what a joiner has sent to it, for this node has made the token.
    mutating func receivePassedOn(_ packet: ArraySlice<UInt8>, emit: (GossipEffect) -> Void) {
        let bytes = Array(packet)
        guard let ring, let envelope = Envelope.open(bytes, cluster: ring.cluster),
            let key = GossipMessage.strangerKey(in: envelope.payload), key.id == envelope.sender,
            let request = joinRequest(in: bytes, by: key), request.invitation.inviter == id
        else { return emit(.dropped(reason: "malformed")) }
        answerJoiner(request, bytes, emit: emit)
    }
}

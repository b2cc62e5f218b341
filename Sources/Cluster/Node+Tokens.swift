package import Gossip
package import Model

/// What clients ask about tokens, and what joiners are told.
extension Node {
    mutating func issueToken(
        _ request: RequestID, lifetime: Duration, usesMax: UInt32?, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard lifetime > .zero, lifetime <= Node.tokenLifetimeMax else {
            return emit(
                .reply(
                    request,
                    .refused(Refusal(.invalid, "a token lives between 1 s and 365 days"))))
        }
        guard usesMax.map({ $0 > 0 }) ?? true else {
            return emit(
                .reply(request, .refused(Refusal(.invalid, "a token is for one use at least"))))
        }
        do {
            let issued = try membership.issueToken(lifetime: lifetime, usesMax: usesMax, at: now)
            let reply = NodeReply.token(issued.token.text, name: issued.name)
            let ticket = persistence.ticket(for: .client(request, reply))
            emit(.persist(issued.rows, ticket))
        } catch {
            emit(.reply(request, .refused(Refusal(error))))
        }
    }

    /// The longest life of a join token.
    private static let tokenLifetimeMax: Duration = .seconds(365 * 86_400)

    mutating func revokeToken(
        _ request: RequestID, _ name: String, emit: (NodeEffect) -> Void
    ) {
        do {
            let row = try membership.revokeToken(name)
            emit(.persist([row], persistence.ticket(for: .client(request, .accepted))))
        } catch {
            emit(.reply(request, .refused(Refusal(error))))
        }
    }

    /// The tokens that this node has made and that have not expired.
    package func tokens(at now: Instant) -> [TokenStatus] { membership.tokenStatuses(at: now) }
}

extension Refusal {
    init(_ refusal: JoinRefusal) {
        switch refusal {
        case .wrongCluster:
            self.init(
                .badToken,
                "the seed belongs to another cluster than the token; take seed and token from "
                    + "the same cluster")
        case .expiredToken:
            self.init(
                .badToken,
                "the join token has expired; make a new one with `daemon token` on a member")
        case .badToken:
            self.init(
                .badToken,
                "the join token is not accepted: the member that it names has not made it, or knows "
                    + "nothing of it any more; make a new one with `daemon token` on a member")
        case .unknownInviter:
            self.init(
                .badToken,
                "no seed knows the member that made the join token; let that member reach the "
                    + "seeds, or make a new token with `daemon token` on one of them")
        case .inviterAsked:
            self.init(
                .unreachable,
                "the member that made the join token does not answer, and it alone lets nodes in by "
                    + "it; let it reach the seeds and this node, or make a new token with `daemon "
                    + "token` on another member")
        case .revokedToken:
            self.init(
                .badToken,
                "the join token was taken back; make a new one with `daemon token` on a member")
        case .usedToken:
            self.init(
                .badToken,
                "the join token has let in as many nodes as it may; make a new one with `daemon "
                    + "token` on a member")
        case .evicted:
            self.init(
                .badToken,
                "this node's key was evicted from the cluster, and no token lets it in again; join "
                    + "with an empty --data-dir, as another node")
        case .retiredKey:
            self.init(
                .badToken,
                "this node is a member, and its key was renewed since: this one is worth nothing any "
                    + "more; join with an empty --data-dir, as another node")
        case .evictedInviter:
            self.init(
                .badToken,
                "the member that made the join token was evicted, and its tokens are void; make a "
                    + "new one with `daemon token` on a member")
        case .full:
            self.init(.overloaded, "the cluster has as many members as it can have")
        case .malformed:
            self.init(.invalid, "the seed could not read this node's description of itself")
        }
    }

    init(_ failure: TokenFailure) {
        switch failure {
        case .notMember: self = .notMember
        case .tooMany:
            self.init(
                .overloaded,
                "this node has made as many tokens as it keeps; make one on another member, or wait "
                    + "until some have expired")
        case .unknown:
            self.init(
                .notFound,
                "this node has made no such token, or it has expired; ask the node that made it, and "
                    + "see `daemon token list`")
        case .ambiguous:
            self.init(.conflict, "several tokens are called so; give more of the name")
        }
    }

    static let malformedToken = Refusal(
        .badToken,
        "the join token is malformed; copy it whole, from `mgp1-` on, or make a new one with "
            + "`daemon token` on a member")
}

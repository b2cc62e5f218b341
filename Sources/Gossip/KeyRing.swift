import Model

/// The keys of all members, each certified by a chain that begins with the founder.
///
/// Admissions are kept in the order in which they were certified: whoever reads them in this
/// order never meets one whose admitter or inviter comes later.
struct KeyRing: Sendable {
    /// What became of an admission that was shown.
    enum Verdict: Hashable, Sendable {
        /// The node is certified now, and was not before.
        case added
        /// The node was certified already.
        case known
        /// Its admitter or its inviter is not certified here, at least not yet.
        case orphan
        /// A signature is wrong, or it is for another cluster.
        case forged
        /// There is no room for one more member.
        case full
    }

    let genesis: Genesis
    let cluster: ClusterID
    private let scheme: any SignatureScheme
    private var keys: [NodeID: PublicKey]
    private var positions: [NodeID: Int] = [:]
    /// Every admission, ancestors first.
    private(set) var admissions: [Admission] = []
    /// How many nodes each token has let in.
    private(set) var uses: [PublicKey: Int] = [:]

    /// The most members that a cluster ever admits.
    static let membersMax = 16_384

    init(genesis: Genesis, scheme: any SignatureScheme) {
        self.genesis = genesis
        self.scheme = scheme
        cluster = genesis.clusterID
        keys = [genesis.founder.id: genesis.founder]
    }

    subscript(node: NodeID) -> PublicKey? { keys[node] }

    var isFull: Bool { keys.count >= KeyRing.membersMax }

    /// Takes in an admission whose admitter and inviter are certified already.
    mutating func add(_ admission: Admission) -> Verdict {
        let id = admission.nodeKey.id
        guard keys[id] == nil else { return .known }
        guard let admitter = keys[admission.admitter], keys[admission.invitation.inviter] != nil
        else { return .orphan }
        guard !isFull else { return .full }
        guard isInvitationValid(admission.invitation),
            scheme.verify(
                admission.tokenSignature[...],
                of: Admission.tokenStatement(nodeKey: admission.nodeKey, cluster: cluster),
                by: admission.invitation.tokenKey),
            scheme.verify(admission.signature[...], of: admission.statement, by: admitter)
        else { return .forged }
        keys[id] = admission.nodeKey
        positions[id] = admissions.count
        admissions.append(admission)
        uses[admission.invitation.tokenKey, default: 0] += 1
        return .added
    }

    /// Takes in admissions in whatever order; those whose chain is incomplete are left out.
    ///
    /// - Returns: Those that were added, ancestors first, and whether one of the list was forged.
    mutating func add(contentsOf list: [Admission]) -> (added: [Admission], isForged: Bool) {
        var rest = list
        var added: [Admission] = []
        var isForged = false
        while true {
            var orphans: [Admission] = []
            let before = added.count
            for admission in rest {
                switch add(admission) {
                case .added: added.append(admission)
                case .orphan: orphans.append(admission)
                case .forged: isForged = true
                case .known, .full: break
                }
            }
            // Only orphans are looked at again, and only as long as there are new parents: no
            // signature is verified twice.
            guard added.count > before, !orphans.isEmpty else { return (added, isForged) }
            rest = orphans
        }
    }

    /// The admission of a node, after all those that it hangs on.
    func chain(of node: NodeID) -> [Admission] {
        var found: Set<Int> = []
        var open = [node]
        while let next = open.popLast() {
            guard let position = positions[next], found.insert(position).inserted else { continue }
            open.append(admissions[position].admitter)
            open.append(admissions[position].invitation.inviter)
        }
        return found.sorted().map { admissions[$0] }
    }

    /// Whether a certified member made this invitation to this cluster; its expiry is another
    /// question.
    func isInvitationValid(_ invitation: JoinToken.Invitation) -> Bool {
        guard invitation.cluster == cluster, let inviter = keys[invitation.inviter] else {
            return false
        }
        return scheme.verify(
            invitation.signature[...], of: invitation.statement, by: inviter)
    }

    /// Whether a member signed this.
    func verify(_ signature: [UInt8], of message: [UInt8], by node: NodeID) -> Bool {
        guard let key = keys[node] else { return false }
        return scheme.verify(signature[...], of: message, by: key)
    }
}

import Model

/// The keys of all members, each certified by a chain that begins with the founder.
///
/// Admissions are kept in the order in which they were certified: whoever reads them in this
/// order never meets one whose admitter or inviter comes later. What the lock has agreed on since
/// takes away: whoever is shut out, and whom it let in without being named as spared.
struct KeyRing: Sendable {
    /// What became of an admission that was shown.
    enum Verdict: Hashable, Sendable {
        /// The node is certified now, and was not before.
        case added
        /// The node was certified already.
        case known
        /// Its admitter or its inviter is not certified here, at least not yet.
        case orphan
        /// Its admitter or its inviter was shut out, and it was not spared.
        case void
        /// A signature is wrong, or it is for another cluster.
        case forged
        /// There is no room for one more member.
        case full
    }

    let genesis: Genesis
    let cluster: ClusterID
    private let scheme: any SignatureScheme
    var mutation: GossipMutation?
    /// Of those who were shut out, too: whom they let in earlier is certified by them.
    private var keys = NodeMap<KeyHistory>()
    private var positions = NodeMap<Int>()
    private var shared: [Shared<Admission>] = []
    /// Under which keys each of them was signed.
    private var signers: [Signers] = []
    /// How many nodes each token has let in.
    private(set) var uses: [PublicKey: Int] = [:]
    /// What the lock has changed, in the order of their marks.
    private(set) var amendments: [AmendmentCertificate] = []
    /// Who is shut out, by which amendment, and who is spared of those that it let in.
    private var evictions: [NodeID: (amendment: Amendment, spared: Set<NodeID>)] = [:]
    /// The successions of each node's key, by their serial.
    private var successions: [NodeID: [Succession]] = [:]
    /// Whose each renewed key is, by the ID that the key would make.
    private var owners: [NodeID: NodeID] = [:]

    /// The most members that a cluster ever admits.
    static let membersMax = 16_384

    init(genesis: Genesis, scheme: any SignatureScheme) {
        self.genesis = genesis
        self.scheme = scheme
        cluster = genesis.clusterID
        keys[genesis.founder.id] = history(of: genesis.founder)
    }

    /// Every admission, ancestors first.
    var admissions: [Admission] { shared.map(\.value) }

    /// The key under which a node may speak.
    subscript(node: NodeID) -> PublicKey? {
        isEvicted(node) ? nil : keys[node]?.current
    }

    var isFull: Bool { keys.count >= KeyRing.membersMax }

    /// Takes in an admission whose admitter and inviter are certified already.
    mutating func add(_ admission: Admission) -> Verdict {
        let id = admission.nodeKey.id
        guard keys[id] == nil else { return .known }
        guard let admitter = keys[admission.admitter], keys[admission.invitation.inviter] != nil
        else { return .orphan }
        guard stands(admission) else { return .void }
        guard !isFull else { return .full }
        guard isInvitationValid(admission.invitation),
            scheme.verify(
                admission.tokenSignature[...],
                of: Admission.tokenStatement(nodeKey: admission.nodeKey, cluster: cluster),
                by: admission.invitation.tokenKey),
            let signers = signers(of: admission, by: admitter)
        else { return .forged }
        guard areKnown(signers, of: admission) else { return .void }
        append(Shared(admission), signers)
        return .added
    }

    private mutating func append(_ admission: Shared<Admission>, _ signers: Signers) {
        let key = admission.value.nodeKey
        keys[key.id] = history(of: key)
        positions[key.id] = shared.count
        shared.append(admission)
        self.signers.append(signers)
        uses[admission.value.invitation.tokenKey, default: 0] += 1
    }

    /// Takes in admissions in whatever order, up to the first forged one; those whose chain is incomplete
    /// are left out.
    ///
    /// - Returns: Those that were added, ancestors first, and whether one of the list was forged.
    mutating func add(contentsOf list: [Admission]) -> (added: [Admission], isForged: Bool) {
        var rest = list
        var added: [Admission] = []
        while true {
            var orphans: [Admission] = []
            let before = added.count
            for admission in rest {
                switch add(admission) {
                case .added: added.append(admission)
                case .orphan: orphans.append(admission)
                case .forged: return (added, true)
                case .known, .void, .full: break
                }
            }
            // Only orphans are looked at again, and only as long as there are new parents: no
            // signature is verified twice.
            guard added.count > before, !orphans.isEmpty else { return (added, false) }
            rest = orphans
        }
    }

    /// The admission of a node, after all those that it hangs on.
    func chain(of node: NodeID) -> [Admission] {
        var found: Set<Int> = []
        var open = [node]
        while let next = open.popLast() {
            guard let position = positions[next], found.insert(position).inserted else { continue }
            open.append(shared[position].value.admitter)
            open.append(shared[position].value.invitation.inviter)
        }
        return found.sorted().map { shared[$0].value }
    }

    /// Whether a certified member made this invitation to this cluster; its expiry is another
    /// question.
    func isInvitationValid(_ invitation: JoinToken.Invitation) -> Bool {
        guard invitation.cluster == cluster, let inviter = keys[invitation.inviter] else {
            return false
        }
        // Under a key that was retired since, too: its maker alone lets in by it, under its newest.
        return inviter.all.contains { key in
            scheme.verify(invitation.signature[...], of: invitation.statement, by: key)
        }
    }

    /// Under which of its keys, counted from the first, the admitter has signed an admission; and the
    /// inviter its invitation, if it has not let in by that itself.
    private struct Signers: Sendable {
        var admitter: Int
        var inviter: Int?
    }

    private func signers(of admission: Admission, by admitter: KeyHistory) -> Signers? {
        let signer = admitter.all.firstIndex { key in
            scheme.verify(admission.signature[...], of: admission.statement, by: key)
        }
        guard let signer else { return nil }
        let invitation = admission.invitation
        guard invitation.inviter != admission.admitter else { return Signers(admitter: signer) }
        let inviter = keys[invitation.inviter]?.all.firstIndex { key in
            scheme.verify(invitation.signature[...], of: invitation.statement, by: key)
        }
        return Signers(admitter: signer, inviter: inviter)
    }

    /// Whether those who signed are certified, and under keys that count for this.
    private func areKnown(_ signers: Signers, of admission: Admission) -> Bool {
        let node = admission.nodeKey.id
        guard let admitter = keys[admission.admitter],
            let inviter = keys[admission.invitation.inviter]
        else { return false }
        return admitter.stands(node, signedBy: signers.admitter)
            && signers.inviter.map { inviter.stands(node, signedBy: $0) } ?? true
    }

    private func history(of first: PublicKey) -> KeyHistory {
        KeyHistory(first, successions[first.id] ?? [], in: cluster, scheme: scheme)
    }

    /// How many times a node's key was renewed.
    func serial(of node: NodeID) -> UInt32 {
        UInt32(clamping: (keys[node]?.all.count ?? 1) - 1)
    }

    /// Who speaks under a key, by the ID that the key makes: its node, which may have retired it, or a
    /// stranger for itself.
    func speaker(under key: NodeID) -> (node: NodeID, isRetired: Bool) {
        let node = owners[key] ?? key
        guard let history = keys[node], history.ids.contains(key) else { return (key, false) }
        return (node, history.ids.last != key)
    }

    /// Whether a member signed this.
    func verify(_ signature: [UInt8], of message: [UInt8], by node: NodeID) -> Bool {
        guard let key = self[node] else { return false }
        return scheme.verify(signature[...], of: message, by: key)
    }

    /// Whether somebody signed this who is certified, or was once.
    func verify(_ signature: [UInt8], of message: [UInt8], byFormer node: NodeID) -> Bool {
        keys[node]?.all.contains { scheme.verify(signature[...], of: message, by: $0) } ?? false
    }

    // MARK: Amendments

    /// Whether a node is shut out for good.
    func isEvicted(_ node: NodeID) -> Bool {
        evictions[node] != nil && mutation != .hearsEvicted
    }

    /// What has shut a node out.
    func eviction(of node: NodeID) -> Amendment? { evictions[node]?.amendment }

    func knows(_ mark: FencingToken) -> Bool { amendments.contains { $0.amendment.mark == mark } }

    /// Takes in a change on which the lock has agreed; whether that is so was seen to before.
    ///
    /// - Returns: Those who were certified and are not any more, sorted, besides those who are shut
    ///   out themselves; `nil` when the change was known.
    mutating func amend(_ certificate: AmendmentCertificate) -> [NodeID]? {
        let mark = certificate.amendment.mark
        guard !knows(mark) else { return nil }
        let place = amendments.firstIndex { $0.amendment.mark > mark } ?? amendments.endIndex
        amendments.insert(certificate, at: place)
        switch certificate.amendment.change {
        case .eviction(let eviction):
            let spared = Set(eviction.spared)
            for node in eviction.nodes
            where (self.eviction(of: node)?.mark).map({ mark < $0 }) ?? true {
                evictions[node] = (certificate.amendment, spared)
            }
        case .succession(let succession):
            successions[succession.node, default: []].append(succession)
            successions[succession.node]?.sort { $0.serial < $1.serial }
            owners[PublicKey(bytes: succession.newKey).id] = succession.node
        }
        return drop()
    }

    /// Drops what does not stand any more; each signature was verified when it came.
    private mutating func drop() -> [NodeID] {
        let former = keys
        let known = zip(shared, signers)
        keys = NodeMap()
        keys[genesis.founder.id] = history(of: genesis.founder)
        positions = NodeMap()
        shared = []
        signers = []
        uses = [:]
        for (admission, signers) in known
        where stands(admission.value) && areKnown(signers, of: admission.value) {
            append(admission, signers)
        }
        return former.nodes.filter { keys[$0] == nil && !isEvicted($0) }
    }

    /// Whether nobody who was shut out has let the node in, or it was spared.
    private func stands(_ admission: Admission) -> Bool {
        [admission.admitter, admission.invitation.inviter].allSatisfy { node in
            evictions[node].map { $0.spared.contains(admission.nodeKey.id) } ?? true
        }
    }

    /// Whom these have let in, sorted: directly, or by way of others whom they let in.
    func letIn(by nodes: [NodeID], isTransitive: Bool) -> [NodeID] {
        var parents = Set(nodes)
        var found: Set<NodeID> = []
        for admission in admissions
        where parents.contains(admission.admitter)
            || parents.contains(admission.invitation.inviter)
        {
            found.insert(admission.nodeKey.id)
            if isTransitive { parents.insert(admission.nodeKey.id) }
        }
        return found.subtracting(nodes).sorted()
    }

    /// What concerns a node: what has shut it out, and its keys.
    func certificates(about node: NodeID) -> [AmendmentCertificate] {
        amendments.filter { $0.amendment.evicted.contains(node) || $0.amendment.renewed == node }
    }

    /// Whether a key of the node's that was retired has signed this.
    func isRetiredKey(of node: NodeID, _ isSigner: (PublicKey) -> Bool) -> Bool {
        keys[node]?.all.dropLast().contains(where: isSigner) ?? false
    }
}

package import Model

/// The certificate that makes a node a member; descends from the founder through its admitter.
package struct Admission: Hashable, Sendable {
    /// The new member's key.
    var nodeKey: PublicKey
    /// The invitation that it showed.
    var invitation: JoinToken.Invitation
    /// The token key's signature over the node key: the joiner knew the token's secret.
    var tokenSignature: [UInt8]
    /// The member that checked the invitation when it was still good.
    var admitter: NodeID
    /// The admitter's signature over all of this.
    var signature: [UInt8] = []

    /// What the token's key signs.
    static func tokenStatement(nodeKey: PublicKey, cluster: ClusterID) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-join-1".utf8)
        cluster.encode(into: &writer)
        nodeKey.encode(into: &writer)
        return writer.bytes
    }

    /// What the admitter signs.
    var statement: [UInt8] {
        var writer = ByteWriter()
        writer.raw("magpie-admission-1".utf8)
        nodeKey.encode(into: &writer)
        invitation.encode(into: &writer)
        writer.raw(tokenSignature)
        admitter.encode(into: &writer)
        return writer.bytes
    }
}

extension Admission: WireCodable {
    /// Writes all fields.
    package func encode(into writer: inout ByteWriter) {
        nodeKey.encode(into: &writer)
        invitation.encode(into: &writer)
        writer.raw(tokenSignature)
        admitter.encode(into: &writer)
        writer.raw(signature)
    }

    /// Reads all fields.
    package init(from reader: inout ByteReader) throws(CodecError) {
        nodeKey = try PublicKey(from: &reader)
        invitation = try JoinToken.Invitation(from: &reader)
        tokenSignature = Array(try reader.raw(Signature.sizeBytes))
        admitter = try NodeID(from: &reader)
        signature = Array(try reader.raw(Signature.sizeBytes))
    }
}

/// The keys of all members, each certified by a chain that begins with the founder.
struct KeyRing: Sendable {
    let genesis: Genesis
    let cluster: ClusterID
    private let scheme: any SignatureScheme
    private var keys: [NodeID: PublicKey]
    private(set) var admissions: [NodeID: Admission] = [:]

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
    ///
    /// - Returns: Whether the node is certified now and was not before.
    mutating func add(_ admission: Admission) -> Bool {
        let id = admission.nodeKey.id
        guard keys[id] == nil, !isFull, let admitter = keys[admission.admitter],
            admission.invitation.cluster == cluster,
            isInvitationValid(admission.invitation),
            scheme.verify(
                admission.tokenSignature[...],
                of: Admission.tokenStatement(nodeKey: admission.nodeKey, cluster: cluster),
                by: admission.invitation.tokenKey),
            scheme.verify(admission.signature[...], of: admission.statement, by: admitter)
        else { return false }
        keys[id] = admission.nodeKey
        admissions[id] = admission
        return true
    }

    /// Takes in admissions in whatever order; those whose chain is incomplete are left out.
    mutating func add(contentsOf list: [Admission]) -> [Admission] {
        var rest = list
        var added: [Admission] = []
        while true {
            let fresh = rest.filter { add($0) }
            guard !fresh.isEmpty else { return added }
            added += fresh
            rest.removeAll { keys[$0.nodeKey.id] != nil }
        }
    }

    /// Whether a certified member made this invitation; its expiry is another question.
    func isInvitationValid(_ invitation: JoinToken.Invitation) -> Bool {
        guard let inviter = keys[invitation.inviter] else { return false }
        return scheme.verify(
            invitation.signature[...], of: invitation.statement, by: inviter)
    }

    func verify(_ signature: [UInt8], of message: [UInt8], by node: NodeID) -> Bool {
        guard let key = keys[node] else { return false }
        return scheme.verify(signature[...], of: message, by: key)
    }
}

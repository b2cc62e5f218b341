import Model

/// What membership keeps on disk.
struct MembershipRows: Sendable {
    var genesis: Genesis?
    /// Who the node is, once its key is not its first one any more.
    var owner: NodeID?
    var admissions: [Admission] = []
    var members: [AliveStatement] = []
    /// Goodbyes, so that who has left is not taken for failed after a restart.
    var leaves: [LeaveStatement] = []
    /// Changes of the ring of keys.
    var amendments: [AmendmentCertificate] = []
    /// Who voted, as far as the node knew.
    var voters: [NodeID] = []
    /// The tokens that this node has made.
    var tokens: [TokenRecord] = []

    static let genesisKey: [UInt8] = [1]
    private static let ownerKey: [UInt8] = [2]
    private static let votersKey: [UInt8] = [3]
    private static let admissionPrefix: UInt8 = 1
    private static let memberPrefix: UInt8 = 2
    private static let leavePrefix: UInt8 = 3
    private static let tokenPrefix: UInt8 = 4
    private static let amendmentPrefix: UInt8 = 5

    /// Reads what `genesis`, `admission`, `member`, `leave`, `token` and `amendment` gave.
    ///
    /// - Throws: A `CodecError` when a row can't be read.
    init(_ image: DurableImage) throws(CodecError) {
        for row in image[.identity] where row.key == MembershipRows.genesisKey {
            genesis = try Genesis(decoding: row.value)
        }
        if let row = image.value(of: MembershipRows.ownerKey, in: .identity) {
            owner = try NodeID(decoding: row)
        }
        if let row = image.value(of: MembershipRows.votersKey, in: .identity) {
            voters = try MembershipRows.voters(decoding: row)
        }
        for row in image[.membership] {
            switch row.key.first {
            case MembershipRows.admissionPrefix:
                admissions.append(try Admission(decoding: row.value))
            case MembershipRows.memberPrefix:
                members.append(try AliveStatement(decoding: row.value))
            case MembershipRows.leavePrefix:
                leaves.append(try LeaveStatement(decoding: row.value))
            case MembershipRows.tokenPrefix:
                tokens.append(try TokenRecord(decoding: row.value))
            case MembershipRows.amendmentPrefix:
                amendments.append(try AmendmentCertificate(decoding: row.value))
            default: throw .malformed
            }
        }
    }

    static func genesis(_ genesis: Genesis) -> DurableWrite {
        .put(.identity, key: genesisKey, value: genesis.encoded)
    }

    static func owner(_ node: NodeID) -> DurableWrite {
        .put(.identity, key: ownerKey, value: node.encoded)
    }

    static func voters(_ nodes: [NodeID]) -> DurableWrite {
        var writer = ByteWriter()
        writer.list(nodes) { $1.encode(into: &$0) }
        return .put(.identity, key: votersKey, value: writer.bytes)
    }

    private static func voters(decoding bytes: [UInt8]) throws(CodecError) -> [NodeID] {
        var reader = ByteReader(bytes)
        let nodes = try reader.list(max: KeyRing.membersMax) { (reader) throws(CodecError) in
            try NodeID(from: &reader)
        }
        try reader.end()
        return nodes
    }

    static func admission(_ admission: Admission) -> DurableWrite {
        .put(
            .membership, key: [admissionPrefix] + admission.nodeKey.id.value.bytes,
            value: admission.encoded)
    }

    static func member(_ alive: AliveStatement) -> DurableWrite {
        .put(.membership, key: [memberPrefix] + alive.subject.value.bytes, value: alive.encoded)
    }

    static func leave(_ leave: LeaveStatement) -> DurableWrite {
        .put(.membership, key: [leavePrefix] + leave.subject.value.bytes, value: leave.encoded)
    }

    static func token(_ record: TokenRecord) -> DurableWrite {
        .put(.membership, key: [tokenPrefix] + record.tokenKey.bytes, value: record.encoded)
    }

    static func amendment(_ certificate: AmendmentCertificate) -> DurableWrite {
        .put(
            .membership, key: [amendmentPrefix] + certificate.amendment.mark.encoded,
            value: certificate.encoded)
    }

    static func forgetToken(_ tokenKey: PublicKey) -> DurableWrite {
        .delete(.membership, key: [tokenPrefix] + tokenKey.bytes)
    }
}

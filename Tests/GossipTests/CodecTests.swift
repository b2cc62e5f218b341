import Model
import Testing

@testable import Gossip

/// One message of each kind, and statements of every shape.
enum Samples {
    static let key = NodeKey(seed: [UInt8](repeating: 1, count: 32), scheme: CheapSignatures())
    static let other = NodeKey(seed: [UInt8](repeating: 2, count: 32), scheme: CheapSignatures())
    static let signature = [UInt8](repeating: 0xA5, count: Signature.sizeBytes)
    static let cluster = Genesis(founder: key.publicKey, nonce: 1).clusterID

    static let alive = AliveStatement(
        subject: key.id, incarnation: 300, boot: BootID(0x0123_4567_89AB_CDEF),
        address: VirtualNetwork.address(1),
        metadata: VirtualNetwork.metadata(1, labels: ["a=b"]).encoded, signature: signature)
    static let leave = LeaveStatement(subject: key.id, incarnation: 7, signature: signature)
    static let suspect = SuspectStatement(
        subject: key.id, incarnation: 7, accuser: other.id, signature: signature)
    static let invitation = JoinToken(
        cluster: cluster, inviter: key, seed: [UInt8](repeating: 3, count: 32),
        expiry: WallTime(milliseconds: -5), scheme: CheapSignatures()
    ).invitation
    static let admission = Admission(
        nodeKey: other.publicKey, invitation: invitation, tokenSignature: signature,
        admitter: key.id, signature: signature)
    static let eviction = Amendment(
        mark: FencingToken(generation: 1, index: 9),
        change: .eviction(
            Eviction(
                nodes: [key.id], spared: [other.id], author: other.id,
                time: WallTime(milliseconds: 5))))
    static var succession: Amendment {
        var succession = Succession(
            node: key.id, serial: 1, newKey: other.publicKey.bytes, spared: [other.id])
        succession.signature = signature
        return Amendment(
            mark: FencingToken(generation: 2, index: 3), change: .succession(succession))
    }
    static let certificates = [eviction, succession].map {
        AmendmentCertificate(amendment: $0, signer: other.id, signature: signature)
    }
    static let rumours: [Rumour] =
        [.alive(alive), .leave(leave), .suspect(suspect), .admission(admission)]
        + certificates.map(Rumour.amendment)

    static let messages: [GossipMessage] = [
        .ping(number: .max, view: 5, rumours), .ack(number: 1, view: .max, []),
        .pingRequest(number: 2, target: key.id),
        .indirectPing(number: 3, origin: key.id, rumours),
        .indirectAck(number: 4, origin: key.id, packet: [1, 2, 3]), .nack(number: 5),
        .rumours(rumours), .exchange(rumours, wantsReply: true),
        .challenge(number: 6, boot: BootID(9)), .challengeAnswer(number: 7, floor: 8),
        .lifeQuestion(number: 8, ageMilliseconds: 9), .lifeAnswer(number: .max, ageMilliseconds: 0),
        .refusal(of: BootID(1), elder: BootID(2), at: alive.address),
        .wantAdmission(other.id), .application([1, 2, 3][...]),
        .joinRequest(
            GossipMessage.JoinRequest(
                key: key.publicKey, number: 1, invitation: invitation, tokenSignature: signature,
                alive: alive)),
        .joinReply(
            key: key.publicKey, number: 2, Genesis(founder: key.publicKey, nonce: 1), rumours),
        .joinRefused(key: key.publicKey, number: 3, .expiredToken),
        .passedOn([4, 5, 6][...]), .introduction(key: key.publicKey, rumours),
    ]
}

@Suite struct CodecTests {
    @Test(arguments: Samples.messages.indices)
    func `a message comes back byte for byte`(index: Int) throws {
        let bytes = Samples.messages[index].encoded
        #expect(try GossipMessage(decoding: bytes).encoded == bytes)
    }

    @Test(arguments: Samples.messages.indices)
    func `a message that is cut off is refused`(index: Int) {
        let message = Samples.messages[index]
        // The payload for others is the rest of the message, whatever its length.
        if case .application = message { return }
        let bytes = message.encoded
        for count in bytes.indices {
            #expect(throws: CodecError.self) {
                _ = try GossipMessage(decoding: bytes.prefix(count))
            }
        }
        #expect(throws: CodecError.self) { _ = try GossipMessage(decoding: bytes + [0]) }
    }

    @Test(arguments: Samples.messages.indices)
    func `a damaged message is refused or read as what it then says`(index: Int) {
        let bytes = Samples.messages[index].encoded
        for position in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[position] ^= 1 << UInt8(bit)
                guard let message = try? GossipMessage(decoding: damaged) else { continue }
                #expect(message.encoded == damaged)
            }
        }
    }

    @Test func `random bytes never trap, and what is read is canonical`() {
        var random = SeededGenerator(seed: 77)
        for _ in 0..<20_000 {
            let count = Int(random.next() % 96)
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if let first = bytes.indices.first { bytes[first] = UInt8(random.next() % 18) }
            guard let message = try? GossipMessage(decoding: bytes) else { continue }
            #expect(message.encoded == bytes)
        }
    }

    @Test func `a count that the bytes can't hold is refused before anything is made`() {
        var writer = ByteWriter()
        writer.byte(GossipMessage.Kind.rumours.rawValue)
        writer.varint(UInt64(GossipMessage.rumoursMax))
        #expect(throws: CodecError.truncated) {
            _ = try GossipMessage(decoding: writer.bytes)
        }
        writer = ByteWriter()
        writer.byte(GossipMessage.Kind.rumours.rawValue)
        writer.varint(UInt64(GossipMessage.rumoursMax) + 1)
        #expect(throws: CodecError.outOfBounds) {
            _ = try GossipMessage(decoding: writer.bytes)
        }
    }

    @Test func `the answer to a challenge is no larger than the challenge, nor that than a ping`() {
        let ping = GossipMessage.ping(number: 1, view: 1, []).encoded.count
        let challenge = GossipMessage.challenge(number: 1, boot: BootID(1)).encoded.count
        let answer = GossipMessage.challengeAnswer(number: 1, floor: 1).encoded.count
        #expect(answer <= challenge)
        #expect(challenge <= ping)
        let question = GossipMessage.lifeQuestion(number: 1, ageMilliseconds: 1).encoded.count
        let reply = GossipMessage.lifeAnswer(number: 1, ageMilliseconds: 1).encoded.count
        #expect(reply <= question)
    }

    @Test func `the largest probe fits a datagram`() {
        var metadata = VirtualNetwork.metadata(1)
        while metadata.isWithinBounds {
            metadata.labels.append(String(repeating: "x", count: 8))
        }
        metadata.labels.removeLast()
        var alive = Samples.alive
        alive.metadata = metadata.encoded
        let size = Rumour.alive(alive).encoded.count + Rumour.suspect(Samples.suspect).encoded.count
        #expect(size <= GossipConfiguration.datagramPayloadSizeBytesMax - 32)
        #expect(GossipConfiguration.datagramPayloadSizeBytesMax >= 1_200)
    }
}

@Suite struct MetadataTests {
    private struct Row: CustomTestStringConvertible {
        var testDescription: String
        var change: @Sendable (inout NodeMetadata) -> Void
        var fits: Bool
    }

    private static let rows: [Row] = [
        Row(testDescription: "as it is", change: { _ in }, fits: true),
        Row(
            testDescription: "the longest name",
            change: { $0.name = String(repeating: "n", count: NodeMetadata.nameSizeBytesMax) },
            fits: true),
        Row(
            testDescription: "a longer name",
            change: { $0.name = String(repeating: "n", count: NodeMetadata.nameSizeBytesMax + 1) },
            fits: false),
        Row(
            testDescription: "the longest label",
            change: {
                $0.labels = [String(repeating: "l", count: NodeMetadata.labelSizeBytesMax)]
            }, fits: true),
        Row(
            testDescription: "a longer label",
            change: {
                $0.labels = [String(repeating: "l", count: NodeMetadata.labelSizeBytesMax + 1)]
            }, fits: false),
        Row(
            testDescription: "as many labels as there may be",
            change: { $0.labels = (0..<NodeMetadata.labelsMax).map { "\($0)" } }, fits: true),
        Row(
            testDescription: "one label more",
            change: { $0.labels = (0...NodeMetadata.labelsMax).map { "\($0)" } }, fits: false),
        Row(
            testDescription: "too much in all",
            change: { $0.labels = (0..<3).map { "\($0)" + String(repeating: "l", count: 200) } },
            fits: false),
    ]

    @Test(arguments: rows.indices)
    func `metadata is within bounds, or it is not`(index: Int) {
        let row = MetadataTests.rows[index]
        var metadata = VirtualNetwork.metadata(1)
        row.change(&metadata)
        #expect(metadata.isWithinBounds == row.fits, "\(row.testDescription)")
    }

    @Test func `fields of newer versions are passed over`() throws {
        var fields = ByteWriter()
        fields.field(1) { $0.string("n") }
        fields.field(99) { $0.string("from the future") }
        var writer = ByteWriter()
        writer.blob(fields.bytes)
        #expect(try NodeMetadata(decoding: writer.bytes).name == "n")
    }

    @Test func `a node with too much metadata does not start, nor take it up later`() throws {
        let network = VirtualNetwork(seed: 1, count: 2)
        try network.form()
        var metadata = VirtualNetwork.metadata(1)
        metadata.labels = (0...NodeMetadata.labelsMax).map { "\($0)" }
        network.tell(1, .updateMetadata(metadata))
        #expect(network.machines[1].notes.dropped["oversize own metadata"] == 1)
        #expect(network.machines[1].membership?.metadata == VirtualNetwork.metadata(1))
        #expect(throws: CodecError.outOfBounds) {
            _ = try Membership(
                key: Samples.key, bootID: BootID(1), scheme: CheapSignatures(),
                configuration: GossipConfiguration(profile: .lan), metadata: metadata,
                advertise: VirtualNetwork.address(1), genesis: nil, restored: DurableImage(),
                seed: 1, wallTime: WallTime(milliseconds: 0), at: .zero)
        }
    }

    @Test func `changed metadata reaches everybody`() throws {
        let network = VirtualNetwork(seed: 2, count: 6)
        try network.form()
        var metadata = VirtualNetwork.metadata(3)
        metadata.labels = ["disk=ssd"]
        network.tell(3, .updateMetadata(metadata))
        network.run(for: .seconds(3))
        for machine in network.machines {
            #expect(machine.membership?.member(network.id(3))?.metadata.labels == ["disk=ssd"])
        }
    }
}

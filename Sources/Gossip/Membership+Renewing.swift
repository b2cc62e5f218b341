package import Model

/// A node's key is renewed: the old one signs for the new one, the lock says who was first, and from
/// then on the old one is worth nothing.
///
/// The node stays who it is: sessions, claims, votes and tokens hang on its identity, not on its key.
extension Membership {
    /// How many times this node's key was renewed.
    package var keySerial: UInt32 { ring?.serial(of: id) ?? 0 }

    /// Whether somebody else has renewed this node's key.
    package var isSuperseded: Bool {
        ring.map { $0[id] != nil && $0[id] != key.publicKey } ?? false
    }

    /// What the lock is to be asked for so that this key takes the place of the present one; it is
    /// kept until the lock has agreed, and nobody is let in meanwhile.
    package mutating func planSuccession(to next: NodeKey) -> Succession? {
        guard let ring else { return nil }
        nextKey = next.owned(by: id)
        isRenewing = true
        var succession = Succession(
            node: id, serial: keySerial + 1, newKey: next.publicKey.bytes,
            spared: ring.letIn(by: [id], isTransitive: false))
        succession.signature = key.sign(succession.statement(in: ring.cluster))
        return succession
    }

    /// The lock has refused: the present key stays.
    package mutating func dropSuccession() {
        nextKey = nil
        isRenewing = false
    }

    // MARK: Taking place

    /// After a restart: the next key has taken its place already, as the disk says.
    mutating func takeUpKey() {
        guard let nextKey, ring?[id] == nextKey.publicKey else { return }
        key = nextKey
        self.nextKey = nil
        isKeyNews = true
    }

    /// Whether this is what the node itself has asked for: it needs nobody's word for that.
    func isOwnSuccession(_ amendment: Amendment) -> Bool {
        guard let ring, let nextKey, case .succession(let succession) = amendment.change,
            succession.node == id, succession.newKey == nextKey.publicKey.bytes
        else { return false }
        return ring.verify(
            succession.signature, of: succession.statement(in: ring.cluster), by: id)
    }

    /// This node's key was renewed, by itself or by somebody else who has it.
    mutating func renewKey(emit: (GossipEffect) -> Void) {
        guard let current = ring?[id], current != key.publicKey else { return }
        guard let next = nextKey, next.publicKey == current else {
            isStopped = true
            return emit(.superseded)
        }
        key = next
        dropSuccession()
        emit(.persist([MembershipRows.owner(id)]))
        emit(.keyRenewed(key.publicKey))
        restate(above: own.incarnation, emit: emit)
    }

    // MARK: Other keys

    /// A packet in a member's name that its key has not signed: forged, or under a key that was
    /// retired, or under one of which this node has not heard.
    mutating func receiveUnderOtherKey(
        _ envelope: Envelope, _ packet: PeerLife.Held, emit: (GossipEffect) -> Void
    ) {
        let node = envelope.sender
        let isRetired =
            ring?.isRetiredKey(of: node) { key in
                Envelope.isGenuine(
                    packet.bytes, by: key, to: id, via: packet.channel, scheme: scheme)
            } ?? false
        emit(.dropped(reason: isRetired ? "retired key" : "bad signature"))
        guard node != id else { return }
        guard isRetired else { return askForAdmission(of: node, emit: emit) }
        // It may not have heard itself, if it crashed in between.
        guard packet.channel == .stream else { return }
        tellAbout(node, emit: emit)
    }

    /// A packet that a member has signed, and veiled for another key than this node's: one of both has
    /// renewed its key, and the other has not heard of it.
    mutating func receiveUnreadable(_ envelope: Envelope, emit: (GossipEffect) -> Void) {
        emit(.dropped(reason: "unreadable"))
        // Said once: it is not answered again when somebody repeats it.
        if lives[envelope.sender]?.boot == envelope.boot {
            lives[envelope.sender]?.take(envelope.counter, via: .datagram)
        }
        guard envelope.sender != id,
            lives[envelope.sender, default: PeerLife()].admitsQuestion(at: now)
        else { return }
        introduce(to: envelope.sender, emit: emit)
    }

    /// Tells a member under which key this node speaks by now, if that is not its first one; and by
    /// whom it was let in, when that one may not know.
    ///
    /// By stream, and whatever key answers: who does not know this node's key could read no datagram, and
    /// this one may not know the other's.
    mutating func introduce(
        to asker: NodeID, withAdmissions: Bool = false, emit: (GossipEffect) -> Void
    ) {
        guard asker != id, proving == nil, !isStopped, ring?.isEvicted(asker) == false,
            let introduction = introduction(about: id, withAdmissions: withAdmissions),
            let address = table.address(of: asker),
            let bytes = seal(introduction.encoded, to: asker, via: .stream)
        else { return }
        emit(.send(bytes, to: address, of: .none, via: .stream))
    }

    /// What this node shows of the keys and the end of a node: the newest amendments that have room, then
    /// the nearest admissions and its own word; `nil` when there is nothing to show.
    func introduction(about node: NodeID, withAdmissions: Bool = false) -> GossipMessage? {
        guard let ring else { return nil }
        // A stranger's frames are small, and who introduces itself counts as one.
        var room = GossipMessage.introductionSizeBytesMax - Membership.introductionHeadSizeBytes
        var credentials: [Rumour] = []
        func add(_ rumours: [Rumour], last most: Int) {
            let fitting = rumours.suffix(most).reversed().prefix { rumour in
                let sizeBytes = rumour.encoded.count
                guard sizeBytes <= room else { return false }
                room -= sizeBytes
                return true
            }
            credentials += fitting.reversed()
        }
        add(
            certificates(about: node).map(Rumour.amendment),
            last: GossipMessage.credentialsMax - GossipMessage.admissionsShownMax - 1)
        if withAdmissions {
            add(
                ring.chain(of: node).map(Rumour.admission),
                last: GossipMessage.admissionsShownMax)
            if let word = table[node]?.alive { add([.alive(word)], last: 1) }
        }
        return credentials.isEmpty ? nil : .introduction(key: key.publicKey, credentials)
    }

    /// The envelope around an introduction, its kind, its key, and the count.
    private static let introductionHeadSizeBytes =
        Envelope.overheadSizeBytes + PublicKey.sizeBytes + 16

    /// A node shows who let it in, why it has another key, or why the receiver is not heard: admissions
    /// and amendments speak for themselves, also when they are shown again, and before either node has
    /// proven which life it lives.
    mutating func receiveIntroduction(
        _ envelope: Envelope, _ packet: PeerLife.Held, emit: (GossipEffect) -> Void
    ) {
        guard strangers.admits(at: now) else { return emit(.dropped(reason: "busy")) }
        guard let key = GossipMessage.strangerKey(in: envelope.payload),
            Envelope.isGenuine(packet.bytes, by: key, to: id, via: packet.channel, scheme: scheme),
            case .introduction(_, let credentials)? = try? GossipMessage(
                decoding: envelope.payload)
        else { return emit(.dropped(reason: "bad signature")) }
        guard credentials.allSatisfy({ $0.isCredential(of: envelope.sender) }),
            credentials.count(where: \.isAdmission) <= GossipMessage.admissionsShownMax
        else { return emit(.dropped(reason: "malformed")) }
        hear(credentials, from: nil, emit: emit)
        if ring?[envelope.sender] != key { emit(.dropped(reason: "unknown key")) }
    }
}

extension Rumour {
    fileprivate var isAdmission: Bool {
        if case .admission = self { true } else { false }
    }

    /// Whether it belongs into the introduction of a node: none of them can be made up.
    fileprivate func isCredential(of node: NodeID) -> Bool {
        switch self {
        case .admission, .amendment: true
        case .alive(let word): word.subject == node
        case .leave, .suspect: false
        }
    }
}

import Model

/// What can happen to a node's images.
enum ImageEvent {
    /// These other members are in reach.
    case peers([NodeID])
    /// Another node says something about images.
    case received([UInt8], from: NodeID)
    /// The image store tells something.
    case store(ImageStoreEvent)
    /// A name is given to an image of this node's store, or taken away.
    case name(RequestID, ImageName, ImageDigest?, sizeBytes: UInt64, wall: WallTime)
    /// A container needs the image here.
    case need(ImageDigest)
    /// The write is on disk, or will never be.
    case persisted(ImageTicket, isDone: Bool)
    /// The time that `nextDeadline` named has come.
    case deadlineReached
}

/// What a node's images ask for.
enum ImageEffect {
    /// Say something to another member; may be lost.
    case send([UInt8], to: NodeID)
    /// Write to disk.
    case persist([DurableWrite], ImageTicket)
    /// Do something with the image store.
    case store(ImageStoreCommand)
    /// The image is here.
    case ready(ImageDigest)
    /// The image can't be had now.
    case unavailable(ImageDigest, reason: String)
    /// The name is on this node's disk.
    case named(RequestID)
    /// The name was not given, or is not on disk.
    case refused(RequestID, Refusal)
    /// What a peer sent makes no sense.
    case dropped(reason: String)
}

/// Names a write of the catalog.
struct ImageTicket: Hashable, Sendable {
    var value: UInt64
}

/// One node's view of the cluster's images: the catalog of names, and getting what is needed here
/// from other nodes.
///
/// An image lives on the node that gave it its name, on the `keepersCount` members to which its
/// digest points (rendezvous hashing: Thaler and Ravishankar 1998), and wherever it was needed.
struct ImageReplica: Sendable {
    let node: NodeID
    var random: SeededGenerator
    var peers: [NodeID] = []
    private(set) var catalog = ImageCatalog()
    /// Images that the store has said to be complete.
    var complete: Set<ImageDigest> = []
    var fetches: [ImageDigest: ImageFetch] = [:]
    /// The images whose fetch waits for its turn, in the order of their arrival.
    var waiting: [ImageDigest] = []
    /// Whose questions are being answered.
    var serving: [ImageReadID: (peer: NodeID, read: ImageReadID)] = [:]
    var lastRead: UInt64
    private var lastTicket: UInt64 = 0
    private var requests: [ImageTicket: RequestID] = [:]
    /// Names whose entries a full disk has refused.
    private var unsaved: [ImageTicket: Set<ImageName>] = [:]
    private var dirty: Set<ImageName> = []
    private var nextOffer: Instant?
    var nextUpkeep: Instant?
    private var lastSent: [NodeID: Instant] = [:]

    /// How many members keep an image besides those that need it.
    static let keepersCount = 2
    /// How often the catalog's fingerprint is told to some peer.
    static let offerInterval: Duration = .seconds(10)
    /// How often a keeper looks for what it lacks.
    static let upkeepInterval: Duration = .seconds(30)
    /// How soon it looks after something has changed.
    static let upkeepDelay: Duration = .seconds(1)
    /// How many peers hear of a change from its maker at once.
    static let pushMax = 32
    /// How many peers hear of a change from each who learns of it.
    static let rumourFanout = 3
    /// How often one peer is sent the whole catalog.
    static let wholeInterval: Duration = .seconds(5)

    /// Brings the images of a node to life.
    ///
    /// Rows that can't be read are left out: other nodes have them.
    init(node: NodeID, restored: DurableImage, seed: UInt64, at now: Instant) {
        self.node = node
        random = SeededGenerator(seed: seed)
        lastRead = random.next() >> 16
        for row in restored[.images] {
            guard let row = try? ImageCatalog.Row(decoding: row.value) else { continue }
            _ = catalog.join(row)
        }
        nextUpkeep = now + ImageReplica.upkeepDelay
    }

    /// Takes in one event; hands every effect to `emit`, in the order in which to perform them.
    mutating func handle(_ event: ImageEvent, at now: Instant, emit: (ImageEffect) -> Void) {
        switch event {
        case .peers(let peers):
            guard peers != self.peers else { return }
            self.peers = peers
            let present = Set(peers)
            lastSent = lastSent.filter { present.contains($0.key) }
            sourcesChanged(at: now, emit: emit)
            expectUpkeep(at: now)
        case .received(let bytes, let peer):
            guard let message = try? ImageMessage(decoding: bytes) else {
                return emit(.dropped(reason: "malformed image message"))
            }
            received(message, from: peer, at: now, emit: emit)
        case .store(let event):
            store(event, at: now, emit: emit)
        case .name(let request, let name, let digest, let sizeBytes, let wall):
            self.name(
                request, name, digest, sizeBytes: sizeBytes, wall: wall, at: now, emit: emit)
        case .need(let digest):
            fetch(digest, isNeeded: true, at: now, emit: emit)
        case .persisted(let ticket, let isDone):
            persisted(ticket, isDone: isDone, emit: emit)
        case .deadlineReached:
            deadlineReached(at: now, emit: emit)
        }
        if nextOffer == nil, catalog.count > 0, !peers.isEmpty {
            nextOffer = now + random.duration(upTo: ImageReplica.offerInterval)
        }
    }

    /// When `.deadlineReached` is next wanted.
    var nextDeadline: Instant? {
        [nextOffer, nextUpkeep, fetches.values.compactMap(\.deadline).min()]
            .compactMap { $0 }.min()
    }

    private mutating func deadlineReached(at now: Instant, emit: (ImageEffect) -> Void) {
        if let due = nextOffer, due <= now {
            nextOffer = nil
            if let peer = peers.randomElement(using: &random) {
                emit(
                    .send(ImageMessage.offer(fingerprint: catalog.fingerprint).encoded, to: peer))
            }
        }
        fetchesDue(at: now, emit: emit)
        if let due = nextUpkeep, due <= now {
            nextUpkeep = catalog.count > 0 ? now + ImageReplica.upkeepInterval : nil
            save([], request: nil, emit: emit)
            keep(at: now, emit: emit)
        }
    }

    func expected(_ due: Instant) -> Instant { nextUpkeep.map { min($0, due) } ?? due }

    mutating func expectUpkeep(at now: Instant) {
        nextUpkeep = expected(now + ImageReplica.upkeepDelay)
    }

    // MARK: The catalog

    private mutating func name(
        _ request: RequestID, _ name: ImageName, _ digest: ImageDigest?, sizeBytes: UInt64,
        wall: WallTime, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        let known = catalog[name]
        if digest == nil, known?.digest == nil {
            return emit(
                .refused(request, Refusal(.notFound, "there is no image of the name \(name)")))
        }
        guard known != nil || !catalog.isFull else {
            return emit(
                .refused(
                    request,
                    Refusal(
                        .overloaded,
                        "the cluster has \(ImageCatalog.namesMax) names of images, removed ones "
                            + "included; use one of those again")))
        }
        let stamp = min(
            max(UInt64(clamping: wall.milliseconds), (known?.stamp ?? 0) + 1),
            ImageEntry.stampMax)
        let row = ImageCatalog.Row(
            name: name,
            entry: ImageEntry(digest: digest, sizeBytes: sizeBytes, stamp: stamp, node: node))
        _ = catalog.join(row)
        if let digest { complete.insert(digest) }
        save([name], request: request, emit: emit)
        for peer in somePeers(ImageReplica.pushMax) {
            emit(.send(ImageMessage.rows([row], wantsYours: false).encoded, to: peer))
        }
        expectUpkeep(at: now)
    }

    private mutating func somePeers(_ count: Int) -> [NodeID] {
        Array(peers.shuffled(using: &random).prefix(count))
    }

    private mutating func save(
        _ names: [ImageName], request: RequestID?, emit: (ImageEffect) -> Void
    ) {
        let all = (names + dirty.sorted())
        dirty = []
        guard !all.isEmpty else { return }
        lastTicket += 1
        let ticket = ImageTicket(value: lastTicket)
        requests[ticket] = request
        unsaved[ticket] = Set(all)
        let writes: [DurableWrite] = all.compactMap { name in
            catalog[name].map {
                .put(
                    .images, key: Array(name.description.utf8),
                    value: ImageCatalog.Row(name: name, entry: $0).encoded)
            }
        }
        emit(.persist(writes, ticket))
    }

    private mutating func persisted(
        _ ticket: ImageTicket, isDone: Bool, emit: (ImageEffect) -> Void
    ) {
        let names = unsaved.removeValue(forKey: ticket) ?? []
        let request = requests.removeValue(forKey: ticket)
        if !isDone { dirty.formUnion(names) }
        guard let request else { return }
        emit(
            isDone
                ? .named(request)
                : .refused(
                    request,
                    Refusal(.storage, "the image's name could not be written to the disk")))
    }

    private mutating func received(
        _ message: ImageMessage, from peer: NodeID, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        switch message {
        case .offer(let fingerprint):
            guard fingerprint != catalog.fingerprint else { return }
            tellAll(to: peer, wantsYours: true, at: now, emit: emit)
        case .rows(let rows, let wantsYours):
            learn(rows, from: peer, at: now, emit: emit)
            if wantsYours { tellAll(to: peer, wantsYours: false, at: now, emit: emit) }
        case .ask(let read, let part, let offset):
            serve(read, part, offset, to: peer, emit: emit)
        case .answer(let read, let chunk):
            answered(read, chunk, by: peer, at: now, emit: emit)
        }
    }

    /// The whole catalog in pages; the last one asks for the other's.
    private mutating func tellAll(
        to peer: NodeID, wantsYours: Bool, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        if let last = lastSent[peer], now < last + ImageReplica.wholeInterval { return }
        guard lastSent[peer] != nil || peers.contains(peer) else { return }
        lastSent[peer] = now
        var rows = catalog.rows[...]
        repeat {
            let page = Array(rows.prefix(ImageMessage.rowsMax))
            rows = rows.dropFirst(ImageMessage.rowsMax)
            let message = ImageMessage.rows(page, wantsYours: wantsYours && rows.isEmpty)
            emit(.send(message.encoded, to: peer))
        } while !rows.isEmpty
    }

    private mutating func learn(
        _ rows: [ImageCatalog.Row], from peer: NodeID, at now: Instant,
        emit: (ImageEffect) -> Void
    ) {
        let news = rows.filter { catalog.join($0) }
        guard !news.isEmpty else { return }
        save(news.map(\.name), request: nil, emit: emit)
        let message = ImageMessage.rows(news, wantsYours: false).encoded
        for next in somePeers(ImageReplica.rumourFanout) where next != peer {
            emit(.send(message, to: next))
        }
        expectUpkeep(at: now)
    }
}

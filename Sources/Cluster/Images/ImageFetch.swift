import Model

/// Getting one image from other nodes, part by part.
struct ImageFetch: Sendable {
    /// Whether a container waits for it; else it is only to be kept.
    var isNeeded: Bool
    /// What is missing, in the order of fetching.
    var parts: [ImagePart] = []
    /// Whom to ask next when the present source fails.
    var sources: [NodeID] = []
    var source: NodeID?
    /// The question that is under way.
    var read: ImageReadID?
    /// When the source has had time enough to answer.
    var deadline: Instant?
    /// Whether it has its turn.
    var isActive = false
    /// How often the store was asked what is missing.
    var rounds = 0
    /// What the last source said.
    var problem = "no node in reach has it"

    /// How many fetches get chunks at a time.
    static let activeMax = 4
    /// How many images may wait to be fetched.
    static let waitingMax = 1_024
    /// How many nodes are asked for one image before it counts as unavailable.
    static let sourcesMax = 16
    /// How long a source may take for one chunk.
    static let answerWait: Duration = .seconds(5)
    /// How often the store may find that something is missing: the manifest, then what it names,
    /// and once more for each of a few damaged parts.
    static let roundsMax = 8
    /// How many questions of other nodes are answered at a time; the others ask again.
    static let servingMax = 64
}

/// Fetching, keeping and serving.
extension ImageReplica {
    // MARK: Fetching

    /// The image is wanted here.
    mutating func fetch(
        _ digest: ImageDigest, isNeeded: Bool, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        if fetches[digest] != nil {
            if isNeeded { fetches[digest]?.isNeeded = true }
            return
        }
        guard fetches.count < ImageFetch.waitingMax else {
            if isNeeded { emit(.unavailable(digest, reason: "too many images are fetched")) }
            return
        }
        fetches[digest] = ImageFetch(isNeeded: isNeeded)
        emit(.store(.check(digest)))
    }

    mutating func store(
        _ event: ImageStoreEvent, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        switch event {
        case .stock(let digest, .complete):
            complete.insert(digest)
            guard fetches[digest] != nil else { return }
            finish(digest, at: now, emit: emit)
            emit(.ready(digest))
        case .stock(let digest, .lacks(let parts)):
            complete.remove(digest)
            lacks(digest, parts, at: now, emit: emit)
        case .read(let read, let chunk):
            guard let asker = serving.removeValue(forKey: read) else { return }
            emit(.send(ImageMessage.answer(asker.read, chunk).encoded, to: asker.peer))
        case .written(let image, let part, let result):
            written(image, part, result, at: now, emit: emit)
        case .dropped(let digest):
            complete.remove(digest)
        }
    }

    private mutating func lacks(
        _ digest: ImageDigest, _ parts: [ImagePart], at now: Instant, emit: (ImageEffect) -> Void
    ) {
        guard var fetch = fetches[digest] else { return }
        fetch.parts = parts
        fetch.rounds += 1
        if fetch.source == nil { fetch.sources = sources(of: digest) }
        fetches[digest] = fetch
        guard !parts.isEmpty, fetch.rounds <= ImageFetch.roundsMax else {
            return giveUp(digest, "it could not be put together", at: now, emit: emit)
        }
        if fetch.isActive {
            ask(digest, at: now, emit: emit)
        } else {
            waiting.append(digest)
            startWaiting(at: now, emit: emit)
        }
    }

    /// Those that a container waits for come first.
    private mutating func startWaiting(at now: Instant, emit: (ImageEffect) -> Void) {
        while fetches.values.count(where: \.isActive) < ImageFetch.activeMax {
            let place =
                waiting.firstIndex { fetches[$0]?.isNeeded == true } ?? waiting.indices.first
            guard let place else { return }
            let digest = waiting.remove(at: place)
            guard fetches[digest] != nil else { continue }
            fetches[digest]?.isActive = true
            ask(digest, at: now, emit: emit)
        }
    }

    /// Asks the present source, or the next one, for the next bytes.
    private mutating func ask(
        _ digest: ImageDigest, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        guard var fetch = fetches[digest], let part = fetch.parts.first else { return }
        if fetch.source == nil {
            guard !fetch.sources.isEmpty else {
                return giveUp(digest, fetch.problem, at: now, emit: emit)
            }
            fetch.source = fetch.sources.removeFirst()
        }
        guard let source = fetch.source else { return }
        lastRead += 1
        let read = ImageReadID(lastRead)
        fetch.read = read
        fetch.deadline = now + ImageFetch.answerWait
        fetches[digest] = fetch
        emit(
            .send(
                ImageMessage.ask(read, part.digest, offset: part.presentBytes).encoded,
                to: source))
    }

    private mutating func nextSource(
        _ digest: ImageDigest, problem: String?, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        fetches[digest]?.source = nil
        fetches[digest]?.read = nil
        fetches[digest]?.deadline = nil
        if let problem { fetches[digest]?.problem = problem }
        ask(digest, at: now, emit: emit)
    }

    mutating func answered(
        _ read: ImageReadID, _ chunk: ImageChunk?, by peer: NodeID, at now: Instant,
        emit: (ImageEffect) -> Void
    ) {
        let match = fetches.first { $0.value.read == read && $0.value.source == peer }
        guard let (digest, fetch) = match, let part = fetch.parts.first else { return }
        guard let chunk else {
            return nextSource(digest, problem: nil, at: now, emit: emit)
        }
        let isEnd = chunk.offset + UInt64(chunk.bytes.count) == chunk.totalBytes
        guard chunk.offset == part.presentBytes, chunk.totalBytes <= part.sizeBytesMax,
            isEnd || !chunk.bytes.isEmpty
        else {
            return nextSource(
                digest, problem: "a node sent what does not belong to it", at: now, emit: emit)
        }
        fetches[digest]?.read = nil
        fetches[digest]?.deadline = nil
        emit(.store(.write(image: digest, part: part.digest, chunk)))
    }

    private mutating func written(
        _ digest: ImageDigest, _ part: ImageDigest, _ result: ImageWriteResult, at now: Instant,
        emit: (ImageEffect) -> Void
    ) {
        guard let fetch = fetches[digest], fetch.read == nil, fetch.parts.first?.digest == part
        else { return }
        switch result {
        case .stored(let next):
            fetches[digest]?.parts[0].presentBytes = next
            ask(digest, at: now, emit: emit)
        case .finished:
            fetches[digest]?.parts.removeFirst()
            if fetch.parts.count == 1 {
                emit(.store(.check(digest)))
            } else {
                ask(digest, at: now, emit: emit)
            }
        case .corrupt:
            fetches[digest]?.parts[0].presentBytes = 0
            nextSource(digest, problem: "what a node sent was damaged", at: now, emit: emit)
        case .failed(let reason):
            giveUp(digest, reason, at: now, emit: emit)
        }
    }

    private mutating func finish(
        _ digest: ImageDigest, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        fetches[digest] = nil
        waiting.removeAll { $0 == digest }
        startWaiting(at: now, emit: emit)
    }

    private mutating func giveUp(
        _ digest: ImageDigest, _ reason: String, at now: Instant, emit: (ImageEffect) -> Void
    ) {
        let isNeeded = fetches[digest]?.isNeeded == true
        finish(digest, at: now, emit: emit)
        if isNeeded { emit(.unavailable(digest, reason: reason)) }
    }

    /// Answers that did not come in time.
    mutating func fetchesDue(at now: Instant, emit: (ImageEffect) -> Void) {
        for digest in fetches.keys.sorted() {
            guard let due = fetches[digest]?.deadline, due <= now else { continue }
            nextSource(digest, problem: "a node that has it did not answer", at: now, emit: emit)
        }
    }

    /// A source that is out of reach will not answer.
    mutating func sourcesChanged(at now: Instant, emit: (ImageEffect) -> Void) {
        let present = Set(peers)
        for digest in fetches.keys.sorted() {
            guard let fetch = fetches[digest], let source = fetch.source, fetch.read != nil,
                !present.contains(source)
            else { continue }
            nextSource(digest, problem: nil, at: now, emit: emit)
        }
    }

    // MARK: Places

    /// Whom to ask for an image: who named it, who should keep it, then anybody.
    private mutating func sources(of digest: ImageDigest) -> [NodeID] {
        let present = Set(peers)
        var order = catalog.origins(of: digest).filter { present.contains($0) }
        order += ImageReplica.ranked(peers, for: digest).prefix(2 * ImageReplica.keepersCount)
        order += peers.shuffled(using: &random).prefix(ImageFetch.sourcesMax)
        var seen: Set<NodeID> = []
        return Array(order.filter { seen.insert($0).inserted }.prefix(ImageFetch.sourcesMax))
    }

    /// Members in the order in which they should keep an image: each node finds the same.
    static func ranked(_ members: [NodeID], for digest: ImageDigest) -> [NodeID] {
        let seed = digest.bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let weighted = members.map { member in
            var generator = SeededGenerator(
                seed: seed ^ member.value.high ^ member.value.low &* 0x9E37_79B9_7F4A_7C15)
            return (weight: generator.next(), member: member)
        }
        return weighted.sorted { ($0.weight, $0.member) > ($1.weight, $1.member) }.map(\.member)
    }

    /// Whether this node should have the image, needed here or not.
    func isKeeper(of digest: ImageDigest) -> Bool {
        ImageReplica.ranked(peers + [node], for: digest).prefix(ImageReplica.keepersCount)
            .contains(node)
    }

    /// Gets what this node should have and has not.
    mutating func keep(at now: Instant, emit: (ImageEffect) -> Void) {
        for digest in catalog.images
        where !complete.contains(digest) && fetches[digest] == nil && isKeeper(of: digest) {
            fetch(digest, isNeeded: false, at: now, emit: emit)
        }
    }

    // MARK: Serving

    /// Another node wants an excerpt.
    mutating func serve(
        _ read: ImageReadID, _ part: ImageDigest, _ offset: UInt64, to peer: NodeID,
        emit: (ImageEffect) -> Void
    ) {
        guard serving.count < ImageFetch.servingMax else {
            return emit(.dropped(reason: "too many image readings"))
        }
        lastRead += 1
        serving[ImageReadID(lastRead)] = (peer, read)
        emit(.store(.read(ImageReadID(lastRead), part: part, offset: offset)))
    }
}

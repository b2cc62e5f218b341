import Model

/// What the lock remembers of its clients, so that a request is applied once.
extension LockTable {
    /// The last request of a node, and its answer, for repetitions.
    struct Client: Hashable, Sendable {
        /// The last request of an earlier life of the node, and its answer: it may not be over,
        /// when a copy of the node was listened to for a while.
        struct Life: Hashable, Sendable {
            var boot: BootID
            var sequence: UInt64
            var results: [LockResult]
        }

        var boot: BootID
        var sequence: UInt64
        var results: [LockResult]
        /// The entry that held the request.
        var index: UInt64
        /// Earlier lives, the latest last: copies of their requests may still be under way.
        var earlier: [Life] = []

        /// How many earlier lives are remembered.
        static let earlierMax = 4

        /// About how many bytes it takes in a snapshot; never too few.
        var sizeBytes: Int {
            64
                + (results + earlier.flatMap(\.results)).reduce(24 * earlier.count) {
                    $0 + $1.sizeBytes
                }
        }
    }

    /// How a request stands to those that were applied before.
    enum Age {
        case fresh
        case repeated([LockResult])
        case stale
    }

    /// Whether a request was applied already.
    func age(of request: LockRequest) -> Age {
        guard mutation != .appliesRepetitions, let client = clients[request.client] else {
            return .fresh
        }
        if client.boot == request.boot {
            if request.sequence == client.sequence { return .repeated(client.results) }
            return request.sequence < client.sequence ? .stale : .fresh
        }
        guard mutation != .forgetsEarlierLives,
            let life = client.earlier.last(where: { $0.boot == request.boot })
        else { return .fresh }
        if request.sequence == life.sequence { return .repeated(life.results) }
        return request.sequence < life.sequence ? .stale : .fresh
    }

    /// Remembers an applied request in place of its node's last one.
    mutating func remember(_ request: LockRequest, _ results: [LockResult], at index: UInt64) {
        var earlier: [Client.Life] = []
        if let last = clients[request.client] {
            earlier = last.earlier.filter { $0.boot != request.boot }
            if last.boot != request.boot {
                earlier.append(
                    Client.Life(boot: last.boot, sequence: last.sequence, results: last.results))
            }
        }
        put(
            Client(
                boot: request.boot, sequence: request.sequence, results: results,
                index: index, earlier: earlier.suffix(Client.earlierMax)),
            for: request.client)
        if clients.count > LockTable.clientsMax { dropOldestClient() }
    }

    /// How many nodes are remembered; beyond it, those with neither session nor claim go.
    ///
    /// What they may still have under way needs a session, names a claim or the last session.
    static let clientsMax = 4_096

    private mutating func dropOldestClient() {
        let present = Set(sessions.values.map(\.node)).union(waiting.keys)
        let oldest = clients.filter { $0.key != .none && !present.contains($0.key) }
            .min { ($0.value.index, $0.key) < ($1.value.index, $1.key) }
        guard let node = oldest?.key else { return }
        put(nil, for: node)
        lastSessions[node] = nil
    }
}

extension LockResult {
    /// About how many bytes it takes; never too few.
    var sizeBytes: Int {
        switch self {
        case .opened(let kept, _, _): 24 + 32 * kept.count
        case .closed(let outcome, _): 32 + outcome.reason.utf8.count
        case .held: 48
        case .granted: 32
        case .succeeds, .resting, .done, .collected, .noSession, .alive, .full, .overtaken: 16
        }
    }
}

extension LockTable.Client: WireCodable {
    func encode(into writer: inout ByteWriter) {
        boot.encode(into: &writer)
        writer.varint(sequence)
        writer.varint(index)
        writer.list(results) { $1.encode(into: &$0) }
        writer.list(earlier) {
            $1.boot.encode(into: &$0)
            $0.varint($1.sequence)
            $0.list($1.results) { $1.encode(into: &$0) }
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        boot = try BootID(from: &reader)
        sequence = try reader.varint()
        index = try reader.varint()
        results = try LockTable.Client.results(&reader)
        earlier = try reader.list(max: LockTable.Client.earlierMax) {
            (reader) throws(CodecError) in
            let boot = try BootID(from: &reader)
            let sequence = try reader.varint()
            return Life(
                boot: boot, sequence: sequence, results: try LockTable.Client.results(&reader))
        }
    }

    private static func results(
        _ reader: inout ByteReader
    ) throws(CodecError) -> [LockResult] {
        try reader.list(max: LockConfiguration.operationsMax) { (reader) throws(CodecError) in
            try LockResult(from: &reader)
        }
    }
}

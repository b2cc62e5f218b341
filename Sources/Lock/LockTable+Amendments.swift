import Model

/// The changes of the ring of keys on which the lock has agreed: a list that only grows.
struct Amendments: Hashable, Sendable {
    /// All of them, the earliest first.
    private(set) var all: [Amendment] = []
    /// How many times each node's key was renewed.
    private(set) var serials: [NodeID: UInt32] = [:]
    /// Who is shut out.
    private(set) var evicted: Set<NodeID> = []
    /// How many nodes they name.
    private(set) var namedCount = 0

    /// How many nodes all amendments name at most.
    static let namedMax = 65_536

    init() {}

    /// Takes each once, in their order.
    init(_ list: [Amendment]) {
        for amendment in list.sorted(by: { $0.mark < $1.mark }) { append(amendment) }
    }

    /// Adds one that is later than all others; an earlier one is passed over.
    mutating func append(_ amendment: Amendment) {
        guard amendment.mark > all.last?.mark ?? .zero else { return }
        all.append(amendment)
        evicted.formUnion(amendment.evicted)
        if case .succession(let succession) = amendment.change {
            serials[succession.node] = succession.serial
        }
        namedCount += amendment.namedCount
    }

    /// Whether one more may be agreed on.
    func hasRoom(for change: Amendment.Change) -> Bool {
        namedCount + Amendment(mark: .zero, change: change).namedCount <= Amendments.namedMax
    }

    /// Equal for equal lists.
    var fingerprint: UInt64 { all.reduce(0) { $0 ^ $1.fingerprint } }

    /// About how many bytes they take in a snapshot; never too few.
    var sizeBytes: Int { 160 * all.count + 16 * namedCount }
}

extension Amendments {
    init(from reader: inout ByteReader) throws(CodecError) {
        let list = try reader.list(max: Amendments.namedMax) { (reader) throws(CodecError) in
            try Amendment(from: &reader)
        }
        for amendment in list {
            guard amendment.mark > all.last?.mark ?? .zero else { throw .notCanonical }
            append(amendment)
        }
    }
}

extension Amendment {
    /// How many nodes it names.
    var namedCount: Int {
        switch change {
        case .eviction(let eviction): eviction.count
        case .succession(let succession): succession.spared.count + 1
        }
    }
}

/// Who may not speak in the cluster any more has no part in the lock either.
extension LockTable {
    mutating func amend(
        _ change: Amendment.Change, by client: NodeID, at mark: FencingToken,
        notice: (Notice) -> Void
    ) -> LockResult {
        switch change {
        case .eviction(let eviction):
            guard eviction.author == client else { return .noSession }
            guard !amendments.evicted.isSuperset(of: eviction.nodes) else { return .done }
        case .succession(let succession):
            // Signatures are seen to by those who keep the keys; here counts who was first.
            guard succession.node == client else { return .noSession }
            guard !amendments.all.contains(where: { $0.change == change }) else { return .done }
            guard
                succession.serial == amendments.serials[client, default: 0] + 1
                    || mutation == .renewsTwice
            else { return .overtaken }
        }
        guard amendments.hasRoom(for: change), mark > amendments.all.last?.mark ?? .zero else {
            return .full
        }
        let amendment = Amendment(mark: mark, change: change)
        amendments.append(amendment)
        // A person has declared them gone: what waits for them need not wait any longer, but for
        // the end of their lease.
        for node in amendment.evicted where !isRecovering { freeIfGone(node, notice: notice) }
        notice(.amended(amendment))
        return .done
    }

    private mutating func freeIfGone(_ node: NodeID, notice: (Notice) -> Void) {
        guard !sessions.values.contains(where: { $0.node == node }) else { return }
        for task in (waiting.removeValue(forKey: node) ?? []).sorted() {
            lose(task, notice: notice)
        }
    }
}

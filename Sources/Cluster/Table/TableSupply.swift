import CRDT
import Model

/// What a peer lacks, gathered into messages up to a bound.
struct TableSupply: Sendable {
    private let sizeBytesMax: Int
    private var parts: [TablePart] = []
    private var part = TablePart()
    private var ids: Set<TaskID> = []
    private var voids: [(origin: UInt64, interval: ClosedRange<UInt64>)] = []
    /// Whether there is more than was gathered.
    private(set) var isCut = false

    init(sizeBytesMax: Int) {
        self.sizeBytesMax = sizeBytesMax
    }

    /// Adds a record once; returns whether there was room.
    mutating func add(_ record: TaskRecord) -> Bool {
        guard !ids.contains(record.id) else { return true }
        let delta = TaskDelta(record)
        if !part.add(delta, sizeBytesMax: sizeBytesMax) {
            guard parts.count + 1 < TableConfiguration.repairMessagesMax else {
                isCut = true
                return false
            }
            parts.append(part)
            part = TablePart()
            _ = part.add(delta, sizeBytesMax: sizeBytesMax)
        }
        ids.insert(record.id)
        return true
    }

    /// Adds dots that stand for nothing any more.
    mutating func void(_ interval: ClosedRange<UInt64>, of origin: UInt64) {
        guard voids.count < TableMessage.voidsMax else {
            isCut = true
            return
        }
        voids.append((origin, interval))
    }

    /// The messages; voids come with the last records, not before them.
    func messages() -> [[UInt8]] {
        guard part.count > 0 || !voids.isEmpty else { return [] }
        return parts.map { part in
            part.message { TableMessage.encodeRecords(voids: [], isMore: false, into: &$0) }
        } + [
            part.message { TableMessage.encodeRecords(voids: voids, isMore: isCut, into: &$0) }
        ]
    }
}

/// A large answer to a peer that may still be under way.
///
/// Over a link that carries less than is asked for, the same records would be sent with each
/// question, wait for each other, and for all else that goes there: who has not shown the last one
/// yet is sent no more for a while.
struct SupplyUnderWay: Sendable {
    private var last: Dot?
    private var until = Instant.zero
    private var wait = SupplyUnderWay.waitMin

    /// Answers up to so many bytes may be repeated.
    static let sizeBytesMin = 64 << 10
    /// How long the first answer has time to arrive; twice as long after each that did not.
    static let waitMin: Duration = .seconds(2)
    /// The longest time.
    static let waitMax: Duration = .seconds(64)

    /// Whether more may be sent, now that the peer has told what it has.
    mutating func allowsAnother(after page: DotPage, at now: Instant) -> Bool {
        guard let last else { return true }
        if page.set.contains(last) {
            self.last = nil
            wait = SupplyUnderWay.waitMin
            return true
        }
        guard now >= until else { return false }
        // A page about other dots does not tell that the last one is lost.
        if page.lower <= last, last <= page.upper {
            wait = min(wait * 2, SupplyUnderWay.waitMax)
        }
        return true
    }

    /// An answer was sent; `last` is the last dot that it carries.
    mutating func begin(_ last: Dot, at now: Instant) {
        self.last = last
        until = now + wait
    }
}

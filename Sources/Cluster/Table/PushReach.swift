import Model

/// How far the receiver of a push passes it on.
enum PushReach: Hashable, Sendable {
    /// It keeps it to itself.
    case none
    /// It tells what was news to somebody by chance, and so on, this many times at most.
    case rumour(hops: UInt8)
    /// It tells all nodes of this span, news or not, and what was news to somebody by chance.
    case span(PushSpan)

    /// How often news of the push are passed on by chance; `nil` when they are not.
    var hopsLeft: UInt8? {
        switch self {
        case .none: nil
        case .rumour(let hops): hops > 1 ? hops - 1 : nil
        case .span: TableConfiguration.hopsMax
        }
    }
}

/// A part of the ring of all node IDs: from `lower` up to `upper`, both included, over the end of the
/// ring when `upper` is the smaller one.
///
/// Who pushes a change to many nodes divides the ring among a few of them; each divides its span
/// again, by what it knows of members itself. So every node hears of a change once, after
/// log(n) steps, and one hears of it twice at most where views differ.
///
/// Source: El-Ansary et al., "Efficient Broadcast in Structured P2P Networks" (IPTPS 2003), with heads
/// drawn by chance, so that a node that has just failed does not hide the same part of the ring from
/// every change.
struct PushSpan: Hashable, Sendable {
    var lower: NodeID
    var upper: NodeID

    /// A part of a span, and who is to tell it.
    struct Part: Hashable, Sendable {
        var head: NodeID
        /// All nodes of the part; the head when it is alone.
        var span: PushSpan

        /// Whether the head has nobody to tell.
        var isLeaf: Bool { span.lower == span.upper }
    }

    /// All nodes but this one, which begins with its neighbours.
    static func all(_ peers: [NodeID], around node: NodeID) -> PushSpan? {
        guard let last = peers.last, let first = peers.first else { return nil }
        let next = peers.insertionIndex(of: node)
        return PushSpan(
            lower: next < peers.count ? peers[next] : first,
            upper: next > 0 ? peers[next - 1] : last)
    }

    /// Divides the span among about `count` of its nodes.
    ///
    /// The parts hold each of `peers`, which rise, once, and never `node`. There may be one part more,
    /// since none reaches over `node`.
    func divided(
        among count: Int, of peers: [NodeID], around node: NodeID,
        using random: inout SeededGenerator
    ) -> [Part] {
        let runs: [(first: Int, count: Int)]
        if contains(node), node != lower, node != upper {
            runs = [
                PushSpan(lower: lower, upper: node).run(in: peers),
                PushSpan(lower: node, upper: upper).run(in: peers),
            ]
        } else {
            runs = [run(in: peers)]
        }
        let total = runs.reduce(0) { $0 + $1.count }
        let size = max(1, (total + count - 1) / count)
        var parts: [Part] = []
        for run in runs {
            for start in stride(from: 0, to: run.count, by: size) {
                let length = min(size, run.count - start)
                func peer(_ offset: Int) -> NodeID {
                    peers[(run.first + start + offset) % peers.count]
                }
                parts.append(
                    Part(
                        head: peer(Int(random.next() % UInt64(length))),
                        span: PushSpan(lower: peer(0), upper: peer(length - 1))))
            }
        }
        return parts
    }

    func contains(_ node: NodeID) -> Bool {
        lower <= upper ? lower <= node && node <= upper : lower <= node || node <= upper
    }

    /// Where the peers of this span are, in cyclic order.
    private func run(in peers: [NodeID]) -> (first: Int, count: Int) {
        guard !peers.isEmpty else { return (0, 0) }
        let first = peers.insertionIndex(of: lower)
        var end = peers.insertionIndex(of: upper)
        if end < peers.count, peers[end] == upper { end += 1 }
        return (first, lower <= upper ? end - first : peers.count - first + end)
    }
}

extension Array where Element: Comparable {
    /// Where in rising order an element is, or would be.
    fileprivate func insertionIndex(of element: Element) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if self[middle] < element { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension PushReach: WireCodable {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .none: writer.byte(0)
        case .rumour(let hops):
            writer.byte(1)
            writer.byte(hops)
        case .span(let span):
            writer.byte(2)
            span.lower.encode(into: &writer)
            span.upper.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.byte() {
        case 0: self = .none
        case 1: self = .rumour(hops: try reader.byte())
        case 2:
            let lower = try NodeID(from: &reader)
            self = .span(PushSpan(lower: lower, upper: try NodeID(from: &reader)))
        default: throw .malformed
        }
    }
}

import Model

/// What travels between machines.
package struct Packet: Sendable {
    /// The bytes.
    package var bytes: [UInt8]
    /// Which machine sent them.
    package var sender: Int
    /// In which life of its daemon.
    package var senderLife: UInt64
    /// In which life the receiver was then: a connection does not outlive it.
    package var receiverLife: UInt64

    /// Makes a packet.
    package init(bytes: [UInt8], sender: Int, senderLife: UInt64, receiverLife: UInt64) {
        self.bytes = bytes
        self.sender = sender
        self.senderLife = senderLife
        self.receiverLife = receiverLife
    }
}

/// How the network behaves when nothing in particular is wrong with it.
package struct NetworkConditions: Sendable {
    /// The share of datagrams that are lost, 0…1.
    package var loss = 0.0
    /// The share of datagrams that arrive twice, 0…1.
    package var duplication = 0.0
    /// The shortest way.
    package var delayMin: Duration = .microseconds(100)
    /// The longest usual way; datagrams overtake each other within this range.
    package var delayMax: Duration = .microseconds(600)
    /// The share of packets that take up to `tailMax` instead.
    package var tailShare = 0.0
    /// The share of datagrams that are held back up to `heldMax`, so that later ones overtake them.
    package var heldShare = 0.0
    /// How long a datagram is held back at most.
    package var heldMax: Duration = .milliseconds(20)
    /// The longest way of all.
    package var tailMax: Duration = .milliseconds(400)
    /// How long a stream waits for a cut link before its connection is given up.
    package var streamTimeout: Duration = .seconds(4)

    /// A healthy network on one site.
    package init() {}
}

/// The network between machines: delays, losses, cut and clogged links, streams and datagrams.
///
/// A link is an ordered pair of machines. Datagrams are lost, doubled and reordered. A stream's
/// frames keep their order; they wait while the link is cut in either direction (acknowledgements
/// must travel back), and are lost together when the connection is.
package struct VirtualNetwork {
    /// What is found when a link's stream is looked at.
    package enum StreamState {
        /// Nothing is under way.
        case idle
        /// Look again at this time.
        case waiting(until: Int64)
        /// This frame arrives now; look again at `next`, if there are more.
        case arrived(Packet, next: Int64?)
        /// The connection was given up with this many frames.
        case lost(Int)
    }

    private final class Stream {
        var frames: [(packet: Packet, arrival: Int64)] = []
        var lastArrival: Int64 = 0
        var isWatched = false
        var stuckSince: Int64?
    }

    /// How the network behaves.
    package var conditions = NetworkConditions()
    private let count: Int
    private var cuts: [UInt16] = []
    private var clogs: [Int: Int64] = [:]
    private var streams: [Int: Stream] = [:]
    private var random: SeededGenerator

    /// How often a stuck stream is tried again.
    private static let retryInterval: Int64 = 120_000_000
    /// How long a byte takes, in nanoseconds: a gigabit per second.
    private static let nanosecondsPerByte: Int64 = 8

    /// Makes a network between `count` machines.
    package init(count: Int, seed: UInt64) {
        self.count = count
        random = SeededGenerator(seed: seed)
    }

    /// The number of the link between two machines.
    package func link(from: Int, to: Int) -> Int { from * count + to }

    /// Which machines a link joins.
    package func ends(of link: Int) -> (from: Int, to: Int) {
        (link / count, link % count)
    }

    // MARK: Datagrams

    /// When the copies of a datagram arrive: none when it is lost, two when it is doubled.
    package mutating func datagram(on link: Int, at now: Int64) -> (Int64?, Int64?) {
        if isCut(link) || random.happens(conditions.loss) { return (nil, nil) }
        var first = arrival(on: link, at: now)
        if random.happens(conditions.heldShare) {
            first += random.nanoseconds(.zero, conditions.heldMax)
        }
        guard random.happens(conditions.duplication) else { return (first, nil) }
        return (first, arrival(on: link, at: now))
    }

    private mutating func arrival(on link: Int, at now: Int64) -> Int64 {
        let most =
            random.happens(conditions.tailShare) ? conditions.tailMax : conditions.delayMax
        var arrival = now + random.nanoseconds(conditions.delayMin, most)
        if !clogs.isEmpty, let end = clogs[link], end > arrival {
            arrival = end + random.nanoseconds(.zero, conditions.delayMax)
        }
        return arrival
    }

    // MARK: Streams

    /// Puts a frame on a stream; returns when to look at the stream, unless that is arranged for.
    package mutating func send(_ packet: Packet, on link: Int, at now: Int64) -> Int64? {
        let stream = stream(link)
        let transmission = Int64(packet.bytes.count) * VirtualNetwork.nanosecondsPerByte
        let arrival = max(self.arrival(on: link, at: now), stream.lastArrival) + transmission
        stream.lastArrival = arrival
        stream.frames.append((packet, arrival))
        guard !stream.isWatched else { return nil }
        stream.isWatched = true
        return arrival
    }

    /// Looks at a stream at the time that `send` or the last look gave.
    package mutating func look(at link: Int, at now: Int64) -> StreamState {
        let stream = stream(link)
        guard let head = stream.frames.first else {
            stream.isWatched = false
            return .idle
        }
        if head.arrival > now { return .waiting(until: head.arrival) }
        let back = ends(of: link)
        if isCut(link) || isCut(self.link(from: back.to, to: back.from)) {
            let since = stream.stuckSince ?? now
            stream.stuckSince = since
            guard now - since < conditions.streamTimeout.nanoseconds else {
                return .lost(reset(link))
            }
            return .waiting(until: now + VirtualNetwork.retryInterval)
        }
        stream.stuckSince = nil
        stream.frames.removeFirst()
        guard let next = stream.frames.first else {
            stream.isWatched = false
            return .arrived(head.packet, next: nil)
        }
        return .arrived(head.packet, next: max(next.arrival, now))
    }

    /// Breaks a connection: its frames are lost; returns how many there were.
    @discardableResult
    package mutating func reset(_ link: Int) -> Int {
        guard let stream = streams[link] else { return 0 }
        defer {
            stream.frames = []
            stream.lastArrival = 0
            stream.stuckSince = nil
        }
        return stream.frames.count
    }

    /// A daemon dies: what it had sent may still arrive, beside the frames of its next life.
    ///
    /// - Returns: The frames that were under way, link by link, in their order.
    package mutating func abandonStreams(from sender: Int) -> [(link: Int, frames: [Packet])] {
        var abandoned: [(link: Int, frames: [Packet])] = []
        for receiver in 0..<count {
            let link = link(from: sender, to: receiver)
            guard let stream = streams[link], !stream.frames.isEmpty else { continue }
            abandoned.append((link, stream.frames.map(\.packet)))
            reset(link)
        }
        return abandoned
    }

    private mutating func stream(_ link: Int) -> Stream {
        if let known = streams[link] { return known }
        let fresh = Stream()
        streams[link] = fresh
        return fresh
    }

    // MARK: Partitions

    /// Whether nothing passes on a link.
    package func isCut(_ link: Int) -> Bool { !cuts.isEmpty && cuts[link] > 0 }

    /// Cuts the links from one group to another; cuts add up until each is mended.
    package mutating func cut(from group: [Int], to others: [Int]) {
        if cuts.isEmpty { cuts = Array(repeating: 0, count: count * count) }
        forEachLink(group, others) { cuts[$0] += 1 }
    }

    /// Takes one cut back.
    package mutating func mend(from group: [Int], to others: [Int]) {
        guard !cuts.isEmpty else { return }
        forEachLink(group, others) { if cuts[$0] > 0 { cuts[$0] -= 1 } }
    }

    /// Lets nothing through before `end`; what is sent until then arrives together.
    package mutating func clog(_ link: Int, until end: Int64) {
        clogs[link] = max(clogs[link] ?? 0, end)
    }

    /// Mends every cut, and forgets every clog.
    package mutating func mendAll() {
        cuts = []
        clogs = [:]
    }

    private func forEachLink(_ group: [Int], _ others: [Int], _ body: (Int) -> Void) {
        for from in group {
            for to in others where from != to { body(link(from: from, to: to)) }
        }
    }
}

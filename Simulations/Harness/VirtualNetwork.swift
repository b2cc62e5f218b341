import Model

/// The network between machines: delays, losses, doubles, and links that are cut.
struct VirtualNetwork {
    var faults: Faults
    private var cut: Set<Link> = []
    /// When the last frame on a link arrives: frames never overtake each other.
    private var streamEnds: [Link: Int64] = [:]

    struct Link: Hashable {
        var from: Int
        var to: Int
    }

    init(faults: Faults) {
        self.faults = faults
    }

    /// When copies of a packet arrive, in nanoseconds; none when it is lost.
    mutating func arrivals(
        of channel: Channel, on link: Link, at now: Int64, using random: inout SeededGenerator
    ) -> [Int64] {
        guard !cut.contains(link) else { return [] }
        let delay = self.delay(using: &random)
        if channel == .stream {
            let arrival = max(now + delay, streamEnds[link, default: 0] + 1)
            streamEnds[link] = arrival
            return [arrival]
        }
        if random.fraction() < faults.loss { return [] }
        var arrivals = [now + delay]
        if random.fraction() < faults.duplication {
            arrivals.append(now + self.delay(using: &random))
        }
        return arrivals
    }

    /// Whether packets pass.
    func isOpen(_ link: Link) -> Bool { !cut.contains(link) }

    /// Cuts every link from one group to another, and back unless `isOneWay`.
    mutating func separate(_ group: Set<Int>, from others: Set<Int>, isOneWay: Bool) {
        for from in group {
            for to in others where from != to {
                cut.insert(Link(from: from, to: to))
                if !isOneWay { cut.insert(Link(from: to, to: from)) }
            }
        }
    }

    /// Opens every link.
    mutating func heal() { cut = [] }

    private func delay(using random: inout SeededGenerator) -> Int64 {
        let spread = faults.delayMax - faults.delayMin
        return (faults.delayMin + random.duration(upTo: spread)).nanoseconds
    }
}

package import Model

/// A kind of thing that goes wrong in the safety phase.
package enum FaultKind: String, Sendable, CaseIterable {
    /// Datagrams are lost.
    case loss
    /// Datagrams arrive twice.
    case duplication
    /// Some packets take much longer than others.
    case delay
    /// Datagrams are held back, and overtaken by many that were sent after them.
    case reordering
    /// Links hold back what is sent for a while, and let it through together.
    case clog
    /// The network splits into two halves that can't reach each other.
    case partition
    /// Some machines are heard no more, though they still hear.
    case oneway
    /// Connections break, with the frames that are under way.
    case reset
    /// Daemons are killed; their containers live on.
    case crash
    /// Machines stop, with everything that runs on them.
    case reboot
    /// Daemons stand still for a while.
    case freeze
    /// Whole machines stand still for a while.
    case pause
    /// Disks take long to sync.
    case slowdisk
    /// Disks are full for a while: writes fail.
    case fulldisk
    /// Clocks run at different rates.
    case drift
    /// Wall clocks disagree.
    case skew
    /// Monitors of containers die.
    case vanish
    /// Guards are killed, and what hangs on them with them.
    case guardkill
    /// Guards stand still for a while.
    case guardfreeze
    /// Containers take long to be made, started and killed.
    case slowruntime
    /// Machines lose their disk, and join anew as another node.
    case wipe
    /// Old copies of disks come back, and their nodes know less than they have told.
    case rollback
    /// Daemons are stopped and started with a newer version, or with the older one again.
    case upgrade
    /// A copy of a disk runs on another machine, while the original lives or is away.
    case clone
    /// A person shuts a node out; its machine comes back as another one.
    case evict
}

extension FaultKind {
    /// Whether it holds all the time instead of happening now and then.
    package var isSteady: Bool {
        switch self {
        case .loss, .duplication, .delay, .reordering, .drift, .skew, .slowruntime: true
        default: false
        }
    }
}

/// What goes wrong in a run, and how badly.
package struct Faults: Sendable {
    /// What can happen; the order decides which draw means what.
    package var kinds: [FaultKind]
    /// How the network behaves in the safety phase.
    package var conditions = NetworkConditions()
    /// The mean time between incidents.
    package var incidentInterval: Duration = .milliseconds(1_500)
    /// By how much clocks run fast or slow at most, in billionths; below `LockConfiguration`'s ρ.
    package var driftPartsPerBillionMax: Int64 = 0
    /// By how much wall clocks are off at most.
    package var wallSkewMax: Duration = .zero
    /// Whether a majority of machines may be down or stand still at a time.
    package var isStorm = true
    /// The share of container steps that take long.
    package var slowStepShare = 0.0
    /// Whether a minority stays away when the faults are over, and the rest must go on without it.
    package var leavesMinority = false

    /// Nothing goes wrong.
    package static let none = Faults(kinds: [])

    /// What `all` stands for: everything that the promises hold against.
    package static let standardKinds = FaultKind.allCases

    private init(kinds: [FaultKind]) {
        self.kinds = kinds
    }

    /// Draws how badly each of these goes wrong.
    ///
    /// With `isSwarm` each kind is left out now and then: what always goes wrong hides what goes
    /// wrong without it (Groce et al., "Swarm Testing", ISSTA 2012).
    package init(
        drawnFrom kinds: [FaultKind], isSwarm: Bool, using random: inout SeededGenerator
    ) {
        self.kinds = kinds.filter { _ in !isSwarm || random.happens(0.7) }
        // Every number is drawn, wanted or not, so that leaving a kind out changes nothing else.
        let loss = [0.01, 0.05, 0.2][random.index(below: 3)]
        let duplication = 0.1 * random.fraction()
        let delayMax = Duration.milliseconds([1, 5, 30][random.index(below: 3)])
        let tailShare = 0.05 * random.fraction()
        let tailMax = Duration.milliseconds(50 + random.index(below: 1_000))
        incidentInterval = .milliseconds(300 + random.index(below: 2_500))
        let drift = Int64(random.index(below: 9_000_000))
        let slowShare = 0.1 * random.fraction()
        isStorm = random.happens(0.5)
        let heldShare = 0.1 + 0.3 * random.fraction()
        leavesMinority = random.happens(0.4) && has(.partition) && has(.crash)
        if has(.loss) { conditions.loss = loss }
        if has(.duplication) { conditions.duplication = duplication }
        if has(.delay) {
            conditions.delayMax = delayMax
            conditions.tailShare = tailShare
            conditions.tailMax = tailMax
        }
        if has(.reordering) { conditions.heldShare = heldShare }
        if has(.drift) { driftPartsPerBillionMax = drift }
        if has(.skew) { wallSkewMax = .seconds(120) }
        if has(.slowruntime) { slowStepShare = slowShare }
    }

    /// Whether this kind of thing goes wrong.
    package func has(_ kind: FaultKind) -> Bool { kinds.contains(kind) }
}

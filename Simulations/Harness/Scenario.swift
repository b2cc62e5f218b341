package import Cluster
package import Lock
package import Model

/// What one simulated run is made of; with the seed it fixes every step.
package struct Scenario: Sendable {
    /// Every random choice of the run descends from it.
    package var seed: UInt64
    /// How many machines there are, 1 or more.
    package var nodeCount: Int
    /// How many tasks are submitted.
    package var taskCount: Int
    /// What goes wrong in the safety phase.
    package var faults: Faults = .all
    /// How long the safety phase lasts, in virtual time.
    package var safetyPhase: Duration = .seconds(30)
    /// How long the liveness phase may last, in virtual time.
    package var livenessLimit: Duration = .seconds(180)
    /// Timing of the nodes.
    package var profile: TimingProfile = .local
    /// When nodes claim.
    package var policy: StealPolicy = .proportional(.standard)
    /// What each node gives to tasks.
    package var capacity = Resources(cpuMillis: 2_000, memoryBytes: 2 << 30)
    /// A rule of the lock that is broken on purpose.
    package var mutation: LockMutation?
    /// Whether packets carry real Ed25519 signatures; slower.
    package var usesRealSignatures = false
    /// Whether the last events are kept for people to read.
    package var keepsTrail = false

    /// Makes a scenario with every other setting at its default.
    package init(seed: UInt64, nodeCount: Int, taskCount: Int) {
        self.seed = seed
        self.nodeCount = nodeCount
        self.taskCount = taskCount
    }
}

/// What goes wrong, and how often.
package struct Faults: Sendable {
    /// The share of datagrams that are lost, 0…1.
    package var loss = 0.0
    /// The share of datagrams that arrive twice, 0…1.
    package var duplication = 0.0
    /// The shortest way of a packet.
    package var delayMin: Duration = .microseconds(200)
    /// The longest way of a packet; datagrams overtake each other within this range.
    package var delayMax: Duration = .milliseconds(2)
    /// Whether daemons and machines crash and restart.
    package var crashes = false
    /// Whether the network splits, whole and one-way.
    package var partitions = false
    /// Whether machines stand still for a while.
    package var freezes = false
    /// By how much the rates of clocks differ from true time at most, as a fraction.
    package var drift = 0.0

    /// Nothing goes wrong.
    package static let none = Faults()
    /// Everything goes wrong.
    package static let all = Faults(
        loss: 0.05, duplication: 0.02, delayMax: .milliseconds(20), crashes: true,
        partitions: true, freezes: true, drift: 0.005)

    /// Makes a choice of faults.
    package init(
        loss: Double = 0, duplication: Double = 0, delayMin: Duration = .microseconds(200),
        delayMax: Duration = .milliseconds(2), crashes: Bool = false, partitions: Bool = false,
        freezes: Bool = false, drift: Double = 0
    ) {
        self.loss = loss
        self.duplication = duplication
        self.delayMin = delayMin
        self.delayMax = delayMax
        self.crashes = crashes
        self.partitions = partitions
        self.freezes = freezes
        self.drift = drift
    }
}

package import Cluster
import Lock
package import Model

/// What one simulated run is made of; with the seed it fixes every step.
package struct Scenario: Sendable {
    /// Which signatures packets carry.
    package enum Signatures: String, Sendable, CaseIterable {
        /// A cheap stand-in.
        case simulated
        /// The real thing.
        case ed25519
    }

    /// Every random choice of the run descends from it.
    package var seed: UInt64
    /// How many machines there are, 1 or more.
    package var nodeCount: Int
    /// How many tasks are submitted in the safety phase.
    package var taskCount: Int
    /// What may go wrong in the safety phase.
    package var faultKinds: [FaultKind] = Faults.standardKinds
    /// Whether each seed leaves out some of the kinds.
    package var isSwarm = true
    /// How long the safety phase lasts, in virtual time.
    package var safetyPhase: Duration = .seconds(30)
    /// How long the liveness phase may last, in virtual time.
    package var livenessLimit: Duration = .seconds(240)
    /// Timing of the nodes.
    package var profile: TimingProfile = .local
    /// When nodes claim.
    package var policy: StealPolicy = .proportional()
    /// What each node gives to tasks.
    package var capacity = Resources(cpuMillis: 2_000, memoryBytes: 2 << 30)
    /// What each node gives to tasks, where they differ; `capacity` for those beyond the end.
    package var capacities: [Resources] = []
    /// How long nodes keep ended tasks; `nil` draws it: mostly long, sometimes a few seconds.
    package var retention: Duration?
    /// The share of tasks that may outlive a lease, 0…1; `nil` draws it from the seed.
    package var longTaskShare: Double?
    /// A rule that is broken on purpose.
    package var mutation: Mutation?
    /// Which signatures packets carry.
    package var signatures: Signatures = .simulated
    /// Whether containers die with their guard; without, one rule is broken on purpose.
    package var hasGuard = true

    /// Makes a scenario with every other setting at its default.
    package init(seed: UInt64, nodeCount: Int, taskCount: Int) {
        self.seed = seed
        self.nodeCount = nodeCount
        self.taskCount = taskCount
    }

    /// The lease of the profile: what lasts longer can break the promises that hang on it.
    var leaseLength: Duration { LockConfiguration(profile: profile).leaseLength }

    /// How much longer absences last than in the profile `local`, for which they are given: some
    /// of them must outlast a lease, whatever the profile.
    package var absenceScale: Double {
        leaseLength / LockConfiguration(profile: .local).leaseLength
    }
}

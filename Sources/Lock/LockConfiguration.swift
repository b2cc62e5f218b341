package import Model
package import Raft

/// The numbers of the lock.
package struct LockConfiguration: Hashable, Sendable {
    /// The log's time-outs.
    package var raft: RaftConfiguration
    /// How long a lease is with three voters or more.
    package var leaseLength: Duration
    /// How long a lease is with fewer voters, where losing one stops the lock for longer.
    package var leaseLengthWithFewVoters: Duration
    /// How long a voter may be dead before it is replaced.
    package var replaceAfter: Duration
    /// How long a request waits for its answer before it is sent again.
    package var requestTimeout: Duration
    /// Breaks one rule on purpose, for tests that must notice.
    package var mutation: LockMutation?

    /// ρ: by how much the rate of a clock may be off, as a fraction; 1 in 100.
    package static let driftMax = 0.01
    /// The part of a lease that a holder keeps for killing its containers; 1 in 20.
    package static let killShare = 0.05
    /// The longest lease that anybody believes in.
    package static let leaseLengthMax: Duration = .seconds(600)
    /// How many parts of a lease pass between renewals.
    package static let renewalsPerLease = 4
    /// The most operations in one request.
    package static let operationsMax = 64
    /// The most operations that wait at one node.
    package static let queueMax = 65_536
    /// How many entries are applied before the log is compacted.
    package static let compactEvery: UInt64 = 4_096
    /// How many voters a large cluster has.
    package static let votersMax = 5

    /// The numbers that suit a kind of network.
    package init(profile: TimingProfile) {
        raft = RaftConfiguration(profile: profile)
        switch profile {
        case .local:
            leaseLength = .seconds(5)
            leaseLengthWithFewVoters = .seconds(5)
            replaceAfter = .seconds(3)
            requestTimeout = .milliseconds(400)
        case .lan:
            leaseLength = .seconds(20)
            leaseLengthWithFewVoters = .seconds(120)
            replaceAfter = .seconds(20)
            requestTimeout = .seconds(1)
        case .wan:
            leaseLength = .seconds(40)
            leaseLengthWithFewVoters = .seconds(120)
            replaceAfter = .seconds(60)
            requestTimeout = .seconds(4)
        }
    }

    /// How long a holder may trust a lease of this length, from the moment when it asked.
    static func holderLease(_ length: Duration) -> Duration {
        length * (1 - driftMax - killShare)
    }

    /// How long a leader waits before it expires a lease of this length.
    static func leaderLease(_ length: Duration) -> Duration {
        length * (1 + driftMax)
    }
}

package import Gossip
package import Lock
package import Model

/// What a node starts from: its disk, its configuration and fresh randomness.
package struct NodeBoot: Sendable {
    /// What its disk holds; empty in a new data directory.
    package var image: DurableImage
    /// Its Ed25519 key pair; the driver draws it once and keeps it.
    package var key: NodeKey
    /// The key that was to take its place when the node last ran, if there is one; the disk tells
    /// whether it has.
    package var nextKey: NodeKey?
    /// Drawn anew at each start, never loaded.
    package var bootID: BootID
    /// The seed of all the randomness in this life of the core, drawn anew at each start.
    package var seed: UInt64
    /// Containers of an earlier life, found by the runner.
    package var containers: [AdoptedContainer]
    /// Whether `Instant`s on disk still mean something: false after the machine itself restarted.
    package var isSameMachineBoot: Bool
    /// The machine and the place on it: another one for each copy of the data directory.
    package var machine: MachineID
    /// What the wall clock shows.
    package var wallTime: WallTime
    /// Whether a part of what the lock had written is gone: the node can't vote any more, since it
    /// does not know what it has promised.
    package var hasLostLock = false

    /// Makes a start.
    package init(
        image: DurableImage, key: NodeKey, bootID: BootID, seed: UInt64,
        containers: [AdoptedContainer] = [], isSameMachineBoot: Bool = false,
        machine: MachineID = .unknown, wallTime: WallTime
    ) {
        self.image = image
        self.key = key
        self.bootID = bootID
        self.seed = seed
        self.containers = containers
        self.isSameMachineBoot = isSameMachineBoot
        self.machine = machine
        self.wallTime = wallTime
    }
}

/// How a node begins its life in a cluster.
package enum NodeOrigin: Hashable, Sendable {
    /// Found a new cluster; allowed with an empty disk only.
    case found(nonce: UInt64)
    /// Go on as the member that the disk describes.
    case resume
    /// Wait for a `join` request; allowed with an empty disk only.
    case join
}

/// Rules of the node that tests break one by one: each must be noticed.
package enum NodeMutation: String, Hashable, Sendable, CaseIterable {
    /// Starts what is made without another look at the lease.
    case startsUnchecked
}

/// What an operator sets for a node.
package struct NodeConfiguration: Sendable {
    /// The node's name; 1…63 characters.
    package var name: String
    /// The address that others use to reach this node.
    package var advertise: PeerAddress
    /// What tasks may use of this machine.
    package var capacity: Resources
    /// Labels `K=V`, sorted.
    package var labels: [String] = []
    /// Timing of membership and lock.
    package var profile: TimingProfile = .lan {
        didSet { lock = LockConfiguration(profile: profile) }
    }
    /// When to steal which task.
    package var policy: StealPolicy = .proportional()
    /// How long an ended task is kept before it may be collected.
    package var retention: Duration = .seconds(3600)
    /// How long a submission waits for other nodes' disks before it settles for fewer.
    package var ackWait: Duration = .seconds(2)
    /// How many other nodes keep the end of each task's output; 0 for none.
    package var logCopies: Int = 2
    /// The version of this software.
    package var version: String = SoftwareVersion.text
    /// Directories below which tasks may mount volumes; used for `eligible` and `why`.
    package var volumesAllowed: [String] = []
    /// Capabilities beyond the usual ones that tasks may have, or `ALL`.
    package var capabilitiesAllowed: [String] = []
    /// Whether tasks may have the node's own network.
    package var allowsHostNetwork: Bool = false
    /// Whether the node can limit what tasks write to disk.
    package var limitsDisk: Bool = false
    /// Whether the node can limit memory, processors and processes of tasks.
    package var limitsResources: Bool = true
    /// Whether tasks can have other users than root.
    package var hasOtherUsers: Bool = true
    /// Whether tasks can have users of their own, who are nobody on the node.
    package var hasUsersToGive: Bool = true
    /// Whether this node takes tasks at all (it has a container runtime).
    package var takesTasks: Bool = true
    /// The numbers of the lock; those that suit the profile unless a test sets others.
    package var lock: LockConfiguration
    /// What a later version would add to the records that it writes, for simulations of upgrades.
    ///
    /// Nothing in the current version. At most `UnknownFields.tailSizeBytesMax` bytes.
    package var newerFields: [UInt8] = []
    /// A rule of the membership that is broken on purpose, for tests that must notice.
    package var gossipMutation: GossipMutation?
    /// A rule of the table that is broken on purpose, for tests that must notice.
    package var tableMutation: TableMutation?
    /// Breaks one rule on purpose, for tests that must notice.
    package var mutation: NodeMutation?
    /// The signature scheme; anything else than Ed25519 is for simulations.
    package var signatures: any SignatureScheme = Ed25519()

    /// Makes a configuration with every other setting at its default.
    package init(name: String, advertise: PeerAddress, capacity: Resources) {
        self.name = name
        self.advertise = advertise
        self.capacity = capacity
        lock = LockConfiguration(profile: profile)
    }
}

import Cluster
import Gossip
import Model

/// A machine: disk and containers outlive the daemon, the disk outlives the machine's crash.
///
/// A class, so that its node changes in place; it never leaves its world.
final class Machine {
    let index: Int
    let address: PeerAddress
    var key: NodeKey
    var clock: VirtualClock
    var disk: VirtualDisk
    var runtime: VirtualRuntime
    var images = VirtualImages()
    /// The copies that it keeps of others' logs; simulated programs write nothing.
    var logCopies: [ContainerID: LogChunk] = [:]
    /// The running daemon's core; `nil` while the daemon is down.
    var node: RunningNode?
    /// Rises whenever the daemon starts or stops; what belongs to another life is void.
    var life: UInt64 = 0
    /// Whether the machine itself was restarted since the daemon last ran.
    var hasRebooted = true
    /// Until when the daemon stands still.
    var frozenUntil: Int64 = 0
    /// Until when everything on the machine stands still.
    var pausedUntil: Int64 = 0
    /// The wake that counts; others are void.
    var wakeAt: Int64 = .max
    /// How often in a row the node wanted to be woken at once.
    var spinCount = 0
    /// The process that ends what hangs on the node's lease.
    var guardian = VirtualGuard()
    /// When the guard's timer is looked at next, or 0.
    var guardWatchedUntil: Int64 = 0
    /// How long syncs take at least; raised while the disk is slow.
    var syncMin: Duration = .microseconds(80)
    var syncMax: Duration = .microseconds(500)
    /// No answer of the disk reaches the core before then: another one comes first.
    var answersDue: Int64 = 0
    /// Whether it says that it leads the lock's voters.
    var isLeader = false
    /// The log index whose table was last compared.
    var lockIndexSeen: UInt64 = 0
    /// How far the committed entries of this life were compared.
    var committedSeen = FencingToken(generation: 0, index: 0)
    /// Counts the disks that this machine has had; an old copy that comes back is another one.
    var incarnation = 0
    /// A copy of the disk that may come back.
    var backup: VirtualDisk?
    /// Whether its daemon is of the next version, which writes what this one does not know.
    var isNewer = false
    /// Whether it was a copy, and its daemon has ended for good.
    var isEnded = false
    /// Whether a person has shut its node out, and the lock has agreed.
    var isShutOut = false
    /// When it ended.
    var endedAt: Int64?

    init(
        index: Int, address: PeerAddress, key: NodeKey, clock: VirtualClock,
        runtime: VirtualRuntime, driver: DriverMutation? = nil
    ) {
        disk = VirtualDisk(mutation: driver)
        self.index = index
        self.address = address
        self.key = key
        self.clock = clock
        self.runtime = runtime
    }

    /// The name under which the machine appears in traces.
    var name: String { "n\(index + 1)" }
}

import Cluster
import Gossip
import Model

/// A machine: its disk and containers outlive the daemon, its disk outlives the machine.
struct VirtualMachine {
    /// A container, without the processes.
    struct Container {
        enum State: Equatable {
            case creating
            case created
            case running
            case ended(ContainerEvent)
        }

        var state: State
        var spec: TaskSpec
        /// Tells an event that was scheduled for this container from one for its predecessor.
        var generation: UInt64
    }

    let index: Int
    let address: PeerAddress
    let key: NodeKey
    var disk = VirtualDisk()
    var containers: [ContainerID: Container] = [:]
    var node: Node?
    /// Counts the daemon's lives; events of an earlier one are void.
    var life: UInt64 = 0
    /// Whether the machine itself has restarted since the daemon last ran.
    var hasRebooted = false
    var frozenUntil: Int64 = 0
    /// What the local clock showed at virtual time zero, and how fast it runs.
    let clockOffset: Int64
    let clockRate: Double
    /// For when the daemon is woken; later wakes are void.
    var wakeAt: Int64 = .max
    var busyNanoseconds: Int64 = 0

    /// What the local clock shows.
    func localTime(at time: Int64) -> Instant {
        Instant(nanoseconds: clockOffset + Int64(Double(time) * clockRate))
    }

    /// When the local clock will show `instant`; never earlier than that.
    func virtualTime(of instant: Instant) -> Int64 {
        let elapsed = instant.nanoseconds.subtractingReportingOverflow(clockOffset)
        guard !elapsed.overflow, elapsed.partialValue < Int64.max / 4 else { return .max }
        var time = Int64(Double(max(elapsed.partialValue, 0)) / clockRate)
        while localTime(at: time) < instant { time += 1 }
        return time
    }

    /// What a starting daemon finds of its earlier life.
    var adoptable: [AdoptedContainer] {
        containers.sorted { $0.key < $1.key }.compactMap { id, container in
            switch container.state {
            case .creating: nil
            case .created: AdoptedContainer(id: id, state: .created)
            case .running: AdoptedContainer(id: id, state: .started)
            case .ended(let event): AdoptedContainer(id: id, state: event)
            }
        }
    }
}

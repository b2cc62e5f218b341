import Cluster
import Gossip
import Lock
import Model

/// Daemons start, join, stop and crash.
extension World {
    /// Starts the daemon of a machine from what its disk holds.
    func start(_ machine: Machine, founding: Bool = false) {
        guard machine.node == nil else { return }
        let image = machine.disk.image
        let isNew = image[.identity].isEmpty
        let origin: NodeOrigin =
            founding ? .found(nonce: random.boots.next()) : isNew ? .join : .resume
        let boot = NodeBoot(
            image: image, key: machine.key, bootID: BootID(random.boots.next()),
            seed: random.boots.next(), containers: machine.runtime.adoptable,
            isSameMachineBoot: !machine.hasRebooted,
            machine: machineID(of: machine), wallTime: machine.clock.wall(at: now))
        machine.life += 1
        machine.hasRebooted = false
        machine.spinCount = 0
        machine.committedSeen = FencingToken(generation: 0, index: 0)
        trace.note(
            "\(machine.name) starts (\(origin), boot \(boot.bootID), "
                + "\(boot.containers.count) containers)", at: now)
        do throws(Refusal) {
            machine.node = RunningNode(
                try Node(
                    boot: boot, configuration: configuration(of: machine), origin: origin,
                    at: machine.clock.local(at: now)))
        } catch {
            // A person makes another node of it; a copy of what was shut out is shut out, too.
            guard !evicted.contains(machine.key.id) else {
                if machine === impostor { end(machine) }
                return
            }
            return checker.fail("\(machine.name) does not start: \(error.message)", at: now)
        }
        queue.insert(.report(machine.index, life: machine.life), at: now)
        if isNew, !founding { queue.insert(.join(machine.index, life: machine.life), at: now) }
    }

    private func configuration(of machine: Machine) -> NodeConfiguration {
        var configuration = NodeConfiguration(
            name: nodeName(of: machine), advertise: machine.address,
            capacity: scenario.capacity(of: machine.index))
        configuration.profile = scenario.profile
        configuration.policy = scenario.policy
        configuration.retention = clients.retention
        configuration.version = version(of: machine)
        if machine.isNewer { configuration.newerFields = World.newerFields }
        scenario.mutation?.apply(to: &configuration)
        configuration.signatures = scenario.scheme
        return configuration
    }

    /// Each copy runs on a machine that was there for no other.
    private func machineID(of machine: Machine) -> MachineID {
        let isCopy = machine.index >= machines.count
        return MachineID(UInt64(machine.index) + 1 + (isCopy ? UInt64(machine.incarnation) : 0))
    }

    /// A copy has the configuration of its original, too.
    private func nodeName(of machine: Machine) -> String {
        machines.first { $0.key.id == machine.key.id }?.name ?? machine.name
    }

    /// What the daemons of a machine call their version.
    func version(of machine: Machine) -> String {
        machine.isNewer ? "next" : SoftwareVersion.text
    }

    /// What the next version writes into records, and this one does not know.
    private static let newerFields = Array("of the next version".utf8)

    /// Whether the bytes of a record hold them.
    static func holdsNewerFields(_ bytes: [UInt8]) -> Bool {
        let count = newerFields.count
        guard bytes.count >= count else { return false }
        return (0...(bytes.count - count)).contains { start in
            bytes[start..<(start + count)].elementsEqual(newerFields)
        }
    }

    // MARK: Joining

    /// Asks some member for a token; the answer leads on to `join(_:with:by:)`.
    func join(_ machine: Machine) {
        guard let node = machine.node, !node.isMember else { return }
        queue.insert(
            .join(machine.index, life: machine.life),
            at: now + World.joinRetryInterval.nanoseconds)
        // Nobody gives a newcomer the address of a machine that is known to be out of reach for good.
        let members = machines.filter {
            $0.node?.isMember == true && $0.frozenUntil <= now
                && absentees.contains($0.index) == absentees.contains(machine.index)
        }
        guard !members.isEmpty else { return }
        // Newcomers spread over those that are there, but not over other newcomers.
        let inviter = members[random.boots.index(below: min(members.count, machine.index + 1))]
        ask(inviter, .issueToken(lifetime: .seconds(3_600)), for: .token(joiner: machine.index))
    }

    /// How long a newcomer waits before it asks for another token.
    private static let joinRetryInterval: Duration = .seconds(10)

    /// A member has made a token: the newcomer joins with it.
    func join(_ index: Int, with token: String, by inviter: Machine) {
        ask(place(index), .join(seeds: [inviter.address], token: token), for: .join)
    }

    // MARK: Stopping

    /// Kills a daemon; its containers live on, and some of its last writes may be on disk.
    func crash(_ machine: Machine) {
        guard machine.node != nil else { return }
        let survivors = random.crashes.index(below: machine.disk.unsyncedCount + 1)
        trace.note(
            "\(machine.name) crashes; \(survivors) of \(machine.disk.unsyncedCount) "
                + "writes survive", at: now)
        machine.node = nil
        machine.life += 1
        machine.wakeAt = .max
        machine.frozenUntil = 0
        machine.answersDue = 0
        machine.disk.crash(survivors: survivors)
        machine.runtime.daemonCrashed()
        flushStreams(of: machine)
        clients.lost(machine)
    }

    /// Stops a machine: everything that runs on it ends, and its monotonic clock starts anew.
    func reboot(_ machine: Machine) {
        crash(machine)
        for id in machine.runtime.machineCrashed() { liveEnded(id, nil, on: machine) }
        machine.hasRebooted = true
        machine.guardian = VirtualGuard()
        machine.clock.offset = 1_000_000_000_000 + Int64(random.crashes.next() >> 30) - now
    }

    /// Starts a daemon again after a while.
    func restart(_ machine: Machine, after delay: Int64) {
        queue.insert(.start(machine.index, life: machine.life), at: now + delay)
    }
}

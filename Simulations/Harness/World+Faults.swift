import Cluster
import Model

/// What goes wrong in the safety phase.
extension World {
    /// The longest that a daemon stays down, or stands still, while its machine runs on.
    ///
    /// Well below a lease: without a guard process nobody ends the containers of a daemon that is
    /// away for longer (README, "What it does not do yet").
    private static let absenceMax: Duration = .seconds(2)

    mutating func injectFault() {
        guard isSafetyPhase else { return }
        heap.insert(.fault, at: time + 300_000_000 + Int64(random.next() % 2_000_000_000))
        var kinds: [(inout World) -> Void] = []
        if scenario.faults.crashes {
            kinds += [{ $0.crashDaemon() }, { $0.crashDaemon() }, { $0.crashMachine() }]
        }
        if scenario.faults.partitions { kinds += [{ $0.split() }, { $0.cutOneWay() }] }
        if scenario.faults.freezes { kinds += [{ $0.freeze() }] }
        guard !kinds.isEmpty else { return }
        kinds[Int(random.next() % UInt64(kinds.count))](&self)
    }

    private mutating func anyMachine() -> Int {
        Int(random.next() % UInt64(machines.count))
    }

    /// Kills the daemon; containers go on.
    private mutating func crashDaemon() {
        let index = anyMachine()
        guard machines[index].node != nil else { return }
        stop(index)
        let absence = random.duration(upTo: World.absenceMax).nanoseconds
        heap.insert(.restart(index), at: time + 50_000_000 + absence)
    }

    /// Stops the whole machine; containers end.
    private mutating func crashMachine() {
        let index = anyMachine()
        guard machines[index].node != nil else { return }
        stop(index)
        for id in machines[index].containers.keys.sorted()
        where machines[index].containers[id]?.state == .running {
            checker.ended(id, on: index)
            machines[index].busyNanoseconds += time
        }
        machines[index].containers = [:]
        machines[index].hasRebooted = true
        let absence = random.duration(upTo: .seconds(12)).nanoseconds
        heap.insert(.restart(index), at: time + 1_000_000_000 + absence)
    }

    private mutating func stop(_ index: Int) {
        counts.crashes += 1
        machines[index].node = nil
        machines[index].wakeAt = .max
        machines[index].life += 1
        let pending = machines[index].disk.pending.count
        machines[index].disk.crash(survivors: Int(random.next() % UInt64(pending + 1)))
        workload.lost(machine: index)
        // What was being created dies with its creator.
        for (id, container) in machines[index].containers where container.state == .creating {
            machines[index].containers[id] = nil
        }
    }

    private mutating func split() {
        let members = (0..<machines.count).shuffled(using: &random)
        let size = 1 + Int(random.next() % UInt64(max(1, machines.count - 1)))
        network.separate(
            Set(members.prefix(size)), from: Set(members.dropFirst(size)), isOneWay: false)
        heal(after: .seconds(9))
    }

    private mutating func cutOneWay() {
        let from = anyMachine()
        let others = Set(0..<machines.count).subtracting([from])
        network.separate([from], from: others, isOneWay: true)
        heal(after: .seconds(4))
    }

    private mutating func heal(after limit: Duration) {
        heap.insert(.heal, at: time + 300_000_000 + random.duration(upTo: limit).nanoseconds)
    }

    private mutating func freeze() {
        let index = anyMachine()
        machines[index].frozenUntil =
            time + random.duration(upTo: World.absenceMax).nanoseconds
    }

    /// The end of all faults: links open, machines run, daemons start.
    mutating func endFaults() {
        isSafetyPhase = false
        network.heal()
        network.faults.loss = 0
        network.faults.duplication = 0
        for index in machines.indices where machines[index].node == nil {
            heap.insert(.restart(index), at: time)
        }
    }
}

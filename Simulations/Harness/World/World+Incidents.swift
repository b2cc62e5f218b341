import Cluster
import Model

/// What ends an incident.
enum Relief {
    /// A cut from one group to another is taken back.
    case mend(from: [Int], to: [Int])
    /// A machine's disk is as it should be again.
    case disk(Int)
    /// A machine that stood still goes on.
    case resume(Int)
    /// A guard that stood still goes on.
    case thawGuard(Int)
    /// A time in which nothing may go wrong is over.
    case calm
    /// A person removes what a copy has left.
    case purge(Int, life: UInt64)
    /// A person makes another node of a machine whose node was shut out.
    case replace(Int)
}

/// What goes wrong in the safety phase, and when it is over.
extension World {
    /// Something goes wrong, and the next incident is arranged.
    func incident() {
        guard isSafetyPhase else { return }
        let pause =
            -faults.incidentInterval.seconds * scenario.absenceScale
            * logarithm(1 - random.incidents.fraction())
        queue.insert(.incident, at: max(calmUntil, now + max(1_000_000, Int64(pause * 1e9))))
        guard calmUntil <= now else { return }
        let kinds = faults.kinds.filter { World.weights[$0] != nil }
        let total = kinds.reduce(0) { $0 + (World.weights[$1] ?? 0) }
        guard total > 0 else { return }
        var draw = random.incidents.index(below: total)
        for kind in kinds {
            draw -= World.weights[kind] ?? 0
            if draw < 0 { return happen(kind) }
        }
    }

    /// How often each kind happens, in relation to the others; what is not here always holds.
    private static let weights: [FaultKind: Int] = [
        .clog: 3, .partition: 4, .oneway: 3, .reset: 3, .crash: 6, .reboot: 3, .freeze: 4,
        .pause: 2, .slowdisk: 2, .fulldisk: 1, .vanish: 1, .wipe: 1,
        .guardkill: 1, .guardfreeze: 2, .rollback: 3, .upgrade: 3, .clone: 3, .evict: 1,
    ]

    private func happen(_ kind: FaultKind) {
        let machine = anyVictim()
        trace.note("incident: \(kind.rawValue), \(machine.name)", at: now)
        var happens = true
        switch kind {
        case .clog: clogLinks(of: machine)
        case .partition: split()
        case .oneway: deafen()
        case .reset: resetStreams(of: machine)
        case .crash: crashSome(machine)
        case .reboot: rebootOne(machine)
        case .freeze: freeze(machine, wholly: false)
        case .pause: freeze(machine, wholly: true)
        case .slowdisk, .fulldisk: troubleDisk(of: machine, isFull: kind == .fulldisk)
        case .vanish: vanishOne(on: machine)
        case .guardkill: if machine.pausedUntil <= now { killGuard(of: machine) }
        case .guardfreeze:
            freezeGuard(of: machine, until: now + span(.milliseconds(20), .seconds(12)))
        case .wipe: happens = wipe(machine)
        case .rollback: happens = rollBack(machine)
        case .upgrade: happens = upgrade(machine)
        case .clone: happens = clone(machine)
        case .evict: happens = evict(machine)
        case .loss, .duplication, .delay, .reordering, .drift, .skew, .slowruntime: break
        }
        if happens { counts.incidents[kind, default: 0] += 1 }
    }

    /// Any machine, and the lock's leader more often than others.
    private func anyVictim() -> Machine {
        let leaders = machines.filter { $0.isLeader && $0.node != nil }
        if let leader = leaders.first, random.incidents.happens(0.25) { return leader }
        return machines[random.incidents.index(below: machines.count)]
    }

    func span(_ least: Duration, _ most: Duration) -> Int64 {
        // Many short ones, some long ones.
        let share = random.incidents.fraction()
        let range = Double((most - least).nanoseconds) * scenario.absenceScale
        return least.nanoseconds + Int64(share * share * range)
    }

    // MARK: Network

    private func split() {
        let order = machines.indices.shuffled(using: &random.incidents)
        let size = 1 + random.incidents.index(below: max(1, machines.count - 1))
        var group = Array(order.prefix(size))
        var others = Array(order.dropFirst(size))
        addCopy(to: &group, or: &others)
        let end = now + span(.milliseconds(100), .seconds(15))
        cut(from: group, to: others, until: end)
        cut(from: others, to: group, until: end)
    }

    private func deafen() {
        let order = machines.indices.shuffled(using: &random.incidents)
        let size = 1 + random.incidents.index(below: max(1, machines.count / 2))
        let end = now + span(.milliseconds(100), .seconds(12))
        var group = Array(order.prefix(size))
        var others = Array(order.dropFirst(size))
        addCopy(to: &group, or: &others)
        cut(from: group, to: others, until: end)
    }

    func cut(from group: [Int], to others: [Int], until end: Int64) {
        network.cut(from: group, to: others)
        queue.insert(.relief(.mend(from: group, to: others)), at: end)
    }

    private func clogLinks(of machine: Machine) {
        let end = now + span(.milliseconds(50), .seconds(3))
        for other in machines.indices where other != machine.index {
            if random.incidents.happens(0.5) {
                network.clog(network.link(from: machine.index, to: other), until: end)
            }
            if random.incidents.happens(0.5) {
                network.clog(network.link(from: other, to: machine.index), until: end)
            }
        }
    }

    private func resetStreams(of machine: Machine) {
        for other in machines.indices where other != machine.index {
            network.reset(network.link(from: machine.index, to: other))
            network.reset(network.link(from: other, to: machine.index))
        }
    }

    // MARK: Daemons and machines

    private func crashSome(_ machine: Machine) {
        var victims = [machine]
        if random.incidents.happens(0.1) {
            victims = machines
        } else if random.incidents.happens(0.2) {
            victims.append(machines[random.incidents.index(below: machines.count)])
        }
        for victim in victims where victim.pausedUntil <= now && mayBeAbsent(victim) {
            crash(victim)
            restart(victim, after: span(.milliseconds(20), .seconds(12)))
        }
    }

    private func rebootOne(_ machine: Machine) {
        guard machine.pausedUntil <= now, mayBeAbsent(machine) else { return }
        reboot(machine)
        restart(machine, after: span(.seconds(1), .seconds(20)))
    }

    /// Whether one more machine may be down or stand still.
    ///
    /// In a storm all of them may. Otherwise a majority is always there: only then tasks are
    /// granted elsewhere while their holder is away, and the rules of leases are put to the test.
    func mayBeAbsent(_ machine: Machine) -> Bool {
        guard machine.node != nil else { return false }
        let absent = machines.count { other in
            other !== machine && (other.node == nil || other.frozenUntil > now)
        }
        return faults.isStorm || absent < max(1, (machines.count - 1) / 2)
    }

    private func freeze(_ machine: Machine, wholly: Bool) {
        guard machine.frozenUntil <= now, mayBeAbsent(machine) else { return }
        machine.frozenUntil = now + span(.milliseconds(20), .seconds(10))
        if wholly { pause(machine) }
    }

    /// What runs on the machine stands still with it, and does no harm meanwhile.
    private func pause(_ machine: Machine) {
        machine.pausedUntil = machine.frozenUntil
        for id in machine.runtime.ids where machine.runtime[id]?.phase == .running {
            checker.suspended(id, on: machine.name)
        }
        queue.insert(.relief(.resume(machine.index)), at: machine.pausedUntil)
    }

    /// The guard's timer comes first: what outlived its lease does not go on.
    private func resume(_ machine: Machine) {
        // A machine that was replaced meanwhile has been running for long.
        guard machine.pausedUntil == now else { return }
        let isOver = machine.guardian.isDue(local: machine.clock.local(at: now))
        for id in machine.runtime.ids where machine.runtime[id]?.phase == .running {
            guard !isGivenUp(id, on: machine) else { continue }
            checker.started(id, on: machine.name, at: now, isOver: isOver && machine.isBound(id))
        }
        if isOver {
            // The kernel's timers come first, and nothing of the rest has run yet.
            machine.guardian.die()
            guard scenario.hasGuard else { return }
            for step in machine.runtime.guardDied() { advance(machine, step) }
        } else {
            guardDue(machine)
        }
    }

    private func vanishOne(on machine: Machine) {
        let running = machine.runtime.ids.filter { machine.runtime[$0]?.phase == .running }
        guard !running.isEmpty, machine.pausedUntil <= now else { return }
        let id = running[random.incidents.index(below: running.count)]
        if let step = machine.runtime.vanishing(of: id) { advance(machine, step) }
    }

    // MARK: Disks

    private func troubleDisk(of machine: Machine, isFull: Bool) {
        if isFull {
            // No room at all, or some for a while: then a write may fail and the next one not.
            let isFlaky = random.incidents.happens(0.5)
            machine.disk.isFull = !isFlaky
            machine.disk.failureShare = isFlaky ? 0.5 : 0
        } else {
            machine.syncMin = .milliseconds(2)
            machine.syncMax = .milliseconds(10 + random.incidents.index(below: 400))
        }
        queue.insert(
            .relief(.disk(machine.index)), at: now + span(.milliseconds(100), .seconds(6)))
    }

    func relieve(_ relief: Relief) {
        switch relief {
        case .mend(let group, let others):
            if isSafetyPhase { network.mend(from: group, to: others) }
        case .disk(let index):
            place(index).relieveDisk()
        case .resume(let index):
            resume(place(index))
        case .thawGuard(let index):
            thawGuard(of: place(index))
        case .purge(let index, let life):
            purge(place(index), life)
        case .replace(let index):
            replace(place(index))
        case .calm:
            if isSafetyPhase, calmUntil <= now { network.conditions = faults.conditions }
        }
    }
}

extension Machine {
    /// Whether a container must end with the lease.
    func isBound(_ id: ContainerID) -> Bool { runtime[id]?.isLeaseBound == true }

    func relieveDisk() {
        disk.isFull = false
        disk.failureShare = 0
        syncMin = .microseconds(80)
        syncMax = .microseconds(500)
    }
}

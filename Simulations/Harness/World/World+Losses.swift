import Cluster
import Gossip
import Model

/// Disks that are lost, old copies of disks that come back, daemons of another version.
extension World {
    /// At most one disk is lost at a time, and the voters have time to replace it.
    private static let lossPause = 20e9

    var mayLoseDisk: Bool {
        machines.count > 3 && !isCopyAround
            && Double(now - lastWipe) > World.lossPause * scenario.absenceScale
            && machines.allSatisfy { $0.node?.isMember == true && $0.frozenUntil <= now }
    }

    /// A machine loses its disk, and comes back as another node.
    func wipe(_ machine: Machine) -> Bool {
        guard mayLoseDisk else { return false }
        lastWipe = now
        reboot(machine)
        lose(machine)
        restart(machine, after: span(.seconds(1), .seconds(10)))
        return true
    }

    /// A machine's disk is gone for good: it comes back as another node.
    func lose(_ machine: Machine) {
        let old = machine.key.id
        machine.disk.wipe()
        machine.backup = nil
        machine.images = VirtualImages()
        machine.runtime = VirtualRuntime(seed: random.boots.next())
        machine.incarnation += 1
        checker.forgets(machine.name)
        machine.key = NodeKey(
            seed: random.boots.bytes(NodeKey.seedSizeBytes), scheme: scenario.scheme)
        lostNodes.append(old)
        trace.note("\(machine.name) loses its disk", at: now)
    }

    /// An old copy of a disk comes back; when there is none, one is made.
    ///
    /// The assumption that `Docs/Safety.md` names is kept: for a while nothing else goes wrong, so
    /// that a voter hears from others what it has forgotten.
    func rollBack(_ machine: Machine) -> Bool {
        guard let copy = machine.backup else {
            if machine.node?.isMember == true { machine.backup = machine.disk.copy }
            return false
        }
        guard mayLoseDisk else { return false }
        lastWipe = now
        hasRolledBack = true
        let absence = span(.milliseconds(20), .seconds(10))
        if random.incidents.happens(0.5) { reboot(machine) } else { crash(machine) }
        machine.disk = copy
        machine.backup = nil
        machine.incarnation += 1
        checker.forgets(machine.name)
        trace.note("\(machine.name) has an old copy of its disk", at: now)
        restart(machine, after: absence)
        calmUntil = now + absence + Int64(World.calm * scenario.absenceScale)
        network.mendAll()
        network.conditions = NetworkConditions()
        queue.insert(.relief(.calm), at: calmUntil)
        return true
    }

    /// How long nothing goes wrong once an old copy is in use.
    private static let calm = 3e9

    /// A daemon is stopped, and started with the other version.
    func upgrade(_ machine: Machine) -> Bool {
        guard machine.pausedUntil <= now, mayBeAbsent(machine) else { return false }
        crash(machine)
        machine.isNewer.toggle()
        trace.note("\(machine.name) is \(machine.isNewer ? "upgraded" : "downgraded")", at: now)
        restart(machine, after: span(.milliseconds(20), .seconds(2)))
        return true
    }
}

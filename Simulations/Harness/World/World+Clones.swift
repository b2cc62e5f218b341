import Cluster
import Gossip
import Model

/// A copy of a machine's disk runs on another machine, with the original or in its absence.
///
/// The cluster is to keep to the elder of the two, and the younger to stop; a person then ends what
/// is left on its machine.
extension World {
    /// A machine by its number; the one behind the last is the copy's.
    func place(_ index: Int) -> Machine {
        guard index >= machines.count, let impostor else { return machines[index] }
        return impostor
    }

    /// Whether the daemon of a copy runs, or is about to.
    var isCopyAround: Bool { impostor?.isEnded == false }

    /// Whether a copy's daemon runs, or has run so shortly before that its last answers may be on their
    /// way: who hears them stops, and is started again.
    var wasCopyAround: Bool {
        isCopyAround || impostor?.endedAt.map { now - $0 < World.lastWordsMax } ?? false
    }

    /// How long packets are on their way at most, connections that hang included, in nanoseconds.
    private static let lastWordsMax: Int64 = 10_000_000_000

    /// Copies a disk, and starts a daemon with it.
    func clone(_ original: Machine) -> Bool {
        guard machines.count > 2, !isCopyAround, impostor?.runtime.isEmpty ?? true,
            original.node?.isMember == true, original.pausedUntil <= now
        else { return false }
        let copy = newMachine(machines.count, random.boots.next())
        copy.key = original.key
        copy.disk = original.disk.copy
        copy.isNewer = original.isNewer
        copy.life = (impostor?.life ?? 0) + 1
        copy.incarnation = (impostor?.incarnation ?? 0) + 1
        impostor = copy
        checker.forgets(copy.name)
        trace.note("\(copy.name) has a copy of \(original.name)'s disk", at: now)
        switch random.incidents.index(below: 4) {
        case 0 where original.frozenUntil <= now && mayBeAbsent(original):
            original.frozenUntil = now + span(.milliseconds(20), .seconds(10))
        case 1 where mayBeAbsent(original):
            crash(original)
            restart(original, after: span(.milliseconds(20), .seconds(12)))
        case 2: part(copy, from: original)
        default: break
        }
        restart(copy, after: span(.milliseconds(1), .seconds(2)))
        return true
    }

    /// The two can't reach each other, nor the copy some of the others.
    private func part(_ copy: Machine, from original: Machine) {
        let some = machines.indices.filter { $0 != original.index && random.incidents.happens(0.3) }
        let end = now + span(.milliseconds(100), .seconds(15))
        cut(from: [copy.index], to: some + [original.index], until: end)
        cut(from: some + [original.index], to: [copy.index], until: end)
    }

    /// Where the copy stands when the network splits.
    func addCopy(to group: inout [Int], or others: inout [Int]) {
        guard isCopyAround, let impostor else { return }
        if random.incidents.happens(0.5) {
            group.append(impostor.index)
        } else {
            others.append(impostor.index)
        }
    }

    /// A daemon ends since another one has its key; there must be one.
    func stopped(_ machine: Machine, _ reason: String) {
        guard let impostor, wasCopyAround else {
            return checker.fail("\(machine.name) stops without a clone: \(reason)", at: now)
        }
        counts.clonesStopped += 1
        if machine === impostor { return end(impostor) }
        guard machine.key.id == impostor.key.id else {
            return checker.fail("\(machine.name) stops for another's clone: \(reason)", at: now)
        }
        // The copy has lived for longer: a person ends it, and starts the original again.
        crash(machine)
        restart(machine, after: span(.seconds(1), .seconds(4)))
        if isCopyAround { end(impostor) }
    }

    /// The copy's daemon has ended for good; what it has started ends with its lease, or when a
    /// person has removed it.
    func end(_ copy: Machine) {
        copy.isEnded = true
        copy.endedAt = now
        crash(copy)
        // What was to start it is void.
        copy.life += 1
        queue.insert(
            .relief(.purge(copy.index, life: copy.life)),
            at: now + span(.milliseconds(1), .seconds(10)))
    }

    /// A person removes what is left of an ended copy.
    func purge(_ copy: Machine, _ life: UInt64) {
        guard copy.life == life, copy.isEnded else { return }
        for id in copy.runtime.machineCrashed() { liveEnded(id, nil, on: copy) }
        copy.runtime = VirtualRuntime(seed: random.boots.next())
    }

    /// A copy whose original stays away is found and ended by a person.
    func endCopy(of absentees: Set<Int>) {
        guard let impostor, isCopyAround,
            absentees.contains(where: { machines[$0].key.id == impostor.key.id })
        else { return }
        end(impostor)
        purge(impostor, impostor.life)
    }

    /// Whether a task may wait for a copy that is gone, until a person forgets its node.
    func mayWaitForCopy(_ job: Job) -> Bool { impostor != nil && job.spec.onPartition == .wait }
}

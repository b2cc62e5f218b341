import Cluster
import Gossip
import Model
import Raft

/// The faults end, first for a majority, then for all: whatever was promised must come true.
extension World {
    /// Mends what a connected majority needs, and demands that it goes on; then mends the rest.
    func runLivenessPhase() {
        guard checker.violation == nil else { return }
        absentees = drawAbsentees()
        endFaults()
        if !absentees.isEmpty {
            counts.minorities += 1
            run(until: now + World.changeMax)
            // A change of voters that had begun may need those that just went away.
            if isMajorityPresent { settle() }
            guard checker.violation == nil else { return }
            bringBack()
        }
        settle()
        checkAnswers()
    }

    private func settle() {
        let end = now + scenario.livenessLimit.nanoseconds
        while checker.violation == nil, now < end, !isSettled {
            run(until: min(end, now + 500_000_000))
        }
        checkSettled()
    }

    /// Links open, disks have room, daemons run; a minority stays cut off or dead.
    private func endFaults() {
        isSafetyPhase = false
        trace.note("the faults are over", at: now)
        network.mendAll()
        network.conditions = NetworkConditions()
        for machine in machines {
            machine.relieveDisk()
            machine.runtime.latency.slowShare = 0
        }
        let absent = absentees.sorted()
        endCopy(of: absentees)
        if isCopyAround, let impostor {
            network.cut(from: absent, to: [impostor.index])
            network.cut(from: [impostor.index], to: absent)
        }
        network.cut(from: absent, to: present)
        network.cut(from: present, to: absent)
        for index in absent
        where random.incidents.happens(0.5) && machines[index].pausedUntil <= now {
            trace.note("\(machines[index].name) stays away", at: now)
            reboot(machines[index])
            // What was to start it again is void.
            machines[index].life += 1
        }
        for machine in machines where machine.node == nil && !absentees.contains(machine.index) {
            restart(machine, after: 0)
        }
        for machine in machines { replace(machine) }
        for node in lostNodes { queue.insert(.client(.forget(node)), at: now) }
        // All disks that had an image may have been lost.
        importImages()
    }

    private func bringBack() {
        trace.note("all come back", at: now)
        absentees = []
        network.mendAll()
        for machine in machines where machine.node == nil { restart(machine, after: 0) }
        for machine in machines { replace(machine) }
    }

    private var present: [Int] { machines.indices.filter { !absentees.contains($0) } }

    // MARK: The minority

    /// Some machines without which there is a majority of machines, and of every set of voters that
    /// anybody believes in.
    private func drawAbsentees() -> Set<Int> {
        guard faults.leavesMinority, machines.count > 2 else { return [] }
        let sets = machines.flatMap(voterSets)
        let most = (machines.count - 1) / 2
        let wanted = 1 + random.incidents.index(below: most)
        var chosen: Set<Int> = []
        for index in machines.indices.shuffled(using: &random.incidents)
        where chosen.count < wanted {
            let others = Set(
                machines.filter { $0.index != index && !chosen.contains($0.index) }.map(\.key.id))
            let isEnough = sets.allSatisfy { set in
                set.count { others.contains($0) } > set.count / 2
            }
            if isEnough { chosen.insert(index) }
        }
        return chosen
    }

    /// How long a change of voters that has begun may take to be written down, in nanoseconds: nobody
    /// can have noticed before who is away.
    private static let changeMax: Int64 = 2_000_000_000

    /// Whether a majority of every set of voters that a present node believes in is present.
    private var isMajorityPresent: Bool {
        let here = Set(present.map { machines[$0].key.id })
        return present.flatMap { voterSets(of: machines[$0]) }.allSatisfy { set in
            set.count { here.contains($0) } > set.count / 2
        }
    }

    /// The voters as a machine knows them: its daemon, or else its disk.
    private func voterSets(of machine: Machine) -> [[NodeID]] {
        if let node = machine.node { return node.lockVoterSets }
        guard let image = try? RaftImage(restoring: machine.disk.image) else { return [] }
        var newest = image.snapshot.members
        for case .members(let members) in image.entries.map(\.content) { newest = members }
        return [newest.voters, newest.outgoingVoters].filter { !$0.isEmpty }
    }
}

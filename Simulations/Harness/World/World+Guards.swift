import Cluster
import Model

/// The guard of each machine kills what outlives the lease, whatever the daemon does.
extension World {
    /// The daemon has a longer lease.
    func arm(_ machine: Machine, until deadline: Instant) {
        machine.guardian.arm(until: deadline, at: now)
        watchGuard(of: machine)
    }

    /// Whether a container can be made; without a guard it must not.
    func isGuarded(_ machine: Machine) -> Bool {
        guard machine.guardian.isReady(local: machine.clock.local(at: now), at: now) else {
            return false
        }
        watchGuard(of: machine)
        return true
    }

    private func watchGuard(of machine: Machine) {
        guard let deadline = machine.guardian.deadline else { return }
        let due = max(machine.clock.virtual(of: deadline), now)
        guard due > machine.guardWatchedUntil else { return }
        machine.guardWatchedUntil = due
        queue.insert(.guardDue(machine.index), at: due)
    }

    /// A guard's timer may have come.
    func guardDue(_ machine: Machine) {
        machine.guardWatchedUntil = 0
        guard machine.pausedUntil <= now else { return }
        guard machine.guardian.isDue(local: machine.clock.local(at: now)) else {
            return watchGuard(of: machine)
        }
        killGuard(of: machine)
    }

    /// A guard ends, by its timer or by force, and the kernel ends what hung on it.
    func killGuard(of machine: Machine) {
        machine.guardian.die()
        guard scenario.hasGuard else { return }
        schedule(machine.runtime.guardDied(), on: machine)
    }

    /// A guard stands still; its timer does not.
    func freezeGuard(of machine: Machine, until end: Int64) {
        machine.guardian.freeze(until: end)
        queue.insert(.relief(.thawGuard(machine.index)), at: end)
    }

    /// A guard that has not been killed meanwhile reads what it was sent.
    func thawGuard(of machine: Machine) {
        guard machine.guardian.frozenUntil <= now else { return }
        machine.guardian.thaw()
        watchGuard(of: machine)
    }
}

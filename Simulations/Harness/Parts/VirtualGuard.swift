package import Model

/// The guard of one machine: a process outside of the daemon that ends containers with the lease.
///
/// It is killed by a timer of the kernel unless it is armed anew, and its containers die with it.
package struct VirtualGuard: Hashable, Sendable {
    /// When the timer kills it; `nil` while there is no guard.
    package private(set) var deadline: Instant?
    /// Until when the process stands still, in virtual time; its timer does not.
    package private(set) var frozenUntil: Int64 = 0
    /// What the daemon asked for last.
    private var wanted: Instant?

    /// Makes a machine without a guard.
    package init() {}

    /// The daemon moves the end on.
    ///
    /// - Parameters:
    ///   - until: The new end, on the machine's clock.
    ///   - now: Virtual time; a process that stands still does not listen.
    package mutating func arm(until: Instant, at now: Int64) {
        wanted = until
        if frozenUntil <= now { deadline = until }
    }

    /// A container is to be made under it: a new guard takes a dead one's place.
    ///
    /// - Parameters:
    ///   - local: The machine's clock.
    ///   - now: Virtual time.
    /// - Returns: Whether there is one that listens, and a lease.
    package mutating func isReady(local: Instant, at now: Int64) -> Bool {
        guard frozenUntil <= now, let wanted, wanted > local else { return false }
        deadline = wanted
        return true
    }

    /// The process stands still until `end`, in virtual time.
    package mutating func freeze(until end: Int64) { frozenUntil = end }

    /// The process goes on, and reads what it was sent meanwhile.
    package mutating func thaw() {
        frozenUntil = 0
        if deadline != nil { deadline = wanted }
    }

    /// Whether the timer has come.
    package func isDue(local: Instant) -> Bool { deadline.map { $0 <= local } ?? false }

    /// The process ends.
    package mutating func die() {
        deadline = nil
        frozenUntil = 0
    }
}

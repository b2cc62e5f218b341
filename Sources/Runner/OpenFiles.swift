import Glibc

/// How many files this process may have open; each container takes two descriptors here and two in
/// the guard.
package enum OpenFiles {
    /// The limits with which the process was started; containers get the same.
    static let atStart: (soft: UInt64, hard: UInt64) = {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else {
            return (1_024, 4_096)
        }
        return (UInt64(limits.rlim_cur), UInt64(limits.rlim_max))
    }()

    /// Raises the soft limit to the hard one; the usual soft limit of 1,024 is a few hundred tasks.
    package static func raise() {
        let start = atStart
        var limits = rlimit(rlim_cur: rlim_t(start.hard), rlim_max: rlim_t(start.hard))
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
    }
}

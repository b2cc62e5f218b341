/// The capabilities of Linux: which there are, and which a task has.
package enum Capabilities {
    /// All of them, by rising number.
    package static let names: [String] = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID",
        "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN",
        "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE",
        "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
        "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
        "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ].map { "CAP_" + $0 }

    /// What a task has that asks for nothing: podman's eleven.
    package static let usual: Set<String> = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
        "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
        "CAP_SYS_CHROOT",
    ]

    /// The word for all of them.
    package static let all = "ALL"

    /// The full name of what a person wrote: `net_raw`, `CAP_NET_RAW` or `all`; `nil` for what is none.
    package static func name(_ text: some StringProtocol) -> String? {
        let upper = text.uppercased()
        if upper == all { return all }
        let full = upper.hasPrefix("CAP_") ? upper : "CAP_" + upper
        return names.contains(full) ? full : nil
    }

    /// The capabilities that a task with these options has.
    package static func effective(_ options: ContainerOptions) -> Set<String> {
        var kept = usual
        if options.capabilitiesDropped.contains(all) { kept = [] }
        if options.capabilitiesAdded.contains(all) { kept = Set(names) }
        kept.subtract(options.capabilitiesDropped)
        return kept.union(options.capabilitiesAdded.filter(names.contains))
    }

    /// Those of a task that are more than usual and that the operator did not allow, sorted.
    package static func forbidden(
        _ options: ContainerOptions, allowed: [String]
    ) -> [String] {
        if allowed.contains(all) { return [] }
        return effective(options).subtracting(usual).subtracting(allowed).sorted()
    }
}

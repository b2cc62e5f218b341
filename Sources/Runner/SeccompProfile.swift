import Foundation

/// podman's seccomp profile, reduced to this machine's architecture and a task's capabilities.
///
/// Naming the native architecture alone saves more than half of the time that the runtime takes
/// to compile the filter.
final class SeccompProfile: @unchecked Sendable {
    private let action: String
    private let errno: Any?
    private let rules: [[String: Any]]
    private let lock = NSLock()
    private var rights: [Set<String>: Rights] = [:]

    /// What tasks with the same capabilities may ask of the kernel.
    struct Rights {
        /// The `linux.seccomp` object of an OCI configuration.
        let object: [String: Any]
        /// The same, compiled, in Base64; `nil` when that could not be done.
        let compiled: String?
    }

    /// How many filters are kept; tasks with yet other capabilities get theirs made anew.
    private static let rightsMax = 64

    init(path: String) throws(RunnerError) {
        guard let bytes = Files.read(path),
            let parsed = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any],
            let action = parsed["defaultAction"] as? String,
            let rules = parsed["syscalls"] as? [[String: Any]]
        else { throw RunnerError("the seccomp profile \(path) can't be read") }
        self.action = action
        self.rules = rules
        errno = parsed["defaultErrnoRet"]
    }

    /// What a task with these capabilities may ask of the kernel.
    func rights(for capabilities: Set<String>) -> Rights {
        lock.withLock {
            if let known = rights[capabilities] { return known }
            if rights.count >= SeccompProfile.rightsMax { rights = [:] }
            let object = make(capabilities)
            let made = Rights(
                object: object,
                compiled: SeccompFilter(object).map { Data($0.program).base64EncodedString() })
            rights[capabilities] = made
            return made
        }
    }

    /// What podman allows and no task gets: root in a container has the keyrings of the host's root.
    private static let refused: Set<String> = ["keyctl"]

    private func make(_ capabilities: Set<String>) -> [String: Any] {
        let kept = rules.filter { SeccompProfile.applies($0, capabilities) }.map { rule in
            var rule = rule
            let names = rule["names"] as? [String] ?? []
            rule["names"] = names.filter { !SeccompProfile.refused.contains($0) }
            return rule
        }
        var object: [String: Any] = [
            "defaultAction": action, "architectures": [SeccompProfile.architecture.oci],
            "syscalls": kept.map { rule in
                rule.filter { ["names", "action", "args", "errnoRet"].contains($0.key) }
                    .filter { !($0.value is NSNull) && !(($0.value as? [Any])?.isEmpty ?? false) }
            },
        ]
        if let errno { object["defaultErrnoRet"] = errno }
        return object
    }

    private static func applies(_ rule: [String: Any], _ capabilities: Set<String>) -> Bool {
        func list(_ side: String, _ key: String) -> [String] {
            (rule[side] as? [String: Any])?[key] as? [String] ?? []
        }
        let wantedArchitectures = list("includes", "arches")
        if !wantedArchitectures.isEmpty, !wantedArchitectures.contains(architecture.go) {
            return false
        }
        if list("excludes", "arches").contains(architecture.go) { return false }
        if !list("includes", "caps").allSatisfy(capabilities.contains) { return false }
        return !list("excludes", "caps").contains { capabilities.contains($0) }
    }

    #if arch(arm64)
        private static let architecture = (go: "arm64", oci: "SCMP_ARCH_AARCH64")
    #else
        private static let architecture = (go: "amd64", oci: "SCMP_ARCH_X86_64")
    #endif
}

import Foundation
import Glibc
import Seccomp

/// A filter of system calls as the kernel takes it: made once for all tasks that may do the same.
///
/// crun takes it in an annotation, ready for the kernel; compiling the same rules anew takes it 2 to
/// 3 ms for each container.
struct SeccompFilter {
    /// The instructions, as the kernel reads them.
    let program: [UInt8]

    /// Where crun looks for it; other runtimes pass over it, and compile the rules.
    ///
    /// Source: crun(1), "run.oci.seccomp_bpf_data".
    static let annotation = "run.oci.seccomp_bpf_data"

    /// How long a program may be, in bytes: the kernel takes 4,096 instructions.
    private static let sizeBytesMax = 4_096 * 8

    /// Compiles the `linux.seccomp` object of an OCI configuration for this machine's architecture.
    ///
    /// System calls that the library does not know are left out, as runtimes do.
    ///
    /// - Returns: `nil` when a rule can't be expressed; the runtime has to say what it makes of it.
    init?(_ object: [String: Any]) {
        let errno = object["defaultErrnoRet"] as? Int
        guard let action = SeccompFilter.action(object["defaultAction"], errno: errno),
            let context = seccomp_init(action)
        else { return nil }
        defer { seccomp_release(context) }
        for rule in object["syscalls"] as? [[String: Any]] ?? [] {
            guard SeccompFilter.add(rule, to: context) else { return nil }
        }
        guard let file = tmpfile() else { return nil }
        defer { fclose(file) }
        guard seccomp_export_bpf(context, fileno(file)) == 0,
            let bytes = Files.read(
                from: fileno(file), offset: 0, limit: SeccompFilter.sizeBytesMax + 1),
            !bytes.isEmpty, bytes.count <= SeccompFilter.sizeBytesMax
        else { return nil }
        program = bytes
    }

    private static func add(_ rule: [String: Any], to context: scmp_filter_ctx) -> Bool {
        guard let action = action(rule["action"], errno: rule["errnoRet"] as? Int),
            let conditions = conditions(rule["args"] as? [[String: Any]] ?? [])
        else { return false }
        for name in rule["names"] as? [String] ?? [] {
            let number = seccomp_syscall_resolve_name(name)
            guard number != __NR_SCMP_ERROR else { continue }
            let status = seccomp_rule_add_array(
                context, action, number, UInt32(conditions.count), conditions)
            guard status == 0 else { return false }
        }
        return true
    }

    private static func action(_ name: Any?, errno: Int?) -> UInt32? {
        switch name as? String {
        case "SCMP_ACT_ALLOW": 0x7FFF_0000
        case "SCMP_ACT_LOG": 0x7FFC_0000
        case "SCMP_ACT_ERRNO":
            0x0005_0000 | UInt32(truncatingIfNeeded: errno ?? Int(EPERM)) & 0xFFFF
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": 0
        case "SCMP_ACT_KILL_PROCESS": 0x8000_0000
        default: nil
        }
    }

    /// All must hold; the library takes one for each argument.
    private static func conditions(_ arguments: [[String: Any]]) -> [scmp_arg_cmp]? {
        var conditions: [scmp_arg_cmp] = []
        for argument in arguments {
            guard let index = argument["index"] as? Int, (0..<6).contains(index),
                let comparison = comparison(argument["op"]),
                !conditions.contains(where: { $0.arg == UInt32(index) })
            else { return nil }
            conditions.append(
                scmp_arg_cmp(
                    arg: UInt32(index), op: comparison,
                    datum_a: (argument["value"] as? UInt64) ?? 0,
                    datum_b: (argument["valueTwo"] as? UInt64) ?? 0))
        }
        return conditions
    }

    private static func comparison(_ name: Any?) -> scmp_compare? {
        switch name as? String {
        case "SCMP_CMP_NE": SCMP_CMP_NE
        case "SCMP_CMP_LT": SCMP_CMP_LT
        case "SCMP_CMP_LE": SCMP_CMP_LE
        case "SCMP_CMP_EQ": SCMP_CMP_EQ
        case "SCMP_CMP_GE": SCMP_CMP_GE
        case "SCMP_CMP_GT": SCMP_CMP_GT
        case "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ
        default: nil
        }
    }
}

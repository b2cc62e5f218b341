import Testing

@testable import Runner

/// The filter of system calls, compiled once for many tasks.
@Suite struct SeccompFilterTests {
    private func filter(_ rules: [[String: Any]], action: String = "SCMP_ACT_ERRNO") -> [UInt8]? {
        SeccompFilter(["defaultAction": action, "defaultErrnoRet": 38, "syscalls": rules])?.program
    }

    private func rule(_ name: String, _ arguments: [[String: Any]] = []) -> [String: Any] {
        ["names": [name], "action": "SCMP_ACT_ALLOW", "args": arguments]
    }

    @Test func `the usual profile compiles, and always to the same`() throws {
        let profile = try SeccompProfile(path: RunnerConfiguration.seccompProfileUsual)
        let rights = profile.rights(for: ["CAP_CHOWN"])
        let first = try #require(SeccompFilter(rights.object))
        #expect(rights.compiled != nil)
        #expect(first.program == SeccompFilter(rights.object)?.program)
        #expect(first.program.count.isMultiple(of: 8))
        let more = try #require(
            SeccompFilter(profile.rights(for: ["CAP_CHOWN", "CAP_SYS_ADMIN"]).object))
        #expect(first.program != more.program)
    }

    @Test func `a condition changes the program, and an unknown call does not`() throws {
        let plain = try #require(filter([rule("read")]))
        #expect(filter([rule("read"), rule("no_such_call")]) == plain)
        let condition: [String: Any] = ["index": 0, "value": UInt64(3), "op": "SCMP_CMP_EQ"]
        let conditional = try #require(filter([rule("read", [condition])]))
        #expect(conditional != plain)
    }

    @Test func `what can't be expressed is left to the runtime`() {
        let odd: [[String: Any]] = [
            ["index": 0, "value": UInt64(3), "op": "SCMP_CMP_SOMEHOW"],
            ["index": 6, "value": UInt64(3), "op": "SCMP_CMP_EQ"],
        ]
        for condition in odd { #expect(filter([rule("read", [condition])]) == nil) }
        let twice: [String: Any] = ["index": 0, "value": UInt64(3), "op": "SCMP_CMP_NE"]
        #expect(filter([rule("read", [twice, twice])]) == nil)
        #expect(filter([], action: "SCMP_ACT_TRACE") == nil)
        #expect(filter([["names": ["read"], "action": "SCMP_ACT_NOTIFY"]]) == nil)
    }
}

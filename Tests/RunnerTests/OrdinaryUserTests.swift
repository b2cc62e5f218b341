import Testing

@testable import Runner

/// How an ordinary user gets users of his own, as far as that can be told without being one.
@Suite struct OrdinaryUserTests {
    private func map(_ list: String) -> UserMap {
        UserMap(root: 1_000, list: list, owners: ["maria", "1000"])
    }

    private var given: UserEntrance.Given {
        UserEntrance.Given(
            user: 1_000, group: 1_001, name: "maria", subordinateUsers: "maria:100000:65536\n",
            subordinateGroups: "1000:200000:65536\n", mappers: ["/m/newuidmap", "/m/newgidmap"])
    }

    @Test func `a user has the numbers that are his, by name and by number`() {
        let found = map("root:1:9\nmaria:100000:10\nmariah:7:7\n1000:300000:5\n")
        #expect(found.words == "0 1000 1 1 100000 10 11 300000 5")
        #expect(found.count == 16)
        #expect(found.contains(0) && found.contains(15) && !found.contains(16))
    }

    @Test(arguments: [
        "maria", "maria:1", "maria:1:2:3", "maria:x:1", "maria:-1:5", "maria:5:0", ":1:1",
        "maria:4294967295:1", "maria:1:18446744073709551615", "maria:18446744073709551615:2",
        "maria:2147483647:2",
    ])
    func `what is no range gives nobody`(line: String) {
        #expect(map(line).words == "0 1000 1")
    }

    @Test func `the highest number is a user, and the one past it is none`() {
        #expect(map("maria:2147483646:2").count == 3)
        #expect(map("maria:1:2147483647").count == 2_147_483_648)
        // Together they would be more than there are numbers.
        #expect(map("maria:1:2147483647\nmaria:5:1").count == 2_147_483_648)
    }

    @Test func `a user has so many ranges and no more`() {
        let most = UserMap.subordinatesMax
        #expect(map(String(repeating: "maria:9:1\n", count: most)).ranges.count == most + 1)
        #expect(map(String(repeating: "maria:9:1\n", count: most + 1)).ranges.count == most + 1)
    }

    @Test func `the kernel's own maps are read`() {
        let map = UserMap(
            text: "         0       1000          1\n         1     100000      65536\nx\n")
        #expect(map.words == "0 1000 1 1 100000 65536")
        #expect(UserMap(text: "0 0 4294967295").contains(.max - 1))
        #expect(!UserMap(text: "0 0 4294967295").contains(.max))
    }

    @Test func `who has subordinate numbers gets them by the mappers`() {
        #expect(given.remedy == nil)
        #expect(
            UserEntrance.arguments(given) == [
                "--mappers", "/m/newuidmap", "/m/newgidmap", "--own-users",
                "0 1000 1 1 100000 65536", "0 1001 1 1 200000 65536",
            ])
    }

    @Test func `who lacks one thing is root alone, and told which`() {
        let alone = ["--own-users", "0 1000 1", "0 1001 1"]
        var poor = given
        poor.mappers = nil
        #expect(UserEntrance.arguments(poor) == alone)
        #expect(poor.remedy?.contains("uidmap") == true)
        poor = given
        poor.subordinateGroups = ""
        #expect(UserEntrance.arguments(poor) == alone)
        #expect(poor.remedy?.contains("usermod --add-subuids") == true)
        poor = given
        poor.name = nil
        #expect(UserEntrance.arguments(poor) == alone)
        #expect(poor.remedy?.contains("/etc/passwd") == true)
    }

    @Test func `why there is no namespace is said in words`() {
        func explain(_ output: String, _ path: String = "", _ value: String = "") -> String {
            UserEntrance.explain(output) { $0 == path ? value : nil }
        }
        let denied = "magpie-launch: unshare user namespace: Operation not permitted\n"
        #expect(explain(denied).hasPrefix("magpie-launch: unshare"))
        #expect(explain(denied).hasSuffix("run the daemon as root, or with --no-tasks"))
        #expect(
            explain(denied, "/proc/sys/kernel/unprivileged_userns_clone", "0")
                .contains("user namespaces are for root alone"))
        #expect(
            explain(denied, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")
                .contains("AppArmor"))
        #expect(
            !explain(denied, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0")
                .contains("AppArmor"))
        #expect(explain("magpie-launch: overlay /x: Invalid argument").contains("Linux 5.11"))
    }

    @Test func `a node knows who is somebody on it`() throws {
        let node = OrdinaryUser(users: map("maria:5:10"), groups: map("maria:5:3"))
        #expect(node.has(ProcessUser(user: 10, group: 3)))
        #expect(!node.has(ProcessUser(user: 11, group: 3)))
        #expect(!node.has(ProcessUser(user: 10, group: 4)))
        #expect(!node.has(ProcessUser(user: 10, group: 3, otherGroups: [1, 4])))
        #expect(node.hasOtherUsers)
        #expect(!OrdinaryUser(users: map(""), groups: map("maria:5:3")).hasOtherUsers)
        try BundleWriter.checkUser(ProcessUser(user: 11, group: 0), nil)
        #expect(throws: RunnerError.self) {
            try BundleWriter.checkUser(ProcessUser(user: 11, group: 0), node)
        }
    }

    @Test func `what a process uses is read from its status`() throws {
        let fields =
            ["S"] + (4...13).map { "\($0)" } + ["7", "5", "2", "1"]
            + (18...23).map { "\($0)" } + ["300", "25"]
        let status = "42 (a) b) " + fields.joined(separator: " ")
        let usage = try #require(
            ProcessUsage(
                status: status, transfers: "rchar: 9\nread_bytes: 4096\nwrite_bytes: 12\n",
                ticksPerSecond: 100, pageSizeBytes: 4_096))
        #expect(usage.cpuMicroseconds == 150_000)
        #expect(usage.memoryBytes == 300 * 4_096)
        #expect(usage.readBytes == 4_096 && usage.writtenBytes == 12)
        let zombie = status.replacing(") S", with: ") Z")
        for text in [zombie, "", "42 (a", "42 (a) S 1 2"] {
            #expect(
                ProcessUsage(status: text, transfers: "", ticksPerSecond: 100, pageSizeBytes: 1)
                    == nil)
        }
    }
}

import Foundation
import Glibc
import Testing

@testable import Runner

/// The users of an image, in the files that a container itself would read.
@Suite struct ImageUserTests {
    static let passwd = """
        root:x:0:0:root:/root:/bin/sh
        # a comment, and lines that are none
        broken:x:nine
        app:x:1000:1000:App:/srv/app:/bin/sh
        7:x:70:70::/seven:/bin/sh
        homeless:x:1001:1002
        relative:x:1002:1002::srv:/bin/sh
        huge:x:4294967295:1::/:/bin/sh
        """
    static let group = """
        root:x:0:
        app:x:1000:
        audio:x:29:app,other
        video:x:44:other,app
        wheel:x:10:ap
        staff:x:50:
        """

    struct Row: Sendable, CustomTestStringConvertible {
        let wanted: String
        let expected: Result<ProcessUser, UserLookup.Failure>

        var testDescription: String { "'\(wanted)'" }

        init(_ wanted: String, _ user: ProcessUser) {
            self.wanted = wanted
            expected = .success(user)
        }

        init(_ wanted: String, fails failure: UserLookup.Failure) {
            self.wanted = wanted
            expected = .failure(failure)
        }
    }

    static let app = ProcessUser(
        user: 1_000, group: 1_000, otherGroups: [29, 44], home: "/srv/app")

    static let rows = [
        Row("", ProcessUser(user: 0, group: 0, home: "/root")),
        Row("root", ProcessUser(user: 0, group: 0, home: "/root")),
        Row("app", app),
        Row("1000", app),
        Row("app:", app),
        Row("app:staff", ProcessUser(user: 1_000, group: 50, home: "/srv/app")),
        Row("app:77", ProcessUser(user: 1_000, group: 77, home: "/srv/app")),
        Row("1000:1000", ProcessUser(user: 1_000, group: 1_000, home: "/srv/app")),
        Row(":staff", ProcessUser(user: 0, group: 50, home: "/root")),
        Row("7", ProcessUser(user: 7, group: 0)),
        Row("4242", ProcessUser(user: 4_242, group: 0)),
        Row("4242:29", ProcessUser(user: 4_242, group: 29)),
        Row("relative", ProcessUser(user: 1_002, group: 1_002)),
        Row("2147483647", ProcessUser(user: 2_147_483_647, group: 0)),
        Row("2147483648", fails: .malformed("2147483648")),
        Row("99999999999999999999", fails: .malformed("99999999999999999999")),
        Row("app:2147483648", fails: .malformed("app:2147483648")),
        Row("-1", fails: .unknownUser("-1")),
        Row("+1", fails: .unknownUser("+1")),
        Row("nobody", fails: .unknownUser("nobody")),
        Row("homeless", fails: .unknownUser("homeless")),
        Row("huge", fails: .unknownUser("huge")),
        Row("app:nogroup", fails: .unknownGroup("nogroup")),
        Row("a:b:c", fails: .malformed("a:b:c")),
        Row("app\nroot", fails: .malformed("app\nroot")),
    ]

    @Test(arguments: rows) func `a user is found as docker finds it`(row: Row) {
        let lookup = UserLookup(passwd: ImageUserTests.passwd, group: ImageUserTests.group)
        let found = Result { () throws(UserLookup.Failure) in try lookup.find(row.wanted) }
        #expect(found == row.expected)
    }

    @Test func `without a password file numbers work, and names do not`() throws {
        let lookup = UserLookup(passwd: "", group: "")
        #expect(try lookup.find("") == ProcessUser(user: 0, group: 0))
        #expect(try lookup.find("5:6") == ProcessUser(user: 5, group: 6))
        #expect(throws: UserLookup.Failure.unknownUser("root")) { try lookup.find("root") }
    }

    @Test func `no user has more groups than the bound`() throws {
        let lines = (1...UserLookup.groupsMax + 1).map { "g\($0):x:\($0):u" }
        let lookup = UserLookup(
            passwd: "u:x:5:0::/:", group: lines.joined(separator: "\n"))
        #expect(try lookup.find("u").otherGroups.count == UserLookup.groupsMax)
    }

    @Test func `the password file is the root's own, wherever its links lead`() throws {
        let folder = try TemporaryFolder()
        let root = folder.path + "/root"
        try Files.makeDirectory(root + "/etc")
        try Files.makeDirectory(root + "/real")
        try Files.write(Array("inside:x:5:5::/in:".utf8), to: root + "/real/passwd")
        try Files.write(Array("outside:x:6:6::/out:".utf8), to: folder.path + "/passwd")
        for (target, name) in [
            ("/real/passwd", "inside"), ("../../../../real/passwd", "inside"),
            ("\(folder.path)/passwd", nil), ("../../passwd", nil), ("passwd", nil),
        ] {
            unlink(root + "/etc/passwd")
            #expect(symlink(target, root + "/etc/passwd") == 0)
            let found = try? UserLookup(root: root).find(name ?? "outside")
            #expect((found != nil) == (name != nil), "\(target)")
        }
    }

    @Test func `a password file that is a pipe keeps nobody waiting`() throws {
        let folder = try TemporaryFolder()
        try Files.makeDirectory(folder.path + "/etc")
        #expect(mkfifo(folder.path + "/etc/passwd", 0o600) == 0)
        #expect(try UserLookup(root: folder.path).find("3") == ProcessUser(user: 3, group: 0))
    }
}

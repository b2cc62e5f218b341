import Foundation
import Glibc
import SystemPackage

/// Somebody who is not root, made for one test: the machine never hears of him.
///
/// What `/etc` says of him is seen in a mount namespace that ends with his programs.
struct TestUser: Sendable {
    /// What of the machine is his.
    enum Kind: CaseIterable, Sendable {
        /// His own number, which has no name.
        case alone
        /// A name, and users and groups of `/etc/subuid` and `/etc/subgid`.
        case withOthers
    }

    let kind: Kind
    let id: UInt32
    let home: URL
    /// What stands before a command that he runs.
    let entrance: [String]
    /// The first of the other users and groups that are his.
    private let first: UInt32

    /// Why nobody can be made here who may make containers; `nil` when somebody can.
    static let obstacle: String? = {
        guard geteuid() == 0 else { return "making users needs root" }
        for program in ["setpriv", "unshare", "newuidmap"]
        where !FileManager.default.isExecutableFile(atPath: "/usr/bin/\(program)") {
            return "\(program) is missing (apt-get install util-linux uidmap)"
        }
        for file in ["/etc/subuid", "/etc/subgid"]
        where !FileManager.default.fileExists(atPath: file) {
            return "\(file) is missing, over which a list for the test is mounted"
        }
        let settings = [
            ("/proc/sys/user/max_user_namespaces", "0"),
            ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
            ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
        ]
        for (path, bad) in settings
        where (try? String(contentsOfFile: path, encoding: .utf8))?.hasPrefix(bad + "\n") == true {
            return "the machine keeps user namespaces from ordinary users (\(path))"
        }
        return closed(to: Program.folder).map { "\($0) is closed to ordinary users" }
    }()

    static let canBeMade = obstacle == nil

    /// A directory above, or the path itself, that only its owner may pass.
    private static func closed(to path: URL) -> String? {
        var path = path
        while path.path != "/" {
            var status = stat()
            if stat(path.path, &status) != 0 || status.st_mode & 0o001 == 0 { return path.path }
            path.deleteLastPathComponent()
        }
        return nil
    }

    /// Makes a user whose files are in `folder`.
    init(_ kind: Kind, in folder: URL) throws {
        self.kind = kind
        id = UInt32.random(in: 300_000_000..<400_000_000)
        home = folder.appendingPathComponent("home")
        first = 1_000_000_000 + UInt32.random(in: 0..<10_000) * 65_536
        let become = """
            exec setpriv --reuid \(id) --regid \(id) --clear-groups env HOME='\(home.path)' "$@"
            """
        guard kind == .withOthers else {
            entrance = ["/bin/sh", "-c", become, "sh"]
            return
        }
        let etc = folder.appendingPathComponent("etc")
        try FileManager.default.createDirectory(at: etc, withIntermediateDirectories: true)
        let known = try String(contentsOfFile: "/etc/passwd", encoding: .utf8)
        let texts = [
            "passwd": known + "magpie-test:x:\(id):\(id)::\(home.path):/bin/sh\n",
            "subuid": "magpie-test:\(first):65536\n", "subgid": "\(id):\(first):65536\n",
        ]
        var mounts = ""
        for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
            let file = etc.appendingPathComponent(name)
            try Data(text.utf8).write(to: file)
            mounts += "mount --bind '\(file.path)' /etc/\(name) && "
        }
        entrance = [
            "/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
            mounts + become, "sh",
        ]
    }

    /// The list of the other users that are his.
    var subordinates: URL {
        home.deletingLastPathComponent().appendingPathComponent("etc/subuid")
    }

    /// What stands before a command that he runs as root of a namespace of users that are his.
    var namespaceEntrance: [String] {
        let own = "0 \(id) 1"
        let launcher = Program.path("magpie-launch").string
        guard kind == .withOthers else {
            return entrance + [launcher, "--own-users", own, own, "--"]
        }
        let all = own + " 1 \(first) 65536"
        return entrance
            + [launcher, "--mappers", "/usr/bin/newuidmap", "/usr/bin/newgidmap"]
            + ["--own-users", all, all, "--"]
    }

    /// Gives a folder to the user, with what is in it.
    func own(_ folder: URL) throws {
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        for path in [folder, home, folder.appendingPathComponent("shared")] {
            guard chown(path.path, id, id) == 0 else {
                throw NeverHappened(description: "chown \(path.path): \(errno)")
            }
        }
    }
}

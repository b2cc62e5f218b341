import Foundation
import Glibc

/// How an ordinary user gets users of his own, and why not.
enum UserEntrance {
    /// What the machine gives to an ordinary user.
    struct Given: Equatable, Sendable {
        var user: UInt32
        var group: UInt32
        /// How the user is called; `nil` when no name is known.
        var name: String?
        /// `/etc/subuid` and `/etc/subgid`.
        var subordinateUsers = ""
        var subordinateGroups = ""
        /// `newuidmap` and `newgidmap`, if both are there.
        var mappers: [String]?

        /// The maps of the namespace, and whether it takes the mappers to write them.
        var maps: (users: UserMap, groups: UserMap, needsMappers: Bool) {
            let owners = Set([name, "\(user)"].compactMap { $0 })
            let users = UserMap(root: user, list: subordinateUsers, owners: owners)
            let groups = UserMap(root: group, list: subordinateGroups, owners: owners)
            // The mappers know nobody without a name. One kind without the other is of no use.
            if mappers != nil, name != nil, users.count > 1, groups.count > 1 {
                return (users, groups, true)
            }
            return (
                UserMap(root: user, list: "", owners: []),
                UserMap(root: group, list: "", owners: []), false
            )
        }

        /// What is to be done so that tasks can have other users than root; `nil` when they can.
        var remedy: String? {
            guard !maps.needsMappers else { return nil }
            let owner = name ?? "\(user)"
            if mappers == nil { return "apt-get install uidmap" }
            if name == nil { return "the user \(user) has no name in /etc/passwd" }
            return
                "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \(owner)"
        }
    }

    /// Looks at this machine and the user who runs this process.
    static func given() -> Given {
        var given = Given(user: geteuid(), group: getegid())
        if let entry = getpwuid(geteuid()) { given.name = String(cString: entry.pointee.pw_name) }
        given.subordinateUsers = Files.text("/etc/subuid") ?? ""
        given.subordinateGroups = Files.text("/etc/subgid") ?? ""
        let mappers = ["newuidmap", "newgidmap"].compactMap { name in
            Programs.locate(name, in: Programs.searchPath)
        }
        if mappers.count == 2 { given.mappers = mappers }
        return given
    }

    /// The launcher's options that make the namespace.
    static func arguments(_ given: Given = given()) -> [String] {
        let (users, groups, needsMappers) = given.maps
        return (needsMappers ? ["--mappers"] + (given.mappers ?? []) : [])
            + ["--own-users", users.words, groups.words]
    }

    /// Why there is no namespace, in words for people.
    ///
    /// To what the launcher said comes what the kernel's settings say.
    static func explain(_ output: String, _ read: (String) -> String?) -> String {
        let said = output.split(separator: "\n").map(String.init).joined(separator: "; ")
        let settings: [(path: String, bad: String, remedy: String)] = [
            (
                "/proc/sys/user/max_user_namespaces", "0",
                "user namespaces are switched off (sysctl user.max_user_namespaces is 0)"
            ),
            (
                "/proc/sys/kernel/unprivileged_userns_clone", "0",
                "user namespaces are for root alone (sysctl kernel.unprivileged_userns_clone is 0)"
            ),
            (
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
                "AppArmor keeps user namespaces from ordinary programs "
                    + "(sysctl kernel.apparmor_restrict_unprivileged_userns is 1)"
            ),
        ]
        let found = settings.first { read($0.path) == $0.bad }?.remedy
        let cause =
            found
            ?? (output.contains("overlay")
                ? "overlays in user namespaces take Linux 5.11 or later, and a file system with "
                    + "extended attributes that is not shared over a network"
                : nil)
        return [said, cause].compactMap { $0 }.joined(separator: "; ")
            + "; run the daemon as root, or with --no-tasks"
    }
}

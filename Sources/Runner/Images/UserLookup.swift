/// Whom a process runs as, in numbers.
package struct ProcessUser: Hashable, Sendable {
    /// The user.
    package var user: UInt32
    /// The primary group.
    package var group: UInt32
    /// The other groups, in ascending order.
    package var otherGroups: [UInt32]
    /// The home directory; `/` when nobody says where it is.
    package var home: String

    /// Makes a user.
    package init(user: UInt32, group: UInt32, otherGroups: [UInt32] = [], home: String = "/") {
        self.user = user
        self.group = group
        self.otherGroups = otherGroups
        self.home = home
    }

    /// Whom a task runs as that names nobody.
    static let root = ProcessUser(user: 0, group: 0, home: "/root")
}

/// Finds users and groups in a container's own `/etc/passwd` and `/etc/group`.
///
/// A number is always an ID, a name must be known. Who is found in the password file has the primary
/// group and the home that stand there, and the groups that list the name; with a group of one's own
/// choice there are no others.
///
/// Source: the behaviour of docker (opencontainers/runc, `libcontainer/user`).
package struct UserLookup: Sendable {
    /// The largest file that is read, in bytes; what lies beyond is not seen.
    package static let fileSizeBytesMax = 4 << 20
    /// The most groups that a user has; the kernel allows 65,536.
    package static let groupsMax = 1_024
    /// The largest ID that is a user or group.
    package static let identifierMax: UInt32 = (1 << 31) - 1

    /// Why a user can't be found.
    package enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// It is not `user`, or `user:group`.
        case malformed(String)
        /// The password file does not know the name.
        case unknownUser(String)
        /// The group file does not know the name.
        case unknownGroup(String)

        /// The sentence for people.
        package var description: String {
            switch self {
            case .malformed(let text): "'\(text)' is no user: say USER or USER:GROUP"
            case .unknownUser(let name): "there is no user '\(name)' in the container's /etc/passwd"
            case .unknownGroup(let name):
                "there is no group '\(name)' in the container's /etc/group"
            }
        }
    }

    private let users: [Substring]
    private let groups: [Substring]

    /// Takes the contents of both files; a missing one is empty.
    package init(passwd: String, group: String) {
        users = passwd.split(separator: "\n")
        groups = group.split(separator: "\n")
    }

    /// Reads both files below a root; links are followed inside it only.
    package init(root: String) {
        func text(_ path: String) -> String {
            String(
                decoding: Files.readInside(root, path, limit: UserLookup.fileSizeBytesMax) ?? [],
                as: UTF8.self)
        }
        self.init(passwd: text("etc/passwd"), group: text("etc/group"))
    }

    /// Finds whom `wanted` means: `name`, `uid`, `name:group`, `uid:gid` and the mixtures; empty for
    /// root.
    package func find(_ wanted: String) throws(Failure) -> ProcessUser {
        let parts = wanted.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, !wanted.utf8.contains(0), !wanted.utf8.contains(0x0A) else {
            throw .malformed(wanted)
        }
        let userPart = parts.first.map(String.init) ?? ""
        var found = try user(userPart.isEmpty ? "0" : userPart, in: wanted)
        if parts.count == 2, !parts[1].isEmpty {
            found.group = try group(String(parts[1]), in: wanted)
            found.otherGroups = []
        }
        return found
    }

    private func user(_ wanted: String, in whole: String) throws(Failure) -> ProcessUser {
        let number = try identifier(wanted, in: whole)
        for line in users {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 6, let user = UserLookup.identifier(fields[2]),
                let group = UserLookup.identifier(fields[3]),
                number.map({ $0 == user }) ?? (fields[0] == wanted)
            else { continue }
            let home = fields[5].hasPrefix("/") ? String(fields[5]) : "/"
            return ProcessUser(
                user: user, group: group,
                otherGroups: groups(listing: String(fields[0]), besides: group), home: home)
        }
        guard let number else { throw .unknownUser(wanted) }
        return ProcessUser(user: number, group: 0)
    }

    private func group(_ wanted: String, in whole: String) throws(Failure) -> UInt32 {
        if let number = try identifier(wanted, in: whole) { return number }
        for line in groups {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 3, fields[0] == wanted,
                let group = UserLookup.identifier(fields[2])
            else { continue }
            return group
        }
        throw .unknownGroup(wanted)
    }

    private func groups(listing name: String, besides primary: UInt32) -> [UInt32] {
        var found: Set<UInt32> = []
        for line in groups where found.count < UserLookup.groupsMax {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 4, let group = UserLookup.identifier(fields[2]),
                group != primary, fields[3].split(separator: ",").contains(where: { $0 == name })
            else { continue }
            found.insert(group)
        }
        return found.sorted()
    }

    /// The number that a word is; `nil` for a name, an error for a number out of range.
    private func identifier(_ word: String, in whole: String) throws(Failure) -> UInt32? {
        guard word.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard let number = UserLookup.identifier(Substring(word)) else { throw .malformed(whole) }
        return number
    }

    private static func identifier(_ text: Substring) -> UInt32? {
        guard text.first != "+", let number = UInt32(text), number <= identifierMax else {
            return nil
        }
        return number
    }
}

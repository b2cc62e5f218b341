import Glibc

/// What a machine gives to somebody who is not root.
extension Doctor {
    /// What was found about an ordinary user.
    package struct UserRights: Equatable, Sendable {
        /// Why he can't make containers; `nil` when he can.
        package var obstacle: String?
        /// How many users his tasks can have.
        package var userCount: UInt64
        /// What is to be done so that tasks can have other users than root; `nil` when they can.
        package var remedy: String?
        /// Who is to linger so that systemd does not end his processes when he logs out; `nil` when
        /// nothing does that.
        package var mustLinger: String?
    }

    /// Looks at the user who runs this, for a node whose data are to be in `directory`; `nil` for root.
    ///
    /// What exists of the path is tried out.
    static func ordinaryUser(_ directory: String) -> UserRights? {
        guard geteuid() != 0 else { return nil }
        let given = UserEntrance.given()
        var found = UserRights(
            obstacle: nil, userCount: given.maps.users.count, remedy: given.remedy)
        do {
            let launcher = try Programs.own("magpie-launch")
            var template = Array("\(existing(directory))/magpie-doctor-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { throw Files.failure("write to", directory) }
            let place = String(
                decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
            defer { Files.remove(place) }
            try OrdinaryUser.probe(launcher, UserEntrance.arguments(given), in: place)
        } catch {
            found.obstacle = "\(error)"
        }
        let name = given.name ?? "\(given.user)"
        if Files.isDirectory("/run/systemd/system"),
            !Files.exists("/var/lib/systemd/linger/\(name)")
        {
            found.mustLinger = name
        }
        return found
    }

    /// The directory, or the lowest one above it that is there.
    private static func existing(_ directory: String) -> String {
        var directory = directory
        while !Files.isDirectory(directory), let slash = directory.lastIndex(of: "/") {
            directory = slash == directory.startIndex ? "/" : String(directory[..<slash])
        }
        return directory
    }

    /// What is to be said to an ordinary user.
    static func examine(_ user: UserRights) -> [Finding] {
        var findings = [
            user.obstacle.map { Finding(subject: "rights", level: .error, message: $0) }
                ?? Finding(
                    subject: "rights", level: .ok,
                    message: "an ordinary user, root of a user namespace"),
            user.remedy.map {
                Finding(
                    subject: "users", level: .warning,
                    message:
                        "tasks have no user but root: another --user is refused, and so are images "
                        + "with files of others unless --best-effort; \($0)")
            } ?? Finding(subject: "users", level: .ok, message: "\(user.userCount) for tasks"),
        ]
        if let name = user.mustLinger {
            findings.append(
                Finding(
                    subject: "logging out", level: .warning,
                    message: "systemd may end the daemon and its tasks when the user logs out; "
                        + "loginctl enable-linger \(name)"))
        }
        return findings
    }

    /// Which limits there are not where an ordinary user runs the node.
    static let limitsOfOrdinaryUsers = [
        Finding(
            subject: "limits", level: .warning,
            message:
                "memory, processors and processes of tasks are not limited: an ordinary user has no "
                + "control groups; a task that asks for other limits than the usual ones is left to "
                + "other nodes unless --best-effort; run the daemon as root for limits"),
        Finding(
            subject: "disk limits", level: .warning,
            message: "not enforced: only root sets quotas (--disk)"),
        Finding(
            subject: "--userns", level: .warning,
            message: "refused: root in a task is this user, and nobody else"),
    ]
}

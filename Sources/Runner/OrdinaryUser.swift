import Foundation
import Glibc

/// A node of somebody who is not root: root of a user namespace, and nobody special outside.
///
/// The whole daemon lives in that namespace, with all that it starts: what makes containers asks for
/// capabilities, and has them there. A daemon that starts anew enters the namespace in which its
/// containers are.
package struct OrdinaryUser: Hashable, Sendable {
    /// The users that the node has for its tasks; the node's own is 0.
    let users: UserMap
    /// The groups.
    let groups: UserMap

    /// Tells the daemon, started anew inside, who it is outside.
    private static let variable = "MAGPIE_ORDINARY_USER"

    /// Who this process is; `nil` for one that is root, or that has not entered its namespace.
    package static let current: OrdinaryUser? = {
        guard geteuid() == 0, let text = getenv(variable), let id = UInt64(String(cString: text))
        else { return nil }
        let users = UserMap(text: Files.text("/proc/self/uid_map") ?? "")
        // Root of the whole machine stays that, whatever a variable says.
        guard id != 0, let root = users.ranges.first, root.inside == 0, root.outside == id else {
            return nil
        }
        return OrdinaryUser(
            users: users, groups: UserMap(text: Files.text("/proc/self/gid_map") ?? ""))
    }()

    /// Whether tasks can have other users than root.
    package var hasOtherUsers: Bool { users.count > 1 && groups.count > 1 }

    /// Whether all of these users and groups are somebody here.
    func has(_ user: ProcessUser) -> Bool {
        users.contains(user.user)
            && ([user.group] + user.otherGroups).allSatisfy { groups.contains($0) }
    }

    /// What files of others are marked with: who comes with other users has them anew.
    var mark: String { "\(users.words), \(groups.words)" }

    // MARK: Entering

    /// Goes on as root of a user namespace of one's own: the program begins anew, as the same process.
    ///
    /// Returns at once for root, and for who is in already.
    ///
    /// - Parameters:
    ///   - dataDirectory: The node's; it exists.
    ///   - arguments: Those of the program, without its name.
    /// - Throws: `RunnerError` that says why this machine lets no ordinary user make containers.
    package static func enter(
        for dataDirectory: String, arguments: [String]
    ) throws(RunnerError) {
        guard geteuid() != 0 else { return }
        let launcher = try Programs.own("magpie-launch")
        let run = RunnerConfiguration.ordinaryRunDirectory(for: dataDirectory)
        try Files.makeDirectory(run)
        let entrance = UserEntrance.arguments()
        try probe(launcher, entrance, in: run)
        setenv(variable, "\(geteuid())", 1)
        let words =
            [launcher] + joining(run) + entrance
            + ["--", Files.realPath("/proc/self/exe")] + arguments
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        pointers.append(nil)
        execv(launcher, pointers)
        throw Files.failure("run", launcher)
    }

    /// Makes a namespace and an overlay, as each task will have one, and drops both.
    static func probe(
        _ launcher: String, _ entrance: [String], in directory: String
    ) throws(RunnerError) {
        let place = "\(directory)/probe"
        defer { Files.remove(place) }
        for name in ["lower", "upper", "work", "target"] {
            try Files.makeDirectory("\(place)/\(name)")
        }
        let overlay =
            ["--user-attributes", "--overlay"]
            + ["lower", "upper", "work", "target"].map { "\(place)/\($0)" }
        let result = try Spawner.run(launcher, entrance + overlay + ["--", "/bin/true"])
        guard result.code != 0 else { return }
        throw RunnerError(
            "an ordinary user can't make containers here: "
                + UserEntrance.explain(result.output, Files.text))
    }

    /// Where the inode of the namespace stands in which a node's containers are.
    static func mark(in run: String) -> String { "\(run)/users" }

    /// The namespace of containers that an earlier daemon has left running.
    private static func joining(_ run: String) -> [String] {
        guard let inode = Files.text(mark(in: run)).flatMap({ UInt64($0) }) else { return [] }
        for name in Files.names(in: "\(run)/bundles") {
            for file in ["sandbox", "conmon.pid"] {
                let text = Files.text("\(run)/bundles/\(name)/\(file)") ?? ""
                guard let process = text.split(separator: " ").first.flatMap({ pid_t($0) })
                else { continue }
                var status = stat()
                if stat("/proc/\(process)/ns/user", &status) == 0, UInt64(status.st_ino) == inode {
                    return ["--join", "\(process)", "\(inode)"]
                }
            }
        }
        return []
    }

    /// Notes in which namespace the node's containers will be.
    static func leaveMark(in run: String) throws(RunnerError) {
        var status = stat()
        guard stat("/proc/self/ns/user", &status) == 0 else {
            throw Files.failure("look at", "/proc/self/ns/user")
        }
        try Files.write(Array("\(status.st_ino)".utf8), to: mark(in: run))
    }
}

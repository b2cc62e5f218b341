import Foundation
import Model

/// A program as the runtime wants it described: like the task's own, with what the call changes.
struct ProgramSpecification {
    /// The runtime's description of a process.
    let json: Data

    /// Describes a program beside a task's own process, which `process` is.
    ///
    /// - Throws: `ContainerFailure` 127 or 126 when there is no such program, or none that can be
    ///   executed; `RunnerError` for a user that is unknown there.
    init(
        _ program: CallProgram, in paths: ContainerPaths, beside process: Int32, mark: String,
        on node: OrdinaryUser?
    ) throws {
        guard let bytes = Files.read("\(paths.bundle)/config.json"),
            let document = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any],
            var description = document["process"] as? [String: Any],
            var capabilities = description["capabilities"] as? [String: Any],
            let settings = description["env"] as? [String],
            let directory = description["cwd"] as? String
        else { throw RunnerError("the task's description can't be read") }
        // All that is mounted there, too.
        let tree = RootTree("/proc/\(process)/root")
        var user = ProcessUser(description["user"] as? [String: Any] ?? [:])
        var added = program.environment + [mark]
        if let wanted = program.user {
            user = try tree.user(wanted)
            try BundleWriter.checkUser(user, node)
            added.insert("HOME=\(user.home)", at: 0)
            let own = user.user == 0 ? capabilities["bounding"] ?? [String]() : [String]()
            for kind in ["effective", "permitted"] { capabilities[kind] = own }
            for kind in ["inheritable", "ambient"] { capabilities[kind] = nil }
        }
        if program.terminal != nil { added.insert("TERM=xterm", at: 0) }
        let environment = BundleWriter.merge(settings, added)
        let place = program.workingDirectory ?? directory
        guard place.hasPrefix("/"), tree.entry(place)?.isDirectory == true else {
            throw RunnerError("the working directory \(place) is none in the container")
        }
        let path = environment.last { $0.hasPrefix("PATH=") }?.dropFirst(5) ?? ""
        try BundleWriter.find(
            program.command.first ?? "", in: tree, by: user, at: place,
            path: path.split(separator: ":").map(String.init))
        description["args"] = program.command
        description["env"] = environment
        description["cwd"] = place
        description["capabilities"] = capabilities
        description["terminal"] = program.terminal != nil
        // The runtime sets it about when the program begins, which then hears of a change.
        description["consoleSize"] = program.terminal.map {
            ["height": Int($0.rows), "width": Int($0.columns)]
        }
        description["user"] = user.description
        json = try JSONSerialization.data(withJSONObject: description)
    }
}

extension ProcessUser {
    /// Reads the numbers of a runtime's description.
    init(_ description: [String: Any]) {
        self = .root
        user = UInt32(clamping: description["uid"] as? Int ?? 0)
        group = UInt32(clamping: description["gid"] as? Int ?? 0)
        otherGroups = (description["additionalGids"] as? [Int] ?? []).map {
            UInt32(clamping: $0)
        }
    }

    /// The numbers as a runtime wants them.
    var description: [String: Any] {
        [
            "uid": Int(user), "gid": Int(group), "additionalGids": otherGroups.map(Int.init),
        ]
    }
}

import Model

/// What a task says about its process, where it differs from its image.
package struct ProcessWishes: Hashable, Sendable {
    /// Takes the entrypoint's place; empty for none; `nil` for the image's own.
    package var entrypoint: [String]?
    /// Takes the place of the image's command; empty when nothing is said.
    package var command: [String]
    /// `KEY=VALUE` settings over the image's; `KEY` alone takes one away.
    package var environment: [String]
    /// Where the program starts; `nil` when nothing is said.
    package var workingDirectory: String?
    /// Whom it runs as; `nil` when nothing is said.
    package var user: String?
    /// The signal that asks it to end; `nil` when nothing is said.
    package var stopSignal: String?

    /// Makes the wishes of a task that says nothing but its command.
    package init(command: [String] = []) {
        self.command = command
        environment = []
    }
}

/// The process of a task in an image: the task's wishes, and the image's defaults below them.
///
/// Source: docker's rules. A task's entrypoint drops the image's command too; a task's command leaves
/// the image's entrypoint alone.
package struct ProcessDefaults: Hashable, Sendable {
    /// The program and its arguments; at least one.
    package var arguments: [String]
    /// `KEY=VALUE` settings, each key once: the image's in their order, then the task's own.
    package var environment: [String]
    /// Where the program starts: absolute.
    package var workingDirectory: String
    /// Whom it runs as, for `UserLookup`; empty for root.
    package var user: String
    /// The number of the signal that asks it to end.
    package var stopSignal: Int32

    /// The search path of an image that has none.
    package static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// Why there is no process.
    package enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// Neither task nor image name a program.
        case noCommand
        /// A path that is not absolute.
        case relativeWorkingDirectory(String)
        /// No such signal.
        case unknownSignal(String)

        /// The sentence for people.
        package var description: String {
            switch self {
            case .noCommand: "the image has no command of its own, and the task has none either"
            case .relativeWorkingDirectory(let path):
                "the working directory '\(path)' must begin with /"
            case .unknownSignal(let name): "there is no signal '\(name)'"
            }
        }
    }

    /// Merges what a task says into what its image says.
    package init(
        _ image: ImageConfiguration, _ task: ProcessWishes
    ) throws(Failure) {
        arguments = ProcessDefaults.arguments(image, task)
        guard let program = arguments.first, !program.isEmpty else { throw .noCommand }
        environment = ProcessDefaults.environment(image.environment, task.environment)
        let directory = task.workingDirectory ?? image.workingDirectory
        workingDirectory = directory.isEmpty ? "/" : directory
        guard workingDirectory.hasPrefix("/") else {
            throw .relativeWorkingDirectory(workingDirectory)
        }
        user = task.user ?? image.user
        let signal = task.stopSignal ?? image.stopSignal
        guard let number = SignalName.number(signal.isEmpty ? "SIGTERM" : signal) else {
            throw .unknownSignal(signal)
        }
        stopSignal = number
    }

    private static func arguments(
        _ image: ImageConfiguration, _ task: ProcessWishes
    ) -> [String] {
        guard let entrypoint = task.entrypoint else {
            return image.entrypoint + (task.command.isEmpty ? image.command : task.command)
        }
        // `--entrypoint ""` is how people ask for none.
        return (entrypoint == [""] ? [] : entrypoint) + task.command
    }

    private static func environment(_ image: [String], _ task: [String]) -> [String] {
        var order: [Substring] = []
        var values: [Substring: String] = [:]
        for setting in ["PATH=\(path)"] + image + task {
            let key = setting.prefix { $0 != "=" }
            guard !key.isEmpty else { continue }
            if key.endIndex == setting.endIndex {
                values[key] = nil
                order.removeAll { $0 == key }
            } else {
                if values.updateValue(setting, forKey: key) == nil { order.append(key) }
            }
        }
        return order.compactMap { values[$0] }
    }
}

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

/// The names of Linux's signals.
package enum SignalName {
    private static let numbers: [String: Int32] = [
        "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7,
        "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14,
        "TERM": 15, "STKFLT": 16, "CHLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21,
        "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28,
        "IO": 29, "POLL": 29, "PWR": 30, "SYS": 31,
    ]
    private static let realTime: ClosedRange<Int32> = 34...64

    /// The number of a signal that is named with or without `SIG`, in any case, by number, or as
    /// `RTMIN+n` and `RTMAX-n`.
    package static func number(_ name: String) -> Int32? {
        if let number = Int32(name) { return (1...64).contains(number) ? number : nil }
        let upper = name.uppercased()
        let plain = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        if let number = numbers[plain] { return number }
        let number: Int32?
        if plain == "RTMIN" || plain == "RTMAX" {
            number = plain == "RTMIN" ? realTime.lowerBound : realTime.upperBound
        } else if plain.hasPrefix("RTMIN+") {
            number = distance(plain).map { realTime.lowerBound + $0 }
        } else if plain.hasPrefix("RTMAX-") {
            number = distance(plain).map { realTime.upperBound - $0 }
        } else {
            number = nil
        }
        return number.flatMap { realTime.contains($0) ? $0 : nil }
    }

    private static func distance(_ name: String) -> Int32? {
        let digits = name.dropFirst(6)
        guard digits.utf8.count <= 2, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int32(digits)
    }
}

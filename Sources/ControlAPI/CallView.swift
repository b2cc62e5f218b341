package import Model

package import struct Foundation.Data

/// A program to be started in a task's container.
package struct ExecRequest: Codable, Hashable, Sendable {
    /// The program and its arguments.
    package var command: [String]
    /// `KEY=VALUE` settings on top of the task's own.
    package var environment: [String]?
    /// Where it starts; the task's own place when absent.
    package var workdir: String?
    /// `USER[:GROUP]`; the task's own when absent.
    package var user: String?
    /// Whether it reads what is sent to `/input`.
    package var stdin: Bool?
    /// Its terminal's size; without one it has no terminal.
    package var terminal: TerminalView?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case command, environment, workdir, user, stdin, terminal
    }

    /// The names of all fields, as they are written.
    package static var fieldNames: Set<String> { Set(CodingKeys.allCases.map(\.rawValue)) }

    /// Makes a request that asks for nothing but a program.
    package init(command: [String]) {
        self.command = command
    }

    /// The program that this means.
    ///
    /// - Throws: `InvalidInput` naming the field and what it takes.
    package func program() throws(InvalidInput) -> CallProgram {
        guard let first = command.first, !first.isEmpty else {
            throw InvalidInput(field: "command", "give a program to run")
        }
        var program = CallProgram(command: command)
        program.environment = environment ?? []
        for setting in program.environment where !setting.dropFirst().contains("=") {
            throw InvalidInput(field: "environment", "\(setting) is not KEY=VALUE")
        }
        if let workdir {
            guard workdir.hasPrefix("/") else {
                throw InvalidInput(field: "workdir", "\(workdir) is not an absolute path")
            }
            program.workingDirectory = workdir
        }
        if let user {
            guard SpecView.isUser(user) else {
                throw InvalidInput(field: "user", "\(user) is not USER[:GROUP], names or numbers")
            }
            program.user = user
        }
        program.hasInput = stdin ?? false
        program.terminal = terminal.map { TerminalSize(rows: $0.rows, columns: $0.columns) }
        return program
    }
}

/// How large a terminal is, in characters.
package struct TerminalView: Codable, Hashable, Sendable {
    /// Lines.
    package var rows: UInt16
    /// Characters in a line.
    package var columns: UInt16

    /// Makes a size.
    package init(rows: UInt16, columns: UInt16) {
        self.rows = rows
        self.columns = columns
    }
}

/// One line of what a call gives.
package struct CallFrame: Codable, Hashable, Sendable {
    /// The call's ID, for `/v1/calls/{id}`; in the first frame alone.
    package var call: String?
    /// The place from which input is taken; in the first frame alone.
    package var inputAt: UInt64?
    /// `stdout` or `stderr`.
    package var stream: String?
    /// Output, in base 64.
    package var data: Data?
    /// The program's exit code, or 125…127 when it could not be started; in the last frame alone.
    package var exitCode: Int32?
    /// Why it could not be started, or what became of the call, for people; in the last frame alone.
    package var failure: String?

    enum CodingKeys: String, CodingKey {
        case call, stream, data, failure
        case inputAt = "input_at"
        case exitCode = "exit_code"
    }

    /// Makes a frame.
    package init(
        call: String? = nil, inputAt: UInt64? = nil, stream: String? = nil, data: Data? = nil,
        exitCode: Int32? = nil, failure: String? = nil
    ) {
        self.call = call
        self.inputAt = inputAt
        self.stream = stream
        self.data = data
        self.exitCode = exitCode
        self.failure = failure
    }
}

/// How much of a call's input was taken.
package struct InputView: Codable, Hashable, Sendable {
    /// The place up to which it was; what follows is to be sent again.
    package var taken: UInt64

    /// Makes a view.
    package init(taken: UInt64) {
        self.taken = taken
    }
}

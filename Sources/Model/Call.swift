/// Names a call: a client's connection to a program in a task, by way of the node that it asks.
package struct CallKey: Hashable, Comparable, Sendable {
    /// The node that asks for its client.
    package var caller: NodeID
    /// Drawn by that node, different for each of its calls.
    package var number: UInt64

    /// Makes a key.
    package init(caller: NodeID, number: UInt64) {
        self.caller = caller
        self.number = number
    }

    /// Orders by caller, then by number.
    package static func < (left: CallKey, right: CallKey) -> Bool {
        (left.caller, left.number) < (right.caller, right.number)
    }
}

/// What is at the other end of a call.
package enum CallTarget: Hashable, Sendable {
    /// Another program, started in the task's container and ended with the call.
    case program(CallProgram)
    /// The task's own input and terminal; its output is in its log.
    case input
}

/// A program to be started beside that of a task.
package struct CallProgram: Hashable, Sendable {
    /// The program and its arguments.
    package var command: [String]
    /// `KEY=VALUE` settings on top of the task's own.
    package var environment: [String] = []
    /// Where it starts; `nil` for where the task did.
    package var workingDirectory: String?
    /// `USER[:GROUP]`; `nil` for the task's own.
    package var user: String?
    /// Whether it reads what the client sends; else it finds nothing to read.
    package var hasInput = false
    /// The size of its terminal; `nil` when it has none.
    package var terminal: TerminalSize?

    /// How large its description may be on the wire, in bytes.
    package static let sizeBytesMax = 128 << 10
    /// How many arguments or settings it may have, of each.
    package static let listCountMax = 1_024
    /// The longest argument, in bytes.
    package static let textSizeBytesMax = 64 << 10

    /// Makes a program that has no input and no terminal.
    package init(command: [String]) {
        self.command = command
    }
}

/// How large a terminal is, in characters.
package struct TerminalSize: Hashable, Sendable {
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

/// What a node asks of the node that runs the task.
///
/// Each may be repeated: input and output carry their places, so that a repetition changes nothing.
package enum CallCommand: Hashable, Sendable {
    /// Begin the call. Answered by `opened`.
    case open(CallTarget)
    /// Hand over output from this place on, in bytes; what lies before it may be forgotten. Waits for
    /// output up to the given time. Answered by `output`.
    case read(from: UInt64, waitAtMost: Duration)
    /// Take in input that begins at this place, in bytes; nothing follows it when it is the end.
    /// Waits a while for room. Answered by `taken`.
    case write([UInt8], at: UInt64, isEnd: Bool)
    /// The client's terminal has this size now. Answered by `done`.
    case resize(TerminalSize)
    /// The client is gone: end the program, if it is the call's own. Answered by `done`.
    case close

    /// The most input that one command carries, and the most output that one answer does, in bytes.
    package static let chunkSizeBytesMax = 64 << 10
    /// The longest wait for output.
    package static let readWaitMax: Duration = .seconds(10)
    /// How long input waits for room.
    package static let writeWaitMax: Duration = .seconds(5)
    /// How long nobody may ask for anything before a call ends by itself.
    package static let silenceMax: Duration = .seconds(20)
}

/// What came of a call's command.
package enum CallAnswer: Hashable, Sendable {
    /// The call has begun, or went on; input is taken from this place on.
    case opened(inputAt: UInt64)
    /// Output, and the place where it ends; the program's end once all output was handed over.
    case output([CallOutput], next: UInt64, end: CallEnd?)
    /// Input up to this place was taken; the rest is to be sent again.
    case taken(upTo: UInt64)
    /// Done.
    case done
    /// Can't be done, and why, in words for a person.
    case refused(CallRefusal, String)
}

/// Why a call's command was refused.
package enum CallRefusal: UInt8, Hashable, Sendable {
    /// The task does not run here, or the call has ended.
    case gone = 1
    /// There are as many calls as the node takes.
    case overloaded = 2
    /// The command makes no sense.
    case invalid = 3
}

/// A run of output bytes of a call's program.
package struct CallOutput: Hashable, Sendable {
    /// Where the program wrote them; with a terminal always the standard output.
    package var stream: LogStream
    /// The bytes.
    package var bytes: [UInt8]

    /// Makes a run.
    package init(stream: LogStream, bytes: [UInt8]) {
        self.stream = stream
        self.bytes = bytes
    }
}

/// How a call's program came to its end.
package enum CallEnd: Hashable, Sendable {
    /// It has ended with this code: 128 + signal when one ended it.
    case exited(Int32)
    /// It could not be started: 125 our error, 126 it can't be executed, 127 there is none.
    case failed(ContainerFailure)
}

import Glibc
import CShims
import Foundation
import Model

/// The far end of a task's own input: the monitor's socket.
///
/// A task's output is in its log, so that it can be read again; input is passed on once.
final class TaskInput: CallEndpoint {
    /// What a task's program reads.
    enum Kind: String {
        /// What its client sends, up to its end.
        case stream
        /// What is typed at its terminal.
        case terminal
    }

    private let paths: ContainerPaths
    private let kind: Kind

    init(_ paths: ContainerPaths, _ kind: Kind) {
        self.paths = paths
        self.kind = kind
    }

    func open() throws(ContainerFailure) -> CallPump.Ends {
        // The path itself may be longer than the address of a socket.
        let directory = Glibc.open(paths.bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if directory >= 0 { Glibc.close(directory) } }
        let socket = magpie_connect("/proc/self/fd/\(directory)/attach", 1)
        guard socket >= 0 else {
            throw ContainerFailure(
                code: 125,
                message: "the task's input can't be reached: \(String(cString: strerror(errno)))")
        }
        var ends = CallPump.Ends()
        ends.input = socket
        ends.inputKind = kind == .stream ? .packets : .terminal
        ends.outputs = [(socket, nil)]
        return ends
    }

    func ended() -> CallEnd { .exited(0) }

    func close() {}

    func resize(_ size: TerminalSize) {
        guard kind == .terminal else { return }
        let control = Glibc.open("\(paths.bundle)/ctl", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        guard control >= 0 else { return }
        defer { Glibc.close(control) }
        let line = Array("1 \(size.rows) \(size.columns)\n".utf8)
        _ = write(control, line, line.count)
    }
}

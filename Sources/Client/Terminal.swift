import ControlAPI
import Dispatch
import Foundation
import Glibc

/// The terminal at which the client's user sits.
final class Terminal: @unchecked Sendable {
    private let lock = NSLock()
    private let before: termios
    private let isRead: Bool
    private var isRaw = false
    private var sources: [any DispatchSourceSignal] = []

    /// - Parameters:
    ///   - isRead: Whether what is typed is to go to the program.
    ///   - command: Who wants it, for people.
    /// - Throws: `ClientFailure` when there is no terminal to be given to the program.
    init(isRead: Bool, command: String) throws {
        var settings = termios()
        let isHere = tcgetattr(0, &settings) == 0
        guard isHere || !isRead else {
            throw ClientFailure(
                "\(command): -t with -i needs a terminal here, and the input is none; take it "
                    + "without -t", code: 125)
        }
        before = settings
        self.isRead = isRead && isHere
    }

    /// Its size; `nil` when neither input nor output is a terminal.
    static var sizeHere: TerminalView? {
        var size = winsize()
        for descriptor in [0, 1, 2] as [Int32]
        where ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 0 {
            return TerminalView(rows: size.ws_row, columns: size.ws_col)
        }
        return nil
    }

    /// From now on each key goes to the program as it is.
    func makeRaw() {
        guard isRead else { return }
        // Whoever ends the client must find the terminal as it was.
        for number in [SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in
                restore()
                exit(128 + number)
            }
            source.resume()
            lock.withLock { sources.append(source) }
        }
        lock.withLock {
            var raw = before
            cfmakeraw(&raw)
            tcsetattr(0, TCSADRAIN, &raw)
            isRaw = true
        }
    }

    /// The terminal is as it was before.
    func restore() {
        lock.withLock {
            guard isRaw else { return }
            var settings = before
            tcsetattr(0, TCSADRAIN, &settings)
            isRaw = false
        }
    }

    /// Calls back whenever the size has changed.
    func onResize(_ handler: @escaping @Sendable () -> Void) {
        let source = DispatchSource.makeSignalSource(signal: SIGWINCH, queue: .global())
        source.setEventHandler(handler: handler)
        source.resume()
        lock.withLock { sources.append(source) }
    }
}

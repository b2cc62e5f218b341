import AsyncHTTPClient
import ControlAPI
import Dispatch
import Foundation
import Glibc
import NIOCore
import NIOHTTP1

/// Passes on what comes in here to a program of the cluster, over broken connections too.
///
/// One chunk at a time is under way: the program's node answers when it has room for more, and says
/// up to where it has taken what was sent, so that nothing is lost or given twice.
final class InputLink: @unchecked Sendable {
    /// To whom input goes.
    enum Receiver: Sendable {
        /// A call that is open.
        case call(String, inputAt: UInt64)
        /// A task; the link opens calls to its input itself.
        case task(String)
    }

    private let connection: Connection
    private let sendsInput: Bool
    private let terminal: Terminal?
    private let lock = NSLock()
    private let source = DispatchQueue(label: "magpie.input")
    private var call: String?
    private var tasks: [Task<Void, Never>] = []
    private var lossText: String?

    /// What was read here and is not confirmed yet, and where it begins.
    private var pending: [UInt8] = []
    private var place: UInt64 = 0
    private var isAtEnd = false

    /// How much is read at once, in bytes; a node takes no more.
    private static let chunkSizeBytesMax = 64 << 10
    private static let pause: Duration = .milliseconds(100)

    init(connection: Connection, sendsInput: Bool, terminal: Terminal?) {
        self.connection = connection
        self.sendsInput = sendsInput
        self.terminal = terminal
    }

    /// Why some of the input did not arrive; `nil` when all is well.
    var loss: String? { lock.withLock { lossText } }

    func begin(_ receiver: Receiver) {
        var tasks: [Task<Void, Never>] = []
        switch receiver {
        case .call(let id, let place): connect(to: id, at: place)
        case .task(let id): tasks.append(Task { [self] in await holdCall(to: id) })
        }
        if sendsInput { tasks.append(Task { [self] in await sendAll() }) }
        terminal?.onResize { [self] in Task { await self.tellSize() } }
        lock.withLock { self.tasks = tasks }
    }

    func end() {
        for task in lock.withLock({ tasks }) { task.cancel() }
    }

    // MARK: The call

    private func connect(to id: String, at place: UInt64) {
        lock.withLock {
            if terminal != nil {
                // A terminal has no past: what is typed now goes on where the node is.
                self.place = place
            } else if place < self.place || place > self.place + UInt64(pending.count) {
                lossText = lossText ?? "some of the input was lost on its way to the task"
            } else {
                confirm(upTo: place)
            }
            call = id
        }
    }

    /// Keeps a call to a task's input open until the task has ended.
    private func holdCall(to task: String) async {
        while !Task.isCancelled {
            do {
                let body = try await connection.stream(
                    "\(APIPaths.task(task))/attach", method: .POST, accept: APIPaths.frames)
                var lines = FrameLines<CallFrame>()
                for try await chunk in body {
                    for frame in try lines.take(chunk.readableBytesView) {
                        guard let id = frame.call else { continue }
                        connect(to: id, at: frame.inputAt ?? 0)
                        await tellSize()
                    }
                }
            } catch let error as ServerError where error.code == "conflict" {
                // Queued, or ended, or its node has lost the input; the task's state tells.
                if await isOver(task, error) { return }
            } catch {
                // The node is away; whoever reads the task's output tells of it.
            }
            lock.withLock { call = nil }
            try? await Task.sleep(for: InputLink.pause)
        }
    }

    private func isOver(_ task: String, _ error: ServerError) async -> Bool {
        let view = try? await connection.ask(.GET, APIPaths.task(task), as: TaskView.self)
        guard let view else { return false }
        if view.isTerminal { return true }
        guard view.state == "running", error.message.contains("input") else { return false }
        lock.withLock {
            if sendsInput, !(isAtEnd && pending.isEmpty) { lossText = lossText ?? error.message }
        }
        Output.error("client: \(error.message)")
        return true
    }

    private func tellSize() async {
        guard terminal != nil, let size = Terminal.sizeHere, let call = lock.withLock({ call })
        else { return }
        _ = try? await connection.ask(.POST, APIPaths.call(call) + "/resize", size)
    }

    // MARK: Input

    private func sendAll() async {
        while !Task.isCancelled {
            if lock.withLock({ pending.isEmpty && !isAtEnd }) { await read() }
            guard await sendOnce() else {
                try? await Task.sleep(for: InputLink.pause)
                continue
            }
            if lock.withLock({ isAtEnd && pending.isEmpty }) { return }
        }
    }

    /// Sends what is pending; whether the node has said something about it.
    private func sendOnce() async -> Bool {
        let (known, bytes, place, isEnd) = lock.withLock {
            (self.call, pending, self.place, isAtEnd)
        }
        guard let call = known else { return false }
        let path = "\(APIPaths.call(call))/input?at=\(place)\(isEnd ? "&end=true" : "")"
        guard let view = try? await connection.post(bytes, to: path, as: InputView.self)
        else { return false }
        lock.withLock { confirm(upTo: view.taken) }
        return true
    }

    private func confirm(upTo taken: UInt64) {
        guard taken > place else { return }
        pending.removeFirst(min(pending.count, Int(clamping: taken - place)))
        place = taken
    }

    /// Waits for input; on a thread that may block.
    private func read() async {
        let bytes = await withCheckedContinuation { continuation in
            source.async {
                var buffer = [UInt8](repeating: 0, count: InputLink.chunkSizeBytesMax)
                var count = Glibc.read(0, &buffer, buffer.count)
                while count < 0, errno == EINTR {
                    count = Glibc.read(0, &buffer, buffer.count)
                }
                continuation.resume(returning: Array(buffer.prefix(max(0, count))))
            }
        }
        lock.withLock {
            pending += bytes
            isAtEnd = bytes.isEmpty
        }
    }
}

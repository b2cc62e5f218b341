import CShims
import Dispatch
import Foundation
import Glibc
import Model

/// What is at the other end of a call, on the task's side.
///
/// All of it happens on the pump's thread.
protocol CallEndpoint: AnyObject {
    /// Makes the other end, and says by which descriptors it is reached; the pump closes them.
    func open() throws(ContainerFailure) -> CallPump.Ends
    /// The program has ended: how.
    func ended() -> CallEnd
    /// Nobody listens any more: what belongs to the call alone is to end.
    func close()
    /// The client's terminal has this size now.
    func resize(_ size: TerminalSize)
}

/// Moves bytes between a call's client and its program: a thread that sleeps until some can be moved.
///
/// Each side waits for the other: what the client has not fetched stays in the program's pipe, and
/// what the program has not read stays with the client.
final class CallPump: @unchecked Sendable {
    typealias Answer = @Sendable (CallAnswer) -> Void

    /// The descriptors at the program's side; -1 for one that is not there.
    struct Ends {
        /// Where input goes.
        var input: Int32 = -1
        var inputKind = InputKind.pipe
        /// Where output comes from; without a stream it is thrown away.
        var outputs: [(descriptor: Int32, stream: LogStream?)] = []
        /// Becomes readable when the program has ended.
        var witness: Int32 = -1
    }

    /// How input is written, and ended.
    enum InputKind {
        case pipe
        /// A packet socket, of which the other direction stays open.
        case packets
        /// Ends with a character.
        case terminal
    }

    /// Something that waits, and until when.
    private struct Waiting {
        var place: UInt64 = 0
        var until: ContinuousClock.Instant
        var answer: Answer
    }

    /// How long output may follow a program's end, from what it has left behind.
    private static let drainTimeMax: Duration = .seconds(2)
    /// How much is written at once: no more than the monitor takes in a packet.
    private static let packetSizeBytesMax = 8 << 10

    private let endpoint: any CallEndpoint
    /// Whether the call ends when nobody asks; else its input does.
    private let endsWithSilence: Bool
    private let silenceMax: Duration
    private let wake = magpie_eventfd()
    private let lock = NSLock()
    private let over = DispatchSemaphore(value: 0)

    private var output = CallOutputBuffer()
    private var input = CallInputBuffer()
    private var end: CallEnd?
    private var reader: Waiting?
    private var writer: Waiting?
    private var sizeWanted: TerminalSize?
    private var lastHeard = ContinuousClock.now
    private var isClosing = false
    private var isGone = false

    /// The thread's own.
    private var ends = Ends()
    private var pendingEnd: CallEnd?
    private var drainUntil: ContinuousClock.Instant?

    init(_ endpoint: any CallEndpoint, endsWithSilence: Bool, silenceMax: Duration) {
        self.endpoint = endpoint
        self.silenceMax = silenceMax
        self.endsWithSilence = endsWithSilence
    }

    deinit { if wake >= 0 { Glibc.close(wake) } }

    /// Begins; `finished` is told when nothing is left.
    func start(finished: @escaping @Sendable () -> Void) {
        let thread = Thread { [self] in
            run()
            finished()
            over.signal()
        }
        thread.name = "magpie-call"
        thread.start()
    }

    // MARK: What the client wants

    /// Carries a command out, or refuses it; answers exactly once.
    func handle(_ command: CallCommand, _ answer: @escaping Answer) {
        let ready: [() -> Void] = lock.withLock {
            lastHeard = .now
            guard !isGone, wake >= 0 else { return [{ answer(CallPump.gone) }] }
            switch command {
            case .open:
                let place = input.taken
                return [{ answer(.opened(inputAt: place)) }]
            case .read(let place, let wait): return read(from: place, wait, answer)
            case .write(let bytes, let place, let isEnd):
                return write(bytes, at: place, isEnd: isEnd, answer)
            case .resize(let size): sizeWanted = size
            case .close: isClosing = endsWithSilence
            }
            return [{ answer(.done) }]
        }
        for step in ready { step() }
        rouse()
    }

    /// What tells a client that it is connected.
    var opened: CallAnswer {
        lock.withLock {
            lastHeard = .now
            return isGone ? CallPump.gone : .opened(inputAt: input.taken)
        }
    }

    /// Waits until nothing is left, for a bounded time.
    func waitForEnd() { _ = over.wait(timeout: .now() + CallPump.endSecondsMax) }

    private static let endSecondsMax = 15.0

    /// Ends the call from this side.
    func close() {
        lock.withLock { isClosing = true }
        rouse()
    }

    private static let gone = CallAnswer.refused(.gone, "the call has ended")

    private func read(
        from place: UInt64, _ wait: Duration, _ answer: @escaping Answer
    ) -> [() -> Void] {
        var steps: [() -> Void] = []
        if let earlier = reader {
            steps.append { earlier.answer(.output([], next: earlier.place, end: nil)) }
        }
        reader = Waiting(
            place: place, until: .now + min(wait, CallCommand.readWaitMax), answer: answer)
        return steps + readerSteps(isOver: wait <= .zero)
    }

    /// Answers the reader, if there is something for it or its time is up.
    private func readerSteps(isOver: Bool = false) -> [() -> Void] {
        guard let waiting = reader else { return [] }
        guard let (runs, next) = output.read(from: waiting.place) else {
            reader = nil
            let reason = "there is no output at \(waiting.place)"
            return [{ waiting.answer(.refused(.invalid, reason)) }]
        }
        let end = next == output.end ? end : nil
        guard !runs.isEmpty || end != nil || isOver || waiting.until <= .now else { return [] }
        reader = nil
        return [{ waiting.answer(.output(runs, next: next, end: end)) }]
    }

    private func write(
        _ bytes: [UInt8], at place: UInt64, isEnd: Bool, _ answer: @escaping Answer
    ) -> [() -> Void] {
        guard bytes.count <= CallCommand.chunkSizeBytesMax,
            input.take(bytes, at: place, isEnd: isEnd)
        else {
            let reason = "input at \(place) does not follow that up to \(input.taken)"
            return [{ answer(.refused(.invalid, reason)) }]
        }
        var steps: [() -> Void] = []
        let taken = input.taken
        if let earlier = writer { steps.append { earlier.answer(.taken(upTo: taken)) } }
        writer = nil
        guard taken == place, !bytes.isEmpty else {
            return steps + [{ answer(.taken(upTo: taken)) }]
        }
        // No room at all: the answer waits for some, so that nobody asks again and again.
        writer = Waiting(until: .now + CallCommand.writeWaitMax, answer: answer)
        return steps
    }

    private func writerSteps() -> [() -> Void] {
        guard let waiting = writer, input.hasRoom || waiting.until <= .now else { return [] }
        writer = nil
        let taken = input.taken
        return [{ waiting.answer(.taken(upTo: taken)) }]
    }

    private func rouse() {
        var one: UInt64 = 1
        _ = Glibc.write(wake, &one, 8)
    }

    // MARK: The thread

    private func run() {
        magpie_block_broken_pipes()
        do {
            ends = try endpoint.open()
            for end in ends.outputs { setNonBlocking(end.descriptor) }
            setNonBlocking(ends.input)
        } catch {
            lock.withLock { end = .failed(error) }
        }
        while !isOver() { turn() }
        endpoint.close()
        dropInput()
        while !ends.outputs.isEmpty { dropOutput(0) }
        if ends.witness >= 0 { Glibc.close(ends.witness) }
        let left: [() -> Void] = lock.withLock {
            isGone = true
            let waiting = [reader, writer].compactMap { $0 }
            (reader, writer) = (nil, nil)
            return waiting.map { entry in { entry.answer(CallPump.gone) } }
        }
        for step in left { step() }
    }

    /// Whether the thread has nothing more to do.
    private func isOver() -> Bool {
        lock.withLock {
            if isClosing { return true }
            guard ContinuousClock.now - lastHeard > silenceMax else { return false }
            // A task's input has no end of its own, but the monitor's: only it ends.
            if !endsWithSilence, end == nil, ends.inputKind == .packets { input.abandon() }
            return endsWithSilence || end != nil
        }
    }

    private func setNonBlocking(_ descriptor: Int32) {
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    private func turn() {
        let (hasInput, hasRoom) = lock.withLock { (!input.waiting.isEmpty, output.room > 0) }
        var polled = [
            pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
            pollfd(fd: ends.witness, events: Int16(POLLIN), revents: 0),
            pollfd(fd: hasInput ? ends.input : -1, events: Int16(POLLOUT), revents: 0),
        ]
        polled += ends.outputs.map { end in
            let isRead = hasRoom || end.stream == nil
            return pollfd(
                fd: isRead ? end.descriptor : -1, events: Int16(POLLIN), revents: 0)
        }
        let ready = poll(&polled, nfds_t(polled.count), sleepMilliseconds)
        if polled[0].revents != 0 {
            var count: UInt64 = 0
            _ = Glibc.read(wake, &count, 8)
        }
        if ready > 0, polled[1].revents != 0 { programEnded() }
        if hasInput { passInput() }
        endInputIfDue()
        var heard = false
        for index in polled.indices.dropFirst(3).reversed() where polled[index].revents != 0 {
            heard = true
            takeOutput(index - 3)
        }
        if let drainUntil, hasRoom, !heard, drainUntil < .now {
            while !ends.outputs.isEmpty { dropOutput(0) }
        }
        resizeIfDue()
        let steps = lock.withLock {
            if let pendingEnd, ends.outputs.isEmpty { end = pendingEnd }
            return readerSteps() + writerSteps()
        }
        for step in steps { step() }
    }

    /// How long the thread sleeps at most: waits may end a little late.
    private var sleepMilliseconds: Int32 {
        lock.withLock { reader != nil || writer != nil } || drainUntil != nil ? 100 : 1_000
    }

    private func programEnded() {
        Glibc.close(ends.witness)
        ends.witness = -1
        pendingEnd = endpoint.ended()
        drainUntil = .now + CallPump.drainTimeMax
        dropInput()
    }

    /// Input goes nowhere any more; what is an output too stays open.
    private func dropInput() {
        let isShared = ends.outputs.contains { $0.descriptor == ends.input }
        if ends.input >= 0, !isShared { Glibc.close(ends.input) }
        ends.input = -1
    }

    private func dropOutput(_ index: Int) {
        let descriptor = ends.outputs.remove(at: index).descriptor
        if ends.input == descriptor { ends.input = -1 }
        Glibc.close(descriptor)
    }

    private func passInput() {
        let part = lock.withLock { Array(input.waiting.prefix(CallPump.packetSizeBytesMax)) }
        var count = part.count
        if ends.input >= 0 {
            count = Glibc.write(ends.input, part, part.count)
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            // The program reads no more: what is sent to it is taken and forgotten, as by a shell.
            if count < 0 { count = part.count }
        }
        lock.withLock { input.passed(count) }
    }

    private func endInputIfDue() {
        let isDue = lock.withLock { input.isEnded && input.waiting.isEmpty }
        guard isDue, ends.input >= 0 else { return }
        switch ends.inputKind {
        case .pipe: dropInput()
        case .packets:
            shutdown(ends.input, Int32(SHUT_WR))
            ends.input = -1
        case .terminal:
            var character: UInt8 = 4
            _ = Glibc.write(ends.input, &character, 1)
            ends.input = -1
        }
    }

    private func takeOutput(_ index: Int) {
        let end = ends.outputs[index]
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let room = end.stream == nil ? buffer.count : lock.withLock { output.room }
        guard room > 0 else { return }
        let count = Glibc.read(end.descriptor, &buffer, min(room, buffer.count))
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else {
            if end.stream == nil {
                // The monitor is gone, and with it the task.
                pendingEnd = .exited(0)
            }
            return dropOutput(index)
        }
        guard let stream = end.stream else { return }
        lock.withLock { output.append(buffer[..<count], of: stream) }
    }

    private func resizeIfDue() {
        let size = lock.withLock {
            defer { sizeWanted = nil }
            return sizeWanted
        }
        if let size { endpoint.resize(size) }
    }
}

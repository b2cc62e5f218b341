import Cluster
import ControlAPI
import Foundation
import HTTPTypes
import Hummingbird
import Model
import NIOCore

/// Calls: programs that clients start in tasks, and what they type, by way of any node.
extension APIServer {
    /// How long a task's node may be silent before its client is told that the call is lost.
    private static let absenceMax: Duration = CallCommand.silenceMax
    /// How long one look at a call waits for output; a client that went away is noticed with the next.
    private static let readWait: Duration = .seconds(2)
    /// How long a request to attach waits for its task to run.
    private static let attachWait: Duration = .seconds(10)
    /// The largest body that carries input, in bytes.
    private static let inputSizeBytesMax = CallCommand.chunkSizeBytesMax

    func exec(_ request: Request, _ fragment: String) async throws -> Response {
        let data = try await self.body(of: request)
        let body: ExecRequest = try decode(data)
        let unknown: UnknownFields = try decode(data)
        if let name = unknown.namesInExec.first {
            throw InvalidInput("there is no field \(name); \(APIPaths.description) lists all")
        }
        let program = try body.program()
        let id = try await resolve(fragment)
        return try await frames(of: request, to: id, .program(program))
    }

    /// Connects with a task's own input and terminal; waits for the task to run, as its client does.
    func attach(_ request: Request, _ fragment: String) async throws -> Response {
        let id = try await resolve(fragment)
        let status = try await driver.task(id, waitAtMost: APIServer.attachWait) {
            $0.state == .running || $0.state.isTerminal
        }
        guard let status else { throw Refusal(.notFound, "there is no task \(fragment)") }
        guard status.spec.options.hasInput || status.spec.options.terminal != nil else {
            throw Refusal(
                .invalid, "task \(id) takes no input; run it with --stdin or --tty")
        }
        return try await frames(of: request, to: id, .input)
    }

    private func frames(
        of request: Request, to task: TaskID, _ target: CallTarget
    ) async throws -> Response {
        // Refusals come before the headers, so that they can be errors.
        guard case .call(let call, let answer) = try await ask(.openCall(task, target))
        else { throw Refusal(.unavailable, "the call was not answered") }
        let place = try APIServer.place(in: answer)
        let server = self
        return Response(
            status: .ok, headers: [.contentType: APIPaths.frames],
            body: ResponseBody { writer in
                do {
                    let first = CallFrame(call: call.text, inputAt: place)
                    try await writer.write(try APIServer.line(first))
                    try await server.passOutput(of: call, to: &writer)
                } catch {
                    // The program is not to outlive its client.
                    _ = try? await server.ask(.call(call, .close))
                    throw error
                }
                _ = try? await server.ask(.call(call, .close))
                try await writer.finish(nil)
            })
    }

    private static func place(in answer: CallAnswer) throws -> UInt64 {
        switch answer {
        case .opened(let place): return place
        case .refused(.overloaded, let reason): throw Refusal(.overloaded, reason)
        case .refused(.invalid, let reason): throw Refusal(.invalid, reason)
        case .refused(.gone, let reason): throw Refusal(.conflict, reason)
        case .output, .taken, .done: throw Refusal(.unavailable, "the call was not answered")
        }
    }

    private func passOutput(
        of call: Call, to writer: inout any ResponseBodyWriter
    ) async throws {
        var place: UInt64 = 0
        var lastSign = ContinuousClock.now
        while true {
            let answer: CallAnswer
            do {
                let command = CallCommand.read(from: place, waitAtMost: APIServer.readWait)
                guard case .call(_, let heard) = try await ask(.call(call, command)) else { return }
                answer = heard
                lastSign = .now
            } catch let refusal as Refusal
                where [.unavailable, .overloaded].contains(refusal.code)
            {
                guard ContinuousClock.now - lastSign < APIServer.absenceMax else {
                    let frame = CallFrame(exitCode: 125, failure: refusal.message)
                    return try await writer.write(try APIServer.line(frame))
                }
                try await Task.sleep(for: .milliseconds(200))
                continue
            }
            let (lines, next) = try APIServer.lines(of: answer, after: place)
            try await writer.write(lines)
            guard let next else { return }
            place = next
        }
    }

    /// What is sent of an answer, and where to go on; nowhere when it was the last one.
    private static func lines(
        of answer: CallAnswer, after place: UInt64
    ) throws -> (ByteBuffer, next: UInt64?) {
        guard case .output(let runs, let next, let end) = answer else {
            var reason = "the call has ended"
            if case .refused(_, let text) = answer { reason = text }
            return (try line(CallFrame(exitCode: 125, failure: reason)), nil)
        }
        var buffer = ByteBuffer()
        for run in runs {
            let stream = run.stream == .stderr ? "stderr" : "stdout"
            var line = try line(CallFrame(stream: stream, data: Data(run.bytes)))
            buffer.writeBuffer(&line)
        }
        switch end {
        case nil:
            // An empty line now and then shows whether anybody still listens.
            if runs.isEmpty { buffer.writeString("\n") }
            return (buffer, next)
        case .exited(let code)?:
            var line = try line(CallFrame(exitCode: code))
            buffer.writeBuffer(&line)
        case .failed(let failure)?:
            var line = try line(CallFrame(exitCode: failure.code, failure: failure.message))
            buffer.writeBuffer(&line)
        }
        return (buffer, nil)
    }

    private static func line(_ frame: CallFrame) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var buffer = ByteBuffer(bytes: try encoder.encode(frame))
        buffer.writeString("\n")
        return buffer
    }

    // MARK: To the program

    func input(_ request: Request, _ text: String) async throws -> Response {
        let call = try call(text)
        let parameters = request.uri.queryParameters
        guard let place = parameters.get("at").flatMap({ UInt64($0) }) else {
            throw InvalidInput("at: say at which byte of the input the body begins")
        }
        let isEnd: Bool
        switch parameters.get("end") {
        case nil, "false": isEnd = false
        case "true": isEnd = true
        case let other?: throw InvalidInput("end: \(other) is neither true nor false")
        }
        let bytes: [UInt8]
        do {
            let buffer = try await request.body.collect(upTo: APIServer.inputSizeBytesMax)
            bytes = Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw InvalidInput(
                "the body holds more than \(APIServer.inputSizeBytesMax >> 10) KiB of input")
        }
        switch try await answer(of: call, to: .write(bytes, at: place, isEnd: isEnd)) {
        case .taken(let taken): return try json(InputView(taken: taken))
        default: throw Refusal(.unavailable, "the input was not answered")
        }
    }

    func resize(_ request: Request, _ text: String) async throws -> Response {
        let call = try call(text)
        let size: TerminalView = try await decode(request)
        _ = try await answer(
            of: call, to: .resize(TerminalSize(rows: size.rows, columns: size.columns)))
        return try json([String: String](), status: .accepted)
    }

    private func call(_ text: String) throws -> Call {
        guard let call = Call(text) else { throw Refusal(.notFound, "there is no call \(text)") }
        return call
    }

    private func answer(of call: Call, to command: CallCommand) async throws -> CallAnswer {
        guard case .call(_, let answer) = try await ask(.call(call, command)) else {
            throw Refusal(.unavailable, "the call was not answered")
        }
        guard case .refused(let code, let reason) = answer else { return answer }
        throw Refusal(code == .invalid ? .invalid : .notFound, reason)
    }
}

extension Call {
    /// All that a node needs to know of a call: what it is asked next needs no memory of it.
    var text: String { "\(number)-\(holder)-\(container)" }

    /// Reads what `text` gave.
    init?(_ text: String) {
        let parts = text.split(separator: "-", maxSplits: 2).map(String.init)
        guard parts.count == 3, let number = UInt64(parts[0]),
            let holder = Wide128(hexadecimal: parts[1]).map(NodeID.init),
            let container = ContainerID(parts[2])
        else { return nil }
        self.init(number: number, container: container, holder: holder)
    }
}

import Foundation
package import Model

/// Everything in this target that is made from JSON or text.
package enum ControlAPIDecoders {
    /// One line for each; new ones go here.
    package static let all: [ByteDecoder] = [
        json(APITokenRequest.self),
        json(APITokenStatusView.self),
        json(APITokenView.self),
        json(AccessView.self),
        json(AttemptView.self),
        json(CallFrame.self),
        json(ErrorBody.self),
        json(ErrorBody.Content.self),
        json(EvictRequest.self),
        json(EvictionView.self),
        json(ExecRequest.self) { _ = try? $0.program() },
        json(ImageView.self),
        json(InputView.self),
        json(LogFrame.self),
        json(NodeView.self),
        json(PruneReply.self),
        json(PullRequest.self),
        json(SignalRequest.self),
        json(SpecView.self) { _ = try? $0.spec() },
        json(StatsView.self),
        json(SubmitReply.self),
        json(SubmitRequest.self) { request in
            _ = try? request.ack.map { try Quantities.ack($0) }
            _ = try? request.spec.spec().encoded
        },
        json(TaskView.self),
        json(TerminalView.self),
        json(TokenRequest.self),
        json(TokenStatusView.self),
        json(TokenView.self),
        json(UsageView.self),
        json(WhyView.self),
        ByteDecoder(String(reflecting: UnknownFields.self), .unwritten) { bytes in
            _ = try JSONDecoder().decode(UnknownFields.self, from: Data(bytes)).namesInExec
            return []
        },
        ByteDecoder("ControlAPI.FrameLines", .unwritten) { bytes in
            var lines = FrameLines<LogFrame>()
            for begin in stride(from: 0, to: bytes.count, by: 7) {
                _ = try lines.take(bytes[begin..<min(begin + 7, bytes.count)])
            }
            return []
        },
        ByteDecoder("ControlAPI.EventLines", .unwritten) { bytes in
            var lines = EventLines()
            for begin in stride(from: 0, to: bytes.count, by: 7) {
                _ = try lines.take(bytes[begin..<min(begin + 7, bytes.count)])
            }
            return []
        },
        ByteDecoder(text: "ControlAPI.Quantities, text") { text in
            _ = try? Quantities.bytes(text)
            _ = try? Quantities.seconds(text)
            _ = try? Quantities.volume(text)
            _ = try? Quantities.time(text, now: WallTime(milliseconds: 1_700_000_000_000))
            _ = try? Quantities.signal(text)
            _ = try? Quantities.tmpfs(text)
            _ = try? Quantities.ulimit(text)
            return Quantities.text(try Quantities.restart(text))
        },
    ]

    private static func json<Value: Codable & SendableMetatype>(
        _ type: Value.Type, _ use: @escaping @Sendable (Value) -> Void = { _ in }
    ) -> ByteDecoder {
        ByteDecoder(String(reflecting: type), .settled) { bytes in
            let value = try JSONDecoder().decode(Value.self, from: Data(bytes))
            use(value)
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            return Array(try encoder.encode(value))
        }
    }
}

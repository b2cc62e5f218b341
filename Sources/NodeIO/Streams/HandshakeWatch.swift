import NIOCore
import NIOTLS

/// Waits until a handshake has ended, well or not, and not for longer than it may take.
final class HandshakeWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let limit: TimeAmount
    private let ended: (StreamRefusal?) -> Void
    private var timer: Scheduled<Void>?
    private var hasEnded = false

    /// `ended` is called once, with `nil` when both ends have proven their keys.
    init(limit: TimeAmount, ended: @escaping (StreamRefusal?) -> Void) {
        self.limit = limit
        self.ended = ended
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in
            end(.slowHandshake)
            channel.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(.failedHandshake)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted(let name)? = event as? TLSUserEvent {
            let isRight = name == StreamIdentity.protocolName
            end(isRight ? nil : .otherProtocol)
            if !isRight { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.failedHandshake)
        context.close(promise: nil)
    }

    private func end(_ refusal: StreamRefusal?) {
        guard !hasEnded else { return }
        hasEnded = true
        timer?.cancel()
        ended(refusal)
    }
}

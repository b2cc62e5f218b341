import NIOCore

/// Lets a stream pass that begins as TLS does; closes any other at once, without a word.
///
/// Source: RFC 8446, sections 4 and 5.1: a record of a handshake that holds a client's hello.
final class RecordGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var begun = ByteBuffer()
    private let refuse: () -> Void

    /// The byte that must be at each place, if any.
    private static let pattern: [UInt8?] = [22, 3, nil, nil, nil, 1]

    init(refuse: @escaping () -> Void) {
        self.refuse = refuse
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = unwrapInboundIn(data)
        begun.writeBuffer(&part)
        let fits = zip(begun.readableBytesView, RecordGate.pattern).allSatisfy { byte, wanted in
            wanted.map { $0 == byte } ?? true
        }
        guard fits else {
            begun.clear()
            refuse()
            // From here on outwards: TLS is not asked, and says nothing.
            return context.close(promise: nil)
        }
        guard begun.readableBytes >= RecordGate.pattern.count else { return }
        context.fireChannelRead(wrapInboundOut(begun))
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}

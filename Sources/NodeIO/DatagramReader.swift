import Model
import NIOCore

/// Hands over datagrams with their sources.
final class DatagramReader: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let deliver: ([UInt8], PeerAddress) -> Void

    init(deliver: @escaping ([UInt8], PeerAddress) -> Void) {
        self.deliver = deliver
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let source = PeerAddress(envelope.remoteAddress) else { return }
        deliver(Array(envelope.data.readableBytesView), source)
    }

    /// A refused datagram of ours comes back as an error; the socket goes on.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

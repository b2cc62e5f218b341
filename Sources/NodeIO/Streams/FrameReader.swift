import Model
import NIOCore

/// Cuts a stream into frames: four bytes of length, big-endian, then the frame.
final class FrameReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var buffer = ByteBuffer()
    private var hasRefused = false
    /// How much room is kept for the next frame when there is none yet, in bytes.
    private static let keptSizeBytesMax = 64 << 10
    private let sizeBytesMax: () -> Int
    private let refuse: (StreamRefusal) -> Void
    private let deliver: ([UInt8]) -> Void

    /// - Parameters:
    ///   - sizeBytesMax: The longest frame that may come now.
    ///   - refuse: Called before the connection is closed for a frame that may not come.
    ///   - deliver: Called with each frame.
    init(
        sizeBytesMax: @escaping () -> Int, refuse: @escaping (StreamRefusal) -> Void,
        deliver: @escaping ([UInt8]) -> Void
    ) {
        self.sizeBytesMax = sizeBytesMax
        self.refuse = refuse
        self.deliver = deliver
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasRefused else { return }
        var part = unwrapInboundIn(data)
        buffer.writeBuffer(&part)
        while let size = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) {
            guard size > 0, size <= sizeBytesMax() else {
                buffer = ByteBuffer()
                hasRefused = true
                refuse(.badFrame)
                return context.close(promise: nil)
            }
            guard buffer.readableBytes >= Int(size) + 4 else { break }
            buffer.moveReaderIndex(forwardBy: 4)
            if let bytes = buffer.readBytes(length: Int(size)) { deliver(bytes) }
        }
        if buffer.readableBytes == 0, buffer.capacity > FrameReader.keptSizeBytesMax {
            buffer = ByteBuffer()
        } else {
            buffer.discardReadBytes()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

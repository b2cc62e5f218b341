import Model
import NIOCore

/// Hands over the frames of a stream, and closes one whose frames have no proper size.
final class FrameReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var frames = FrameSplitter()
    private var hasRefused = false
    private var hasGrown = false
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
        frames.append(unwrapInboundIn(data).readableBytesView)
        do {
            while let frame = try frames.next(sizeBytesMax: sizeBytesMax()) {
                if frame.count > FrameReader.keptSizeBytesMax { hasGrown = true }
                deliver(frame)
            }
        } catch {
            frames = FrameSplitter()
            hasRefused = true
            refuse(.badFrame)
            return context.close(promise: nil)
        }
        // A buffer that has once held a large frame is not kept as large.
        guard hasGrown, frames.heldSizeBytes == 0 else { return }
        frames = FrameSplitter()
        hasGrown = false
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

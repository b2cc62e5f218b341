import HummingbirdCore
import Logging
import Model
import NIOCore
import NodeIO
import Synchronization

/// Sets up connections as `Base` does, and closes those for which their source has no place.
struct SharedChannel<Base: ServerChildChannel>: ServerChildChannel {
    private let base: Base
    private let shares: Ledger

    /// The shares of one socket, on whose connections several loops work.
    private final class Ledger: Sendable {
        let shares = Mutex(ConnectionShares(at: NodeDriver.now))
    }

    init(_ base: Base) {
        self.base = base
        shares = Ledger()
    }

    func setup(channel: any NIOCore.Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
        let ready = base.setup(channel: channel, logger: logger)
        guard let source = channel.remoteAddress.flatMap({ PeerAddress($0)?.source }) else {
            return ready
        }
        let shares = shares
        guard shares.shares.withLock({ $0.begin(from: source, at: NodeDriver.now) }) else {
            // Whoever waits for the connection finds it closed, which is no failure of the server's.
            return ready.always { _ in channel.close(promise: nil) }
        }
        channel.closeFuture.whenComplete { _ in shares.shares.withLock { $0.end(from: source) } }
        return ready
    }

    func handle(value: Base.Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}

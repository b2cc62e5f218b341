import ControlAPI
import HTTPTypes
import Hummingbird
import Model
import NIOCore
import NodeIO

/// How requests get in, and what who comes that way may do.
enum APIDoor: Sendable {
    /// The local socket: who may open the file may do everything.
    case socket
    /// Loopback without TLS, for those who have asked for it: anybody on this machine may do
    /// everything, except web pages.
    case openLoopback
    /// TLS: who shows a token may do what its role may.
    case tls(APICertificate)

    /// Refuses a request that needs more than its sender may do.
    ///
    /// - Returns: What its sender may do, and by which token; `nil` when nobody asks for it.
    func admit(
        _ request: Request, from source: PeerAddress?, needs role: APIRole?, _ desk: APITokenDesk
    ) throws(AccessDenied) -> AccessView? {
        guard case .tls = self else { return AccessView(role: .admin) }
        guard let role else { return nil }
        let record = try desk.holder(request.headers[.authorization], from: source)
        guard record.role >= role else { throw .tooLittle(record, needs: role) }
        return AccessView(role: record.role, token: record.name, expires: "\(record.expiry)")
    }
}

/// What belongs to one request: where it comes from.
struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// Without its port; of IPv6 the network; `nil` on the local socket.
    let source: PeerAddress?

    init(source: Source) {
        coreContext = .init(source: source)
        self.source = source.channel.remoteAddress.flatMap { PeerAddress($0)?.source }
    }
}

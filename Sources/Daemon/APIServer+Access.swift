import Cluster
import ControlAPI
import Hummingbird
import Model

/// Tokens for the API itself.
extension APIServer {
    static let accessRoutes = [
        APIRoute(.get, APIPaths.access, .read) { server, _, _ in
            try server.json(server.caller)
        },
        APIRoute(.get, APIPaths.apiTokens, .admin) { server, _, _ in
            let records = server.tokens.records(at: NodeDriver.wallTime)
            return try server.json(
                records.map {
                    APITokenStatusView(
                        name: $0.name, role: $0.role, expires: "\($0.expiry)",
                        revoked: $0.isRevoked)
                })
        },
        APIRoute(.post, APIPaths.apiTokens, .admin) { server, request, _ in
            let wish: APITokenRequest = try await server.decode(request)
            let lifetime = Duration.seconds(min(max(wish.lifetimeSeconds, 0), 1 << 40))
            let (text, record) = try server.tokens.make(wish.role, lifetime: lifetime)
            return try server.json(
                APITokenView(
                    token: text, name: record.name, address: server.tls?.address,
                    fingerprint: server.tls?.fingerprint))
        },
        APIRoute(.post, APIPaths.apiTokens + "/{id}/revoke", .admin) { server, _, id in
            try server.tokens.revoke(id)
            return try server.json([String: String](), status: .accepted)
        },
    ]
}

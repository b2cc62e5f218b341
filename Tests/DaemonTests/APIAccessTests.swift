import AsyncHTTPClient
import ControlAPI
import Foundation
import HTTPTypes
import Model
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import Daemon

/// Who may do what over TLS, for every route that there is.
@Suite(.timeLimit(.minutes(2)))
struct APIAccessTests {
    private static func path(_ route: APIRoute) -> String {
        route.path.replacing("{id}", with: "ff")
    }

    private static func ask(
        _ api: TestAPI, _ route: APIRoute, token: String?
    ) async throws -> TestAPI.Answer {
        // A body that no route takes: what is allowed is refused for another reason.
        let body: String? = route.method == .get ? nil : "{}"
        return try await api.ask(
            HTTPMethod(rawValue: route.method.rawValue), path(route), body,
            headers: token.map { [("authorization", "Bearer \($0)")] } ?? [])
    }

    @Test func `each route takes its least role and those above, and no other`() async throws {
        try await TestAPI.run(isSecure: true) { api in
            var tokens: [APIRole: String] = [:]
            for role in APIRole.allCases {
                tokens[role] = try api.tokens.make(role, lifetime: .seconds(600)).text
            }
            // What ends the node, or never ends by itself, is asked by those who may not alone.
            let endless = [APIPaths.events, APIPaths.leave, APIPaths.lockRecovery]
            for route in APIServer.routes {
                for role in APIRole.allCases {
                    let isAllowed = route.least.map { role >= $0 } ?? true
                    if isAllowed, endless.contains(route.path) { continue }
                    let answer = try await APIAccessTests.ask(api, route, token: tokens[role])
                    let isRefused = [401, 403].contains(answer.status)
                    #expect(isRefused == !isAllowed, "\(route.method) \(route.path) as \(role)")
                    if isRefused, let least = route.least {
                        #expect(
                            answer.error?.message.contains("the role \(least.rawValue)") == true)
                    }
                }
            }
        }
    }

    @Test func `without a token nobody gets anything but health and the description`()
        async throws
    {
        try await TestAPI.run(isSecure: true) { api in
            for route in APIServer.routes {
                let answer = try await APIAccessTests.ask(api, route, token: nil)
                guard route.least != nil else {
                    #expect(answer.status == 200, "\(route.path)")
                    continue
                }
                #expect(answer.status == 401, "\(route.method) \(route.path)")
                #expect(answer.headers.first(name: "www-authenticate")?.hasPrefix("Bearer") == true)
                #expect(answer.error?.message.contains("client login") == true)
            }
        }
    }

    @Test func `a token says what it is, and is refused with its reason when it is none`()
        async throws
    {
        try await TestAPI.run(isSecure: true) { api in
            func ask(_ header: String) async throws -> TestAPI.Answer {
                try await api.ask(.GET, APIPaths.access, headers: [("authorization", header)])
            }
            let (text, record) = try api.tokens.make(.submit, lifetime: .seconds(600))
            let access = try await ask("Bearer \(text)").value(AccessView.self)
            #expect(access.role == .submit && access.token == record.name)
            #expect(access.expires == "\(record.expiry)")
            #expect(try await ask("Basic \(text)").status == 401)
            try api.tokens.revoke(record.name)
            let revoked = try await ask("Bearer \(text)")
            #expect(revoked.status == 401)
            #expect(revoked.error?.message.contains("was taken back") == true)
        }
    }

    @Test func `wrong tokens are looked at ten times, and then no token of that source is`()
        async throws
    {
        try await TestAPI.run(isSecure: true) { api in
            let (text, _) = try api.tokens.make(.read, lifetime: .seconds(600))
            func status(_ token: String) async throws -> Int {
                try await api.ask(
                    .GET, APIPaths.access, headers: [("authorization", "Bearer \(token)")]
                ).status
            }
            for number in 1...WrongTokenLimiter.wrongMax {
                #expect(try await status("mga1-\(number)") == 401)
                if number == 1 { #expect(try await status(text) == 200) }
            }
            #expect(try await status("mga1-0") == 429)
            #expect(try await status(text) == 429)
        }
    }

    @Test func `tokens are made, listed and taken back by way of the API`() async throws {
        try await TestAPI.run { api in
            let made = try await api.ask(
                .POST, APIPaths.apiTokens, #"{"role":"read","lifetime_seconds":60}"#
            ).value(APITokenView.self)
            let list = try await api.ask(.GET, APIPaths.apiTokens)
            #expect(!list.text.contains(made.token))
            #expect(try list.value([APITokenStatusView].self).map(\.name) == [made.name])
            let revoked = try await api.ask(
                .POST, "\(APIPaths.apiTokens)/\(made.name.prefix(6))/revoke", "{}")
            #expect(revoked.status == 202)
            let after = try await api.ask(.GET, APIPaths.apiTokens)
                .value([APITokenStatusView].self)
            #expect(after.map(\.revoked) == [true])
            for body in [
                #"{"role":"king","lifetime_seconds":60}"#, #"{"role":"read","lifetime_seconds":0}"#,
            ] {
                #expect(try await api.ask(.POST, APIPaths.apiTokens, body).status == 400)
            }
            let missing = try await api.ask(.POST, "\(APIPaths.apiTokens)/zz/revoke", "{}")
            #expect(missing.status == 404)
        }
    }

    @Test func `one source can't take all connections, and gets back what it gives back`()
        async throws
    {
        try await TestAPI.run(isSecure: true) { api in
            let port = try #require(URL(string: api.base)?.port)
            let tooMany = 40
            let (ends, ended) = AsyncStream<Void>.makeStream()
            let channels = try await withThrowingTaskGroup(of: (any NIOCore.Channel).self) {
                group in
                for _ in 0..<ConnectionShares.ofOneMax + tooMany {
                    group.addTask {
                        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                            .connect(host: "127.0.0.1", port: port).get()
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for channel in channels {
                channel.closeFuture.whenComplete { _ in ended.yield() }
            }
            var count = 0
            for await _ in ends {
                count += 1
                if count == tooMany { break }
            }
            for channel in channels { try? await channel.close() }
            while (try? await api.ask(.GET, APIPaths.health).status) != 200 { await Task.yield() }
        }
    }
}

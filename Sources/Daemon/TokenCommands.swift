import ArgumentParser
import ControlAPI
import Gossip
import NodeIO

/// `daemon token`: makes, lists and takes back join tokens.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Print a token that lets machines join the cluster.",
        discussion: """
            A token is shown once and kept nowhere; what it is called by goes to standard error. The \
            node that made it lets nodes in by it, and no other: it must be in reach of those who \
            join, whichever seed they ask. Whoever has a token may join as a full member, as long as \
            it is good: 'daemon token revoke' ends that, but who has joined stays.
            """,
        subcommands: [MakeToken.self, ListTokens.self, RevokeToken.self],
        defaultSubcommand: MakeToken.self)

    /// `daemon token [make]`.
    struct MakeToken: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "make", abstract: "Print a new token (the default).")

        @Option(help: "The data directory of the running daemon.") var dataDir: String?
        @Option(help: "How long the token is good, such as 30m or 24h.") var ttl = "1h"
        @Option(help: "How many machines may join by it (default: any number).") var uses: Int64?

        func validate() throws {
            guard uses.map({ (1...Int64(UInt32.max)).contains($0) }) ?? true else {
                throw ValidationError("--uses: give a number from 1 on")
            }
        }

        func run() throws {
            let directory = DaemonOptions.dataDirectory(dataDir)
            let made = try LocalAPI(dataDirectory: directory).token(lifetime: ttl, uses: uses)
            let limit = uses.map { $0 == 1 ? ", for one machine" : ", for \($0) machines" } ?? ""
            StandardError.line(
                "token \(made.name), good for \(ttl)\(limit); take it back with: daemon token "
                    + "revoke \(made.name)")
            print(made.token)
        }
    }

    /// `daemon token list`.
    struct ListTokens: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the tokens of this node that have not expired, without their secrets.")

        @Option(help: "The data directory of the running daemon.") var dataDir: String?

        func run() throws {
            let directory = DaemonOptions.dataDirectory(dataDir)
            print(TokenCommand.row("NAME", "EXPIRES", "USES", "STATE"))
            for token in try LocalAPI(dataDirectory: directory).tokens() {
                let limit = token.usesMax.map { " of \($0)" } ?? ""
                print(
                    TokenCommand.row(
                        token.name, token.expires, "\(token.uses)\(limit)",
                        TokenCommand.state(of: token)))
            }
        }
    }

    /// `daemon token revoke`.
    struct RevokeToken: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Take back a token that this node has made.",
            discussion: """
                From then on nobody joins by it, whichever member is asked. Who has joined by it stays.
                """)

        @Option(help: "The data directory of the running daemon.") var dataDir: String?
        @Argument(help: "The token's name (see 'daemon token list'), its beginning, or the token.")
        var token: String

        func run() throws {
            let name: String
            if let whole = JoinToken(token) {
                name = whole.name
            } else {
                guard !token.isEmpty, token.allSatisfy(\.isHexDigit) else {
                    throw StartFailure(
                        "token revoke: \(token) is neither a token nor the name of one; see 'daemon "
                            + "token list'")
                }
                name = token.lowercased()
            }
            try LocalAPI(dataDirectory: DaemonOptions.dataDirectory(dataDir)).revokeToken(name)
        }
    }

    static func state(of token: TokenStatusView) -> String {
        if token.revoked { return "revoked" }
        return token.usesMax.map { token.uses >= $0 } ?? false ? "used up" : "good"
    }

    static func row(_ columns: String...) -> String {
        zip(columns, [14, 26, 12, 0]).map { text, width in
            text + String(repeating: " ", count: max(0, width - text.count))
        }.joined()
    }
}

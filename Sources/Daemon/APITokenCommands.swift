import ArgumentParser
import ControlAPI
import NodeIO

extension APIRole: ExpressibleByArgument {}

/// `daemon api-token`: makes, lists and takes back tokens for the HTTP API.
struct APITokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "api-token",
        abstract: "Print a token with which a client may use this node's API over TCP.",
        discussion: """
            A token is shown once, and kept as a hash alone; what it is called by goes to standard \
            error. It is good on the node that made it, at the address of --api. Roles: 'read' sees \
            tasks with their specs and output, nodes and events; 'submit' may run, call and cancel \
            tasks too; 'admin' may do everything. The local socket needs no token: who may open \
            the file may do everything.
            """,
        subcommands: [MakeToken.self, ListTokens.self, RevokeToken.self],
        defaultSubcommand: MakeToken.self)

    /// `daemon api-token [make]`.
    struct MakeToken: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "make", abstract: "Print a new token (the default).")

        @Option(help: "The data directory of the running daemon.") var dataDir: String?
        @Option(help: "What it allows: read, submit or admin.") var role: APIRole
        @Option(help: "How long the token is good, such as 24h or 90d.") var ttl = "30d"

        func run() throws {
            let directory = DaemonOptions.dataDirectory(dataDir)
            let made = try LocalAPI(dataDirectory: directory).apiToken(role, lifetime: ttl)
            StandardError.line(
                "token \(made.name), role \(role.rawValue), good for \(ttl); take it back with: "
                    + "daemon api-token revoke \(made.name)")
            if let address = made.address, let fingerprint = made.fingerprint {
                StandardError.line(
                    "log in with: client login \(address) --fingerprint \(fingerprint)")
            } else {
                StandardError.line(
                    "this daemon's API is not on TCP with TLS: start it with --api HOST:PORT")
            }
            print(made.token)
        }
    }

    /// `daemon api-token list`.
    struct ListTokens: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the tokens of this node that have not expired, without their secrets.")

        @Option(help: "The data directory of the running daemon.") var dataDir: String?

        func run() throws {
            let directory = DaemonOptions.dataDirectory(dataDir)
            print(TokenCommand.row("NAME", "EXPIRES", "ROLE", "STATE"))
            for token in try LocalAPI(dataDirectory: directory).apiTokens() {
                print(
                    TokenCommand.row(
                        token.name, token.expires, token.role.rawValue,
                        token.revoked ? "revoked" : "good"))
            }
        }
    }

    /// `daemon api-token revoke`.
    struct RevokeToken: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Take back a token that this node has made.",
            discussion: "Requests that are being answered go on until they end.")

        @Option(help: "The data directory of the running daemon.") var dataDir: String?
        @Argument(help: "The token's name (see 'daemon api-token list'), or its beginning.")
        var name: String

        func run() throws {
            guard !name.isEmpty, name.allSatisfy(\.isHexDigit) else {
                throw StartFailure(
                    "api-token revoke: \(name.debugDescription) is not the name of a token; see "
                        + "'daemon api-token list'")
            }
            try LocalAPI(dataDirectory: DaemonOptions.dataDirectory(dataDir)).revokeAPIToken(
                name.lowercased())
        }
    }
}

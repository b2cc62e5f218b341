import ArgumentParser
import ControlAPI
import Foundation
import NIOHTTP1

/// `client login`: keeps a node's token and certificate for later commands.
struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Log in to a node's API over TCP, with a token.",
        discussion: """
            The token, from 'daemon api-token' on the node, is asked for at the terminal, or read \
            from the input or --token-file; it never stands on a command line. The node's certificate \
            is shown by its fingerprint, which must be the one that the daemon printed when it \
            started; later commands take no other one. Both are kept in ~/.config/magpie/logins.json, \
            which you alone can read, until 'client logout'.
            """)

    @Argument(help: "HOST:PORT of the node's --api.") var node: String
    @Option(help: "The fingerprint that the certificate must have, sha256:…") var fingerprint:
        String?
    @Option(help: "A file that holds the token, and that nobody else can read.")
    var tokenFile: String?
    @Option(help: "Trust authorities instead of the certificate: a file in PEM, or 'system'.")
    var ca: String?

    func validate() throws {
        guard fingerprint == nil || ca == nil else {
            throw ValidationError("give --fingerprint or --ca, not both")
        }
        if let fingerprint, CertificateFingerprint(fingerprint) == nil {
            throw ValidationError(
                "--fingerprint \(fingerprint): write sha256: and 64 hexadecimal digits, as the "
                    + "daemon prints it")
        }
    }

    func run() async throws {
        try await reporting {
            let place = try Connection.hostAndPort(of: node)
            let certificate = ca == nil ? try await certificate(of: place) : nil
            let token =
                try tokenFile.map(SecretInput.file)
                ?? SecretInput.input(prompt: "token for \(node): ")
            let login = Login(
                token: token, certificate: certificate.map { Data($0) },
                authorities: ca.map { $0 == "system" ? "" : LoginCommand.absolute($0) })
            let connection = try Connection(node, login: login)
            let access = try await LoginCommand.access(connection, isPinned: ca == nil)
            try LoginBook().set(login, for: node)
            let expiry = access.expires.map { ", until \($0)" } ?? ""
            Output.error("logged in to \(node) with the role \(access.role.rawValue)\(expiry)")
        }
    }

    /// What the token allows.
    private static func access(
        _ connection: Connection, isPinned: Bool
    ) async throws -> AccessView {
        do {
            return try await connection.ask(.GET, APIPaths.access, as: AccessView.self)
        } catch let error as Unreachable where error.isDistrusted && isPinned {
            // It was the right one a moment ago.
            throw ClientFailure(
                "login \(connection.name): its certificate is signed by an authority, or no longer "
                    + "valid; trust the authority: --ca FILE, or --ca system")
        }
    }

    private func certificate(of place: (host: String, port: Int)) async throws -> [UInt8] {
        let (der, found) = try await CertificateProbe.look(
            at: place.host, port: place.port, name: node)
        if let fingerprint {
            guard CertificateFingerprint(fingerprint) == found else {
                throw ClientFailure(
                    "login \(node): the certificate there is \(found), and not the one that was "
                        + "named; somebody may be in between: compare with what the daemon prints "
                        + "when it starts")
            }
            return der
        }
        guard
            SecretInput.confirm(
                "The node at \(node) shows the certificate\n    \(found)\nIs that what its daemon "
                    + "printed when it started?")
        else {
            throw ClientFailure(
                "login \(node): its certificate was not confirmed; compare it at a terminal, or name "
                    + "it with --fingerprint \(found)")
        }
        return der
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }
}

/// `client logout`: forgets a node's token and certificate.
struct LogoutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout", abstract: "Forget the token and certificate of a node.",
        discussion: """
            The token itself stays good until it expires; 'daemon api-token revoke' on the node ends it.
            """)

    @Argument(help: "HOST:PORT, as for 'login'.") var node: String

    func run() async throws {
        try await reporting {
            let book = LoginBook()
            guard try book[node] != nil else {
                throw ClientFailure("logout: not logged in to \(node)")
            }
            try book.set(nil, for: node)
        }
    }
}

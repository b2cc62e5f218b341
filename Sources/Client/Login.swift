import ControlAPI
import Foundation
import Glibc

/// What the client knows of a node that it has logged in to.
struct Login: Codable, Sendable {
    /// The token, as the node gave it.
    var token: String
    /// The certificate that the node showed then, in DER; `nil` when authorities are trusted.
    var certificate: Data?
    /// The authorities that are trusted instead: a file in PEM, or empty for the system's.
    var authorities: String?

    /// Whom the node's certificate is to be checked with.
    var trust: Trust {
        if let certificate { return .certificate(Array(certificate)) }
        return .authorities(authorities.flatMap { $0.isEmpty ? nil : $0 })
    }

    /// Whom a certificate is checked with.
    enum Trust: Sendable {
        /// It must be this one.
        case certificate([UInt8])
        /// One of these must have signed it, for the host that is called; `nil`: the system's.
        case authorities(String?)
    }
}

/// The nodes that the user has logged in to, in a file that nobody else can read.
struct LoginBook {
    let file: String

    /// The book of the user whose environment this is.
    init(_ environment: [String: String] = ProcessInfo.processInfo.environment) {
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "/"
        let base = environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 }
        file = "\(base ?? "\(home)/.config")/magpie/logins.json"
    }

    /// The login at a node, if there is one.
    subscript(node: String) -> Login? {
        get throws { try read()[node] }
    }

    func set(_ login: Login?, for node: String) throws {
        var logins = try read()
        logins[node] = login
        try write(logins)
    }

    private func read() throws -> [String: Login] {
        var attributes = stat()
        guard stat(file, &attributes) == 0 else { return [:] }
        guard attributes.st_mode & 0o077 == 0 else {
            throw InvalidInput(
                "\(file): others can read it, and it holds tokens; run: chmod 600 \(file)")
        }
        guard let data = FileManager.default.contents(atPath: file),
            let logins = try? JSONDecoder().decode([String: Login].self, from: data)
        else {
            throw InvalidInput("\(file): damaged, or unreadable; move it away, and log in again")
        }
        return logins
    }

    private func write(_ logins: [String: Login]) throws {
        let folder = (file as NSString).deletingLastPathComponent
        try? FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let bytes = Array(try encoder.encode(logins))
        let temporary = "\(file).\(getpid())"
        // Of a former process that was killed here.
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LoginBook.failure(file) }
        let isWritten = Glibc.write(descriptor, bytes, bytes.count) == bytes.count
        let isSynced = isWritten && fsync(descriptor) == 0
        close(descriptor)
        guard isSynced, rename(temporary, file) == 0 else {
            let failure = LoginBook.failure(file)
            unlink(temporary)
            throw failure
        }
    }

    private static func failure(_ file: String) -> InvalidInput {
        InvalidInput("\(file): can't be written (\(String(cString: strerror(errno))))")
    }
}

import Foundation
import Glibc

@testable import Runner

/// A registry of Debian's on loopback, with TLS, a password and a free port; ended by its process ID.
final class RegistryBench: @unchecked Sendable {
    let folder: TemporaryFolder
    let host: String
    private let process: pid_t
    private var isRunning = true

    static let isPossible = ["docker-registry", "skopeo", "openssl"].allSatisfy {
        Programs.locate($0, in: Programs.searchPath) != nil
    }

    /// The password is `secret`.
    private static let users =
        "magpie:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"

    init() throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        let path = folder.path
        try Files.makeDirectory("\(path)/certificates")
        let made = try Spawner.run(
            Programs.find("openssl", package: "openssl"),
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "2", "-subj", "/CN=registry", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", "\(path)/key.pem", "-out",
                "\(path)/certificates/ca.crt",
            ])
        guard made.code == 0 else { throw RunnerError(made.output) }
        try Files.write(Array(Self.users.utf8), to: "\(path)/users")
        let settings = """
            version: 0.1
            log: {level: info, accesslog: {disabled: true}}
            storage: {filesystem: {rootdirectory: \(path)/storage}}
            http:
              addr: 127.0.0.1:0
              secret: none
              tls: {certificate: \(path)/certificates/ca.crt, key: \(path)/key.pem}
            auth: {htpasswd: {realm: test, path: \(path)/users}}
            """
        try Files.write(Array(settings.utf8), to: "\(path)/config.yml")
        let log = open("\(path)/log", O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0o600)
        defer { close(log) }
        let process = try Spawner.spawn(
            Programs.find("docker-registry", package: "docker-registry"),
            ["serve", "\(path)/config.yml"], directory: path, output: log, inherited: -1,
            environment: ["OTEL_TRACES_EXPORTER=none"])
        self.process = process
        do {
            host = try Self.address(in: "\(path)/log")
        } catch {
            Glibc.kill(process, SIGKILL)
            _ = Spawner.wait(for: process)
            throw error
        }
    }

    deinit { stop() }

    func stop() {
        guard isRunning else { return }
        isRunning = false
        Glibc.kill(process, SIGKILL)
        _ = Spawner.wait(for: process)
    }

    /// The port is the system's choice, and stands in the log.
    private static func address(in log: String) throws -> String {
        let end = ContinuousClock.now + .seconds(60)
        let mark = "listening on "
        while ContinuousClock.now < end {
            let text = Files.text(log) ?? ""
            if let found = text.range(of: mark), text[found.upperBound...].contains(",") {
                return String(text[found.upperBound...].prefix { $0 != "," })
            }
            usleep(10_000)
        }
        throw RunnerError("the registry does not start: \(Files.text(log) ?? "")")
    }

    func credentials(password: String = "secret") throws -> String {
        let auth = Data("magpie:\(password)".utf8).base64EncodedString()
        let path = "\(folder.path)/auth-\(password).json"
        try Files.write(
            Array(#"{"auths":{"\#(host)":{"auth":"\#(auth)"}}}"#.utf8), to: path)
        return path
    }

    var access: RegistryAccess {
        get throws {
            var access = RegistryAccess()
            access.credentialsFile = try credentials()
            access.certificatesDirectory = "\(folder.path)/certificates"
            return access
        }
    }

    /// Puts an image layout into the registry.
    func push(_ layout: String, as name: String, options: [String] = []) throws {
        let result = try Spawner.run(
            Programs.find("skopeo", package: "skopeo"),
            [
                "copy", "-q", "--dest-authfile", credentials(), "--dest-cert-dir",
                "\(folder.path)/certificates",
            ] + options + ["oci:\(layout)", "docker://\(host)/\(name)"])
        guard result.code == 0 else { throw RunnerError(result.output) }
    }

    func reference(_ name: String) throws -> RegistryReference {
        guard let reference = RegistryReference("\(host)/\(name)") else {
            throw RunnerError("'\(name)' is no reference")
        }
        return reference
    }
}

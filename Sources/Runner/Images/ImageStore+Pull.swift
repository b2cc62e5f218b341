import Foundation
import Glibc
package import Model

/// How to speak to a registry.
package struct RegistryAccess: Hashable, Sendable {
    /// A file with credentials, as `podman login` and `docker login` write it; `nil` for none.
    ///
    /// Nobody else's file is looked at.
    package var credentialsFile: String?
    /// Credentials themselves: `USER:PASSWORD`, or what such a file holds; `nil` for none.
    package var credentials: String?
    /// The certificate, in PEM, of an authority that is trusted besides the system's.
    package var authority: String?
    /// A directory with the certificates (`*.crt`) of authorities that are trusted besides the
    /// system's, and a client's own (`*.cert`, `*.key`).
    package var certificatesDirectory: String?
    /// Whether the registry may go without TLS, or with a certificate that nobody vouches for.
    package var allowsInsecure = false

    /// Makes the access that anybody has.
    package init() {}

    /// `USER:PASSWORD` as the file that tools read; such a file's content as it is.
    ///
    /// - Throws: `.denied` for what is neither.
    static func credentialsFile(
        _ text: String, for reference: RegistryReference
    ) throws(ImageError) -> String {
        if text.first == "{" { return text }
        guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else {
            throw ImageError(
                .denied,
                "the credentials are neither USER:PASSWORD nor the content of a file "
                    + "that 'podman login' writes")
        }
        let token = Data(text.utf8).base64EncodedString()
        return #"{"auths":{"\#(reference.host)":{"auth":"\#(token)"}}}"#
    }
}

/// Images out of registries, and out of archives that only skopeo reads.
extension ImageStore {
    /// Fetches an image from a registry, and names it.
    ///
    /// - Parameters:
    ///   - reference: Where it is; with a digest, what it must be there.
    ///   - access: Credentials and certificates.
    ///   - name: What it will be called; `nil` for the name that it has in the reference.
    /// - Returns: The digest of its manifest, which is the OCI one: docker's own are converted, and
    ///   have another digest in the registry.
    /// - Throws: `.denied`, `.untrusted`, `.unreachable`, `.notFound`, `.otherPlatform`, `.timedOut`,
    ///   `.missingProgram`, `.noSpace`, and what `import` throws; nothing is left behind.
    package func pull(
        _ reference: RegistryReference, access: RegistryAccess = RegistryAccess(),
        as name: ImageName? = nil
    ) async throws(ImageError) -> ImageDigest {
        try await perform(on: intake) { [self] () throws(ImageError) in
            try withWork { (work) throws(ImageError) in
                let layout = "\(work)/layout"
                try copyWithSkopeo(
                    from: "docker://\(reference)", to: layout, in: work,
                    options: try options(access, reference, work), subject: "\(reference)")
                return try importLayout(
                    at: layout, as: name ?? reference.name, in: work, isOurs: true)
            }
        }
    }

    private func options(
        _ access: RegistryAccess, _ reference: RegistryReference, _ work: String
    ) throws(ImageError) -> [String] {
        var options: [String] = []
        if let text = access.credentials {
            // The work directory is closed to others; a command line is not.
            let content = try RegistryAccess.credentialsFile(text, for: reference)
            try Files.put(Array(content.utf8), at: "\(work)/auth.json")
            options += ["--src-authfile", "\(work)/auth.json"]
        } else if let file = access.credentialsFile {
            guard Files.exists(file) else {
                throw ImageError(.notFound, "the credentials file \(file) does not exist")
            }
            options += ["--src-authfile", file]
        } else {
            // Else it would look into the home directory of whoever runs the daemon.
            options += ["--src-no-creds"]
        }
        if let directory = access.certificatesDirectory {
            guard Files.isDirectory(directory) else {
                throw ImageError(
                    .notFound, "the certificates' directory \(directory) does not exist")
            }
            options += ["--src-cert-dir", directory]
        }
        if let text = access.authority {
            guard mkdir("\(work)/certificates", 0o700) == 0 else {
                throw .system("make", "\(work)/certificates")
            }
            try Files.put(Array(text.utf8), at: "\(work)/certificates/authority.crt")
            options += ["--src-cert-dir", "\(work)/certificates"]
        }
        if access.allowsInsecure { options += ["--src-tls-verify=false"] }
        return options
    }

    /// Copies an image for this machine into a new layout; one layout for each, as skopeo loses tags
    /// when several copy into one.
    func copyWithSkopeo(
        from source: String, to layout: String, in work: String, options: [String],
        subject: String
    ) throws(ImageError) {
        let skopeo = try tools.find("skopeo", package: "skopeo")
        let scratch = "\(work)/scratch"
        guard mkdir(scratch, 0o700) == 0 else { throw .system("make", scratch) }
        let arguments =
            [
                "--tmpdir", scratch, "--override-os", "linux", "--override-arch",
                Platform.architecture, "copy", "--quiet",
            ] + options + [source, "oci:\(layout):\(ImageName.layoutTag)"]
        let result = try ImageTools.run(
            skopeo, arguments, environment: ["HOME=\(scratch)"] + ImageStore.proxies,
            within: limits.operationTimeMax)
        if result.wasCut {
            throw ImageError(.timedOut, "fetching \(subject) took too long, and was given up")
        }
        guard result.code == 0 else { throw ImageStore.skopeoFailure(result.errors, subject) }
    }

    /// The proxy settings of the daemon hold for its tools too.
    private static var proxies: [String] {
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
        return (names + names.map { $0.lowercased() }).compactMap { (name: String) -> String? in
            getenv(name).map { "\(name)=\(String(cString: $0))" }
        }
    }

    /// Tells by skopeo's words what went wrong.
    static func skopeoFailure(_ output: String, _ subject: String) -> ImageError {
        typealias Row = (code: ImageError.Code, sentence: String, words: [String])
        let table: [Row] = [
            (.noSpace, "the disk is full", ["no space left on device", "disk quota exceeded"]),
            (
                .denied, "the registry refuses these credentials, or wants some",
                [
                    "unauthorized", "authentication required", "denied:", "403 Forbidden",
                    "invalid username/password",
                ]
            ),
            (
                .untrusted, "the registry's certificate is not trusted",
                ["x509:", "certificate signed by", "server gave HTTP response to HTTPS"]
            ),
            (
                .otherPlatform, "the image is not for \(Platform.current)",
                ["no image found in manifest list", "no image found in image index"]
            ),
            (
                .notFound, "the registry has no such image",
                ["manifest unknown", "name unknown", "repository name not known", "not found"]
            ),
            (
                .unreachable, "the registry can't be reached",
                [
                    "connection refused", "no such host", "no route to host", "i/o timeout",
                    "network is unreachable", "connection reset", "TLS handshake",
                    "failure in name resolution", "EOF",
                ]
            ),
        ]
        let reason = ImageTools.lastLine(output)
        if let row = table.first(where: { row in row.words.contains { output.contains($0) } }) {
            return ImageError(row.code, "can't fetch \(subject): \(row.sentence) (\(reason))")
        }
        return ImageError(.failed, "can't fetch \(subject): \(reason)")
    }
}

extension ImageName {
    /// What the one image in a layout of our own is called.
    static let layoutTag = "image"
}

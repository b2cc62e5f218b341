package import Model

/// An image in a registry: a name, and perhaps the digest that it must have there.
package struct RegistryReference: Hashable, Sendable, LosslessStringConvertible {
    /// The name with its tag.
    package let name: ImageName
    /// What the registry must serve under it.
    package let digest: ImageDigest?

    /// As skopeo takes it, with either a tag or a digest: it refuses both together.
    package var description: String {
        digest.map { "\(name.repository)@\($0)" } ?? "\(name)"
    }

    /// The registry; docker's own when the name has none.
    var host: String {
        let parts = name.repository.split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let first = parts.first,
            first.contains(".") || first.contains(":") || first == "localhost"
        else { return "docker.io" }
        return String(first)
    }

    /// Reads `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`; `nil` when it breaks the grammar.
    package init?(_ description: String) {
        let parts = description.split(
            separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = ImageName(String(parts[0])) else { return nil }
        if parts.count == 2 {
            guard let digest = ImageDigest(String(parts[1])) else { return nil }
            self.digest = digest
        } else {
            digest = nil
        }
        self.name = name
    }
}

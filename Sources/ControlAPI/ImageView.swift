/// One name of an image, and what it stands for.
package struct ImageView: Codable, Hashable, Sendable {
    /// The name, its tag included.
    package var name: String
    /// The image: `sha256:` and 64 digits.
    package var digest: String
    /// The size of all its parts, in bytes.
    package var size: UInt64
    /// The node that gave it the name.
    package var node: String
    /// When, as RFC 3339.
    package var named: String
    /// Whether all of the image is on the node that was asked.
    package var present: Bool

    /// Makes a view.
    package init(
        name: String, digest: String, size: UInt64, node: String, named: String, present: Bool
    ) {
        self.name = name
        self.digest = digest
        self.size = size
        self.node = node
        self.named = named
        self.present = present
    }
}

/// Asks a node to get an image from a registry.
package struct PullRequest: Codable, Hashable, Sendable {
    /// `HOST[:PORT]/PATH[:TAG][@DIGEST]`.
    package var reference: String
    /// The name that it gets; the reference's own when absent.
    package var name: String?
    /// User and password for the registry, separated by a colon.
    package var credentials: String?
    /// The certificate of the authority that the registry's own is signed by, in PEM; the system's
    /// authorities when absent.
    package var authority: String?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case reference, name, credentials, authority
    }

    /// Makes a request.
    package init(
        reference: String, name: String? = nil, credentials: String? = nil,
        authority: String? = nil
    ) {
        self.reference = reference
        self.name = name
        self.credentials = credentials
        self.authority = authority
    }
}

/// What was removed to make room.
package struct PruneReply: Codable, Hashable, Sendable {
    /// The images, by digest.
    package var removed: [String]
    /// How many bytes that gave back.
    package var bytes: UInt64

    /// Makes a reply.
    package init(removed: [String], bytes: UInt64) {
        self.removed = removed
        self.bytes = bytes
    }
}

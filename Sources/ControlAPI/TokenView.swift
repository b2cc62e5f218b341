/// A join token as the API shows it, once.
package struct TokenView: Codable, Hashable, Sendable {
    /// The token's text: whoever has it may join.
    package var token: String
    /// What it is called by, to be taken back; not secret.
    package var name: String

    /// Makes a view.
    package init(token: String, name: String) {
        self.token = token
        self.name = name
    }
}

/// A request for a join token.
package struct TokenRequest: Codable, Hashable, Sendable {
    /// How long it is to live, in seconds.
    package var lifetimeSeconds: Int64
    /// How many nodes it lets in; any number when it is left out.
    package var uses: Int64?

    enum CodingKeys: String, CodingKey {
        case lifetimeSeconds = "lifetime_seconds"
        case uses
    }

    /// Makes a request.
    package init(lifetimeSeconds: Int64, uses: Int64? = nil) {
        self.lifetimeSeconds = lifetimeSeconds
        self.uses = uses
    }
}

/// What the node that made a token still knows of it.
package struct TokenStatusView: Codable, Hashable, Sendable {
    /// What it is called by.
    package var name: String
    /// When it expires, as RFC 3339.
    package var expires: String
    /// How many nodes have come in by it.
    package var uses: Int
    /// How many may; any number when it is left out.
    package var usesMax: Int?
    /// Whether it was taken back.
    package var revoked: Bool

    enum CodingKeys: String, CodingKey {
        case name
        case expires
        case uses
        case usesMax = "uses_max"
        case revoked
    }

    /// Makes a view.
    package init(name: String, expires: String, uses: Int, usesMax: Int?, revoked: Bool) {
        self.name = name
        self.expires = expires
        self.uses = uses
        self.usesMax = usesMax
        self.revoked = revoked
    }
}

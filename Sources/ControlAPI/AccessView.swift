/// A request for an API token.
package struct APITokenRequest: Codable, Hashable, Sendable {
    /// What its holder may do.
    package var role: APIRole
    /// How long it is to live, in seconds.
    package var lifetimeSeconds: Int64

    enum CodingKeys: String, CodingKey {
        case role
        case lifetimeSeconds = "lifetime_seconds"
    }

    /// Makes a request.
    package init(role: APIRole, lifetimeSeconds: Int64) {
        self.role = role
        self.lifetimeSeconds = lifetimeSeconds
    }
}

/// An API token as the API shows it, once.
package struct APITokenView: Codable, Hashable, Sendable {
    /// The token's text: whoever has it may do what its role may.
    package var token: String
    /// What it is called by, to be taken back; not secret.
    package var name: String
    /// Where the node's API speaks TLS, if it does.
    package var address: String?
    /// The fingerprint of the certificate that it shows there.
    package var fingerprint: String?

    /// Makes a view.
    package init(token: String, name: String, address: String?, fingerprint: String?) {
        self.token = token
        self.name = name
        self.address = address
        self.fingerprint = fingerprint
    }
}

/// What a node knows of an API token that it has made.
package struct APITokenStatusView: Codable, Hashable, Sendable {
    /// What it is called by.
    package var name: String
    /// What its holder may do.
    package var role: APIRole
    /// When it expires, as RFC 3339.
    package var expires: String
    /// Whether it was taken back.
    package var revoked: Bool

    /// Makes a view.
    package init(name: String, role: APIRole, expires: String, revoked: Bool) {
        self.name = name
        self.role = role
        self.expires = expires
        self.revoked = revoked
    }
}

/// What whoever asks may do.
package struct AccessView: Codable, Hashable, Sendable {
    /// Its role.
    package var role: APIRole
    /// The name of its token; left out where none is needed.
    package var token: String?
    /// When that expires, as RFC 3339.
    package var expires: String?

    /// Makes a view.
    package init(role: APIRole, token: String? = nil, expires: String? = nil) {
        self.role = role
        self.token = token
        self.expires = expires
    }
}

/// What `POST /v1/nodes/{id}/evict` takes.
package struct EvictRequest: Codable, Hashable, Sendable {
    /// Whether those are evicted, too, whom the node has let in, directly or by way of others.
    package var cascade: Bool

    /// Makes a request.
    package init(cascade: Bool) {
        self.cascade = cascade
    }
}

/// What it answers.
package struct EvictionView: Codable, Hashable, Sendable {
    /// The names of those who are shut out, or else their IDs; the one that was named comes first.
    package var evicted: [String]

    /// Makes an answer.
    package init(evicted: [String]) {
        self.evicted = evicted
    }
}

/// A set of time-outs that fits a kind of network.
package enum TimingProfile: String, Hashable, Sendable, CaseIterable {
    /// One site, round trips under a few milliseconds (the default).
    case lan
    /// Several sites, round trips of up to 300 ms.
    case wan
    /// One machine: demonstrations and tests.
    case local
}

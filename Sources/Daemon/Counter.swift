import NodeIO

/// What a daemon counts.
enum Counter: Hashable, Sendable {
    case datagramsSent
    case framesSent
    /// The reasons are the core's own fixed words.
    case packetsDropped(reason: String)
    case streamsRefused(StreamRefusal)
    case claimsRequested
    case claimsGranted
    case claimsDenied
    case leasesLapsed
    case leasesExtended

    /// The metric's name without prefix and unit.
    var family: String {
        switch self {
        case .datagramsSent: "datagrams_sent"
        case .framesSent: "frames_sent"
        case .packetsDropped: "packets_dropped"
        case .streamsRefused: "streams_refused"
        case .claimsRequested: "claims_requested"
        case .claimsGranted: "claims_granted"
        case .claimsDenied: "claims_denied"
        case .leasesLapsed: "leases_lapsed"
        case .leasesExtended: "leases_extended"
        }
    }

    /// What it counts, for people.
    var help: String {
        switch self {
        case .datagramsSent: "Datagrams sent to other nodes."
        case .framesSent: "Frames sent to other nodes over streams."
        case .packetsDropped: "Packets of others that were not taken in."
        case .streamsRefused: "Streams between nodes, and frames on them, that were not taken."
        case .claimsRequested: "Tasks that the lock was asked for."
        case .claimsGranted: "Claims that the lock granted."
        case .claimsDenied: "Claims that the lock denied."
        case .leasesLapsed: "Leases that ended before they could be renewed."
        case .leasesExtended: "Renewals of the lease."
        }
    }

    /// The value of the label `reason`.
    var reason: String? {
        switch self {
        case .packetsDropped(let reason): reason
        case .streamsRefused(let refusal): refusal.rawValue
        default: nil
        }
    }
}

extension Counter: Comparable {
    static func < (left: Counter, right: Counter) -> Bool {
        (left.family, left.reason ?? "") < (right.family, right.reason ?? "")
    }
}

/// What the holder of an API token may do; each role may do what those before it may.
package enum APIRole: String, Codable, CaseIterable, Comparable, Sendable {
    /// See tasks with their specs and output, nodes, events and metrics.
    case read
    /// Run, call, signal and cancel tasks, and bring in images.
    case submit
    /// Change the cluster: tokens, nodes, the lock, names of images.
    case admin

    /// Orders by what they may do.
    package static func < (left: APIRole, right: APIRole) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .read: 1
        case .submit: 2
        case .admin: 3
        }
    }
}

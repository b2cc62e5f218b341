/// The paths of the HTTP API; both sides use these and no others.
package enum APIPaths {
    /// Tasks: `GET` lists, `POST` submits.
    package static let tasks = "/v1/tasks"
    /// The membership view.
    package static let nodes = "/v1/nodes"
    /// Changes of tasks and members, as server-sent events.
    package static let events = "/v1/events"
    /// Join tokens: `POST` makes one.
    package static let tokens = "/v1/tokens"
    /// Tokens for this API: `POST` makes one.
    package static let apiTokens = "/v1/api-tokens"
    /// What whoever asks may do.
    package static let access = "/v1/access"
    /// Names of images: `GET` lists, `POST ?name=` imports what the body holds, `DELETE ?name=`
    /// takes a name away.
    package static let images = "/v1/images"
    /// The most bytes that an import may have.
    package static let importSizeBytesMax = 32 << 30
    /// `POST`: the node hands back its tasks and leaves the cluster.
    package static let leave = "/v1/leave"
    /// `POST`: the node begins the lock anew, for a majority of its voters is lost for good.
    package static let lockRecovery = "/v1/lock/recover"
    /// `POST`: the node speaks under a new key from now on.
    package static let keyRotation = "/v1/key/rotate"
    /// Whether the process works.
    package static let health = "/healthz"
    /// Whether the node belongs to a cluster and takes requests.
    package static let readiness = "/readyz"
    /// Counters in the text format of Prometheus.
    package static let metrics = "/metrics"

    /// The API's description in the format of OpenAPI.
    package static let description = "/openapi.json"

    /// One task; `fragment` is its ID, or a beginning or end of it that only it has.
    package static func task(_ fragment: String) -> String { "\(tasks)/\(fragment)" }
    /// One call: `POST` to `/input` and `/resize` below it.
    package static func call(_ id: String) -> String { "/v1/calls/\(id)" }
    /// The media type of log frames, one JSON object a line.
    package static let frames = "application/x-ndjson"
    /// The largest body of a request, in bytes.
    package static let bodySizeBytesMax = 1 << 20
}

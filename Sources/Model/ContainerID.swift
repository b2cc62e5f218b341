/// The identity of a container: one attempt at one task.
public struct ContainerID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The task that the container runs.
    public var task: TaskID
    /// The claim under which it runs.
    public var token: FencingToken

    /// Makes a container identifier.
    public init(task: TaskID, token: FencingToken) {
        self.task = task
        self.token = token
    }

    /// Reads what `description` gave; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let task = TaskID(parts[0]), let generation = UInt32(parts[1]),
            let index = UInt64(parts[2])
        else { return nil }
        self.init(task: task, token: FencingToken(generation: generation, index: index))
    }

    /// The form `UUID.GENERATION.INDEX`: a valid file name, and a valid name for an OCI runtime.
    public var description: String { "\(task).\(token)" }

    /// Orders by task, then by token.
    public static func < (left: ContainerID, right: ContainerID) -> Bool {
        (left.task, left.token) < (right.task, right.token)
    }
}

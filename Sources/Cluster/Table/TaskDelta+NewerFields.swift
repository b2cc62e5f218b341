import Model

extension TaskDelta {
    /// The tag that stands for all fields of later versions in simulations of upgrades.
    private static let newerTag: UInt64 = 64

    /// Adds what a later version would: a field that this one does not know, and bytes behind those
    /// of the submission that it knows.
    mutating func addNewerFields(_ content: [UInt8]) {
        guard !content.isEmpty else { return }
        var frames = ByteWriter()
        frames.field(TaskDelta.newerTag) { $0.raw(content) }
        guard let fields = try? UnknownFields(frames: frames.bytes) else { return }
        unknown.join(fields)
        submission?.unknownTail = content
    }
}

package import Model

/// Everything in this target that is made from bytes.
package enum RaftDecoders {
    /// One line for each; new ones go here.
    package static let all: [ByteDecoder] = [
        ByteDecoder(RaftEntry.self),
        // Older versions have not written where the node ceased to vote.
        ByteDecoder(RaftHardState.self, .settled),
        ByteDecoder(RaftMembers.self),
        ByteDecoder(RaftMessage.self),
        ByteDecoder(RaftSnapshot.self),
    ]
}

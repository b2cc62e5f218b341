package import Model

/// Everything in this target that is made from bytes.
package enum LockDecoders {
    /// One line for each; new ones go here.
    package static let all: [ByteDecoder] = [
        ByteDecoder(AcquireRequest.self),
        ByteDecoder(BirthIntervals.self),
        ByteDecoder(LockEntryPayload.self),
        ByteDecoder(LockFloor.self),
        ByteDecoder(LockGenerationRow.self),
        ByteDecoder(LockMessage.self),
        ByteDecoder(LockOperation.self),
        ByteDecoder(LockRequest.self),
        ByteDecoder(LockResult.self),
        // Older versions have written no machine.
        ByteDecoder(LockSessionRow.self, .settled),
        ByteDecoder(LockTable.self),
        ByteDecoder(LockTable.Client.self),
        ByteDecoder(LockTable.Entry.self),
    ]
}

package import Model

/// What the core asks to be done with the copy that this node keeps of the end of another's log.
package enum LogCopyCommand: Hashable, Sendable {
    /// Append an excerpt to the copy; where it overlaps with what is there, it takes its place.
    ///
    /// Copies are bounded, each and together: the oldest output goes first, then the oldest copies.
    case keep(LogChunk)
    /// Read the copy, then answer `logRead` at once; with `nil` when there is none.
    case read(LogReadID, LogStart)
    /// Remove the copy; nothing happens when there is none.
    case remove
}

import Model

/// Says on disk that this node has lost what it had promised as a voter, and has no vote any more.
///
/// It has none in later generations either: which one the promises belonged to is lost with them.
enum LockForswornRow {
    static let key: [UInt8] = [9]

    /// What is left of the log goes, and this comes in its place.
    static var writes: [DurableWrite] {
        [
            .deleteRange(.raftState, from: [], to: nil),
            .deleteRange(.raftLog, from: [], to: nil),
            .deleteRange(.session, from: [], to: nil),
            .put(.session, key: key, value: [1]),
        ]
    }
}

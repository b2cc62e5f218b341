import CRDT

/// Up to which of this node's changes a peer is known to have all.
///
/// A context that fits a page tells it at once. Of a larger one, each bucket is learned by itself:
/// while changes keep coming, the contexts of two replicas are never equal, and nothing would be
/// collected if only equal ones counted.
struct PeerKnowledge: Sendable {
    /// A bucket of which the beginning has been compared.
    private struct Beginning {
        var next: Dot
        var revision: UInt64
    }

    /// The peer has all changes of this node up to this one.
    private(set) var revision: UInt64 = 0
    /// The same per bucket of dots; none until a part is learned by itself.
    private var buckets: [UInt64] = []
    private var beginnings: [Int: Beginning] = [:]

    /// The peer has all that changed up to a revision.
    mutating func learn(upTo revision: UInt64) {
        self.revision = revision
        buckets = []
        beginnings = [:]
    }

    /// The peer has what changed up to a revision, as far as dots between two stand for it, both
    /// included.
    mutating func learn(from lower: Dot, through upper: Dot, upTo revision: UInt64) {
        if buckets.isEmpty {
            buckets = Array(repeating: self.revision, count: DotSet.bucketCount)
        }
        for number in DotSet.bucket(of: lower)...DotSet.bucket(of: upper) {
            let bucket = DotSet.bucket(number)
            let first = max(lower, bucket.lower)
            let last = min(upper, bucket.upper)
            var known = Beginning(next: first, revision: revision)
            if first > bucket.lower {
                guard let before = beginnings[number], before.next == first else { continue }
                known.revision = min(before.revision, revision)
            }
            if last == bucket.upper {
                buckets[number] = known.revision
                beginnings[number] = nil
            } else {
                known.next = last.successor
                beginnings[number] = known
            }
        }
        self.revision = buckets.min() ?? 0
    }
}

import Model

/// Values by node, in order of their IDs; copies share what they have in common.
///
/// IDs are hashes: once there are many, their first byte spreads them evenly over short sorted lists. A
/// change copies one of these and no more, so that many thousand nodes that know each other fit into one
/// simulation. IDs that somebody chose to be alike cost time in proportion to their number, which is
/// bounded (`KeyRing.membersMax`).
struct NodeMap<Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        var node: NodeID
        var value: Value
    }

    /// One, or as many as there are first bytes.
    private var shards: [[Entry]] = [[]]
    /// How many values there are.
    private(set) var count = 0

    private static var shardCount: Int { 256 }
    /// More values than these are spread.
    private static var gatheredMax: Int { 64 }

    subscript(node: NodeID) -> Value? {
        get {
            let shard = shard(of: node)
            let place = place(of: node, in: shard)
            guard place < shards[shard].count, shards[shard][place].node == node else { return nil }
            return shards[shard][place].value
        }
        set {
            guard let newValue else { return remove(node) }
            update(node, newValue)
        }
    }

    /// All nodes, in order.
    var nodes: [NodeID] { shards.flatMap { $0.map(\.node) } }

    /// All values, in order of their nodes.
    var values: [Value] { shards.flatMap { $0.map(\.value) } }

    /// Goes through all values, in order of their nodes, without copying any.
    func forEach(_ body: (borrowing Value) -> Void) {
        for shard in shards { for index in shard.indices { body(shard[index].value) } }
    }

    /// The node before which so many others come; 0 ..< `count`.
    func node(at rank: Int) -> NodeID {
        var left = rank
        for shard in shards {
            if left < shard.count { return shard[left].node }
            left -= shard.count
        }
        preconditionFailure("there are \(count) nodes, and none of rank \(rank)")
    }

    private mutating func update(_ node: NodeID, _ value: Value) {
        if shards.count == 1, count >= NodeMap.gatheredMax { scatter() }
        let shard = shard(of: node)
        let place = place(of: node, in: shard)
        if place < shards[shard].count, shards[shard][place].node == node {
            shards[shard][place].value = value
        } else {
            shards[shard].insert(Entry(node: node, value: value), at: place)
            count += 1
        }
    }

    private mutating func scatter() {
        let entries = shards[0]
        shards = [[Entry]](repeating: [], count: NodeMap.shardCount)
        for entry in entries { shards[shard(of: entry.node)].append(entry) }
    }

    private mutating func remove(_ node: NodeID) {
        let shard = shard(of: node)
        let place = place(of: node, in: shard)
        guard place < shards[shard].count, shards[shard][place].node == node else { return }
        shards[shard].remove(at: place)
        count -= 1
    }

    private func shard(of node: NodeID) -> Int {
        shards.count == 1 ? 0 : Int(node.value.high >> 56)
    }

    /// Where the node is in its shard, or would be.
    private func place(of node: NodeID, in shard: Int) -> Int {
        var low = 0
        var high = shards[shard].count
        while low < high {
            let middle = (low + high) / 2
            if shards[shard][middle].node < node { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// A value that copies share until one of them is changed.
final class Shared<Value: Sendable>: Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }
}

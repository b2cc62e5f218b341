import Model

/// What this node keeps about all members, itself included.
struct MemberTable: Sendable {
    private var members = NodeMap<Shared<Member>>()
    /// Those whose state is dead, in order of their IDs.
    private(set) var dead: [NodeID] = []
    /// How many are alive or suspect.
    private(set) var livingCount = 0
    /// How many are alive.
    private(set) var aliveCount = 0

    /// How many members there are.
    var count: Int { members.count }

    subscript(node: NodeID) -> Member? { members[node]?.value }

    /// Where a member listens.
    func address(of node: NodeID) -> PeerAddress? { members[node]?.value.alive.address }

    /// How a member looks.
    func state(of node: NodeID) -> MembershipState? { members[node]?.value.state }

    /// The life in which a member last said something of itself.
    func boot(of node: NodeID) -> BootID? { members[node]?.value.alive.boot }

    /// All members, in order of their IDs.
    var all: [Member] { members.values.map(\.value) }

    /// Goes through all members, in order of their IDs, without copying any.
    func forEach(_ body: (borrowing Member) -> Void) {
        members.forEach { body($0.value) }
    }

    /// Those in such a state, in order of their IDs.
    func nodes(where isWanted: (MembershipState) -> Bool) -> [NodeID] {
        members.values.compactMap { isWanted($0.value.state) ? $0.value.id : nil }
    }

    /// The member before which so many others come; 0 ..< `count`.
    func node(at rank: Int) -> NodeID { members.node(at: rank) }

    /// Adds a member or replaces what is known of it; returns what that was.
    @discardableResult
    mutating func put(_ member: Member) -> Member? {
        let former = members[member.id]?.value
        members[member.id] = Shared(member)
        livingCount +=
            (member.state.isProbed ? 1 : 0) - (former?.state.isProbed == true ? 1 : 0)
        aliveCount += (member.state == .alive ? 1 : 0) - (former?.state == .alive ? 1 : 0)
        if (former?.state == .dead) != (member.state == .dead) {
            let place = dead.firstIndex { $0 >= member.id } ?? dead.count
            if member.state == .dead {
                dead.insert(member.id, at: place)
            } else {
                dead.remove(at: place)
            }
        }
        return former
    }
}

import Model
import Testing

@testable import Lock

/// Who is shut out has no part in the lock, and what it held is free once its lease is over.
@Suite struct AmendmentTableTests {
    /// A table with two nodes, of which the first holds tasks.
    struct World {
        var table = LockTable()
        var index: UInt64 = 1
        let one = NodeID(Wide128(high: 1, low: 1))
        let two = NodeID(Wide128(high: 1, low: 2))
        var notices: [LockTable.Notice] = []

        init() {
            apply(two, .setLeaseLength(.seconds(5)))
            apply(one, .openSession(SessionID(1), keeping: [], after: nil))
            apply(two, .openSession(SessionID(2), keeping: [], after: nil))
        }

        @discardableResult
        mutating func apply(_ node: NodeID, _ operation: LockOperation) -> LockResult? {
            index += 1
            let request = LockRequest(
                client: node, boot: BootID(3), sequence: index, operations: [operation])
            return table.apply(LockEntryPayload(stamp: index, request: request), index: index) {
                notices.append($0)
            }?.first
        }

        mutating func evict(_ nodes: [NodeID], by author: NodeID, spared: [NodeID] = [])
            -> LockResult?
        {
            apply(
                author,
                .amend(
                    .eviction(
                        Eviction(
                            nodes: nodes, spared: spared, author: author,
                            time: WallTime(milliseconds: 7)))))
        }

        mutating func acquire(
            _ task: UInt64, for node: NodeID, waits: Bool = false
        ) -> LockResult? {
            apply(
                node,
                .acquire(
                    AcquireRequest(
                        task: TaskID(Wide128(high: 7, low: task)),
                        birth: BirthDot(origin: BootID(9), sequence: task), restart: .onNodeLoss,
                        onPartition: waits ? .wait : .rerun), SessionID(node == one ? 1 : 2)))
        }

        func isGranted(_ result: LockResult?) -> Bool {
            if case .granted = result { true } else { false }
        }
    }

    @Test(arguments: [false, true])
    func `its tasks are free once its session has expired, and not before`(waits: Bool) {
        var world = World()
        #expect(world.isGranted(world.acquire(1, for: world.one, waits: waits)))
        #expect(world.evict([world.one], by: world.two) == .done)
        #expect(!world.isGranted(world.acquire(1, for: world.two)))
        world.apply(.none, .expireSession(SessionID(1)))
        #expect(world.isGranted(world.acquire(1, for: world.two)))
    }

    @Test func `what waits for a node that is gone already is free at once`() {
        var world = World()
        _ = world.acquire(1, for: world.one, waits: true)
        world.apply(.none, .expireSession(SessionID(1)))
        #expect(!world.isGranted(world.acquire(1, for: world.two)))
        #expect(world.evict([world.one], by: world.two) == .done)
        #expect(world.isGranted(world.acquire(1, for: world.two)))
    }

    @Test func `who is shut out opens no session, claims nothing and shuts out nobody`() {
        var world = World()
        _ = world.acquire(1, for: world.one)
        #expect(world.evict([world.one], by: world.two) == .done)
        #expect(world.acquire(2, for: world.one) == .noSession)
        #expect(world.evict([world.two], by: world.one) == .noSession)
        #expect(
            world.apply(
                world.one, .openSession(SessionID(3), keeping: [], after: SessionID(1)))
                == .noSession)
        #expect(world.apply(world.one, .forget(world.two)) == .noSession)
        #expect(world.table.amendments.all.count == 1)
    }

    @Test func `two that shut out each other: the first entry of the log counts`() {
        var world = World()
        #expect(world.evict([world.two], by: world.one) == .done)
        #expect(world.evict([world.one], by: world.two) == .noSession)
        #expect(world.table.amendments.evicted == [world.two])
    }

    @Test func `an eviction names its author truly, and the same one twice changes nothing`() {
        var world = World()
        let lie = Eviction(
            nodes: [world.one], spared: [], author: world.one, time: WallTime(milliseconds: 1))
        #expect(world.apply(world.two, .amend(.eviction(lie))) == .noSession)
        #expect(world.evict([world.one], by: world.two) == .done)
        let before = world.table.amendments
        #expect(world.evict([world.one], by: world.two) == .done)
        #expect(world.table.amendments == before)
    }

    @Test func `evictions are in the snapshot, and in the next generation of the lock`() throws {
        var world = World()
        _ = world.acquire(1, for: world.one, waits: true)
        _ = world.evict([world.one], by: world.two)
        let restored = try LockTable(decoding: world.table.encoded)
        #expect(restored.amendments == world.table.amendments)
        #expect(restored.encoded == world.table.encoded)
        var begun = LockTable(
            recovering: LockRecovery(), generation: 2, longest: .seconds(5), after: world.table)
        #expect(begun.amendments == world.table.amendments)
        begun = LockTable(
            recovering: recovery(of: world), generation: 2, longest: .seconds(5),
            after: LockTable())
        #expect(begun.amendments == world.table.amendments)
        // What waits for it waits for the longest lease, and no longer.
        #expect(begun.waiting[world.one]?.count == 1)
        _ = begun.endRecovery { _ in }
        #expect(begun.waiting[world.one]?.isEmpty ?? true)
    }

    private func recovery(of world: World) -> LockRecovery {
        var recovery = LockRecovery()
        recovery.amendments = world.table.amendments.all
        recovery.attempts = [
            LockRecovery.Attempt(
                task: TaskID(Wide128(high: 7, low: 1)),
                birth: BirthDot(origin: BootID(9), sequence: 1),
                token: FencingToken(generation: 1, index: 5), session: SessionID(1),
                node: world.one, isLive: true, waits: true, isLastAttempt: false)
        ]
        return recovery
    }

    @Test func `so many nodes are named by all evictions, and not one more`() {
        var world = World()
        var number: UInt64 = 100
        func nodes(_ count: Int) -> [NodeID] {
            (0..<count).map { _ in
                number += 1
                return NodeID(Wide128(high: 2, low: number))
            }
        }
        for _ in 0..<Amendments.namedMax / Eviction.nodesMax - 1 {
            #expect(world.evict(nodes(Eviction.nodesMax), by: world.two) == .done)
        }
        #expect(world.evict(nodes(Eviction.nodesMax - 1), by: world.two) == .done)
        #expect(world.evict(nodes(2), by: world.two) == .full)
        #expect(world.evict(nodes(1), by: world.two) == .done)
        #expect(world.evict(nodes(1), by: world.two) == .full)
        #expect(world.table.amendments.namedCount == Amendments.namedMax)
    }

    @Test(arguments: [0, 1])
    func `an eviction of the most nodes can be read, and no larger one`(excess: UInt64) {
        let nodes = (1...UInt64(Eviction.nodesMax) + excess).map {
            NodeID(Wide128(high: 2, low: $0))
        }
        let eviction = Eviction(
            nodes: [nodes[0]], spared: Array(nodes.dropFirst()), author: nodes[0],
            time: WallTime(milliseconds: 1))
        #expect(((try? Eviction(decoding: eviction.encoded)) == nil) == (excess == 1))
    }
}

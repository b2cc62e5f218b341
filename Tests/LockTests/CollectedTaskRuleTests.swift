import Model
import Testing

@testable import Lock

/// Tasks that are known to be collected by their ID, too.
@Suite struct CollectedTaskRuleTests {
    private static func task(_ number: UInt64) -> TaskID {
        TaskID(Wide128(high: 7, low: number))
    }

    @Test func `a submission that another side of a partition took in is refused once collected`()
        throws
    {
        let node = NodeID(Wide128(high: 1, low: 1))
        let session = SessionID(5)
        var table = LockTable()
        var index: UInt64 = 1
        func apply(_ operations: [LockOperation]) -> [LockResult]? {
            index += 1
            let request = LockRequest(
                client: node, boot: BootID(3), sequence: index, operations: operations)
            return table.apply(
                LockEntryPayload(stamp: index, request: request), index: index, notice: { _ in })
        }
        func acquire(_ sequence: UInt64) -> LockResult? {
            apply([
                .acquire(
                    AcquireRequest(
                        task: Self.task(1), birth: BirthDot(origin: BootID(9), sequence: sequence),
                        restart: .onNodeLoss, onPartition: .rerun), session)
            ])?.first
        }
        _ = apply([.setLeaseLength(.seconds(5))])
        _ = apply([.openSession(session, keeping: [], after: nil)])
        guard case .granted(let token, _) = acquire(1) else {
            Issue.record("the task was not granted")
            return
        }
        let outcome = TaskOutcome(kind: .complete)
        _ = apply([.close(Self.task(1), token, outcome, birth: nil)])
        _ = apply([.collect([BirthDot(origin: BootID(9), sequence: 1)])])
        #expect(acquire(1) == .collected)
        #expect(acquire(2) == .collected)
        #expect(
            apply([
                .close(
                    Self.task(1), nil, outcome, birth: BirthDot(origin: BootID(9), sequence: 2))
            ]) == [.collected])
        let restored = try LockTable(decoding: table.encoded)
        #expect(restored.encoded == table.encoded)
        #expect(restored.isCollected(Self.task(1), nil))
    }
}

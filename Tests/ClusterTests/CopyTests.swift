import Model
import Testing

@testable import Cluster
@testable import Lock

/// A disk that comes up on another machine: what its node had there may go on.
@Suite struct CopyTests {
    private static let task = TaskID(Wide128(high: 0x0190_0000_0000_7000, low: 1 << 63))

    /// A node that runs a task.
    private func rig() throws -> (rig: NodeRig, id: ContainerID) {
        var rig = try NodeRig()
        let made = rig.submit(TaskSpec(command: ["true"]), id: CopyTests.task)
        let id = try #require(made)
        rig.step(.container(id, .created))
        rig.step(.container(id, .started))
        rig.run(for: .milliseconds(100))
        return (rig, id)
    }

    @Test func `a copy does not take the original's attempt for lost before its session is over`()
        throws
    {
        var (rig, _) = try rig()
        try rig.restart(finding: [], on: 2)
        rig.run(for: .seconds(3))
        #expect(rig.node.task(CopyTests.task)?.state == .running)
        #expect(rig.creates(of: CopyTests.task).isEmpty)
        // Alone, it may be the node itself that has moved: it goes on when a lease is over.
        for _ in 0..<400 where rig.creates(of: CopyTests.task).isEmpty {
            rig.run(for: .seconds(1))
        }
        #expect(rig.creates(of: CopyTests.task).count == 1)
    }

    @Test func `a restart on the same machine takes it for lost at once`() throws {
        var (rig, _) = try rig()
        try rig.restart(finding: [])
        rig.run(for: .seconds(1))
        #expect(rig.node.task(CopyTests.task)?.state != .running)
    }

    /// Found with `simulate run --faults clone,…`.
    @Test func `what a copy has taken for lost is not claimed again by the node that runs it`()
        throws
    {
        var (rig, id) = try rig()
        var copy = rig
        try copy.restart(finding: [])
        copy.run(for: .milliseconds(50))
        rig.copy(.task, from: copy)
        try rig.restart(finding: [AdoptedContainer(id: id, state: .started)])
        #expect(rig.node.task(CopyTests.task)?.state == .queued)
        rig.run(for: .seconds(3))
        #expect(rig.creates(of: CopyTests.task).isEmpty)
        rig.step(.container(id, .exited(ExitStatus(code: 0))))
        rig.run(for: .seconds(1))
        #expect(rig.node.task(CopyTests.task)?.state == .complete)
    }

    @Test func `a copy of one voter of several has no vote, one of a lone voter waits`() throws {
        let (rig, _) = try rig()
        let image = rig.image
        let node = rig.node.id
        #expect(!LockNode.isCopyWithoutVote(image, of: node, on: MachineID(1)))
        #expect(!LockNode.isCopyWithoutVote(image, of: node, on: MachineID(2)))
        let other = NodeID(Wide128(high: 1, low: 1))
        #expect(LockNode.isCopyWithoutVote(image, of: other, on: MachineID(2)))
        #expect(!LockNode.isCopyWithoutVote(image, of: other, on: .unknown))
    }
}

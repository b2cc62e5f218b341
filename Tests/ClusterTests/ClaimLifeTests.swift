import Gossip
import Lock
import Model
import Testing

@testable import Cluster

/// The life of a claim on one node: what its lease allows, and what is told of it.
@Suite struct ClaimLifeTests {
    private static let task = TaskID(Wide128(high: 0x0190_0000_0000_7000, low: 1 << 63))

    private func spec(
        _ onPartition: PartitionPolicy, restart: RestartPolicy = .onNodeLoss
    ) -> TaskSpec {
        var spec = TaskSpec(command: ["true"])
        spec.onPartition = onPartition
        spec.restart = restart
        return spec
    }

    @Test func `a claim is granted, made, started and closed`() throws {
        var rig = try NodeRig()
        let made = rig.submit(spec(.rerun), id: ClaimLifeTests.task)
        let id = try #require(made)
        #expect(!rig.wasTold(id, .start))
        rig.step(.container(id, .created))
        #expect(rig.wasTold(id, .start))
        rig.step(.container(id, .started))
        rig.step(.container(id, .exited(ExitStatus(code: 0))))
        rig.run(for: .seconds(1))
        #expect(rig.node.task(ClaimLifeTests.task)?.state == .complete)
        #expect(rig.node.task(ClaimLifeTests.task)?.isUnconfirmed == false)
    }

    @Test func `a signal for a program that is being started reaches it, within a bound`() throws {
        var rig = try NodeRig()
        let made = rig.submit(spec(.rerun), id: ClaimLifeTests.task)
        let id = try #require(made)
        rig.step(.container(id, .created))
        for signal in 1...Int32(Holding.signalsMax + 1) {
            let request = rig.ask(.signal(ClaimLifeTests.task, signal))
            guard case .accepted? = rig.replies[request] else {
                Issue.record("signal \(signal) was not accepted")
                return
            }
        }
        #expect(!rig.wasTold(id, .signal(1)))
        rig.step(.container(id, .started))
        for signal in 1...Int32(Holding.signalsMax) {
            #expect(rig.wasTold(id, .signal(signal)))
        }
        #expect(!rig.wasTold(id, .signal(Int32(Holding.signalsMax + 1))))
    }

    /// Check, pause, start: the machine sleeps while the container is made, and the first thing
    /// that it sees on waking is that it is ready.
    @Test(arguments: [PartitionPolicy.rerun, .wait])
    func `what is ready after its lease is not started, and runs later`(
        onPartition: PartitionPolicy
    ) throws {
        var rig = try NodeRig()
        let made = rig.submit(spec(onPartition), id: ClaimLifeTests.task)
        let id = try #require(made)
        rig.sleep(for: .seconds(30))
        rig.step(.container(id, .created))
        #expect(!rig.wasTold(id, .start))
        #expect(rig.wasTold(id, .kill))
        let failure = ContainerFailure(code: 125, message: "killed before it was started")
        rig.step(.container(id, .failed(failure)))
        for _ in 0..<600 where rig.creates(of: ClaimLifeTests.task).count < 2 {
            rig.run(for: .milliseconds(100))
        }
        // It has not failed: nothing has run.
        #expect(rig.node.task(ClaimLifeTests.task)?.state == .claimed)
        let again = try #require(rig.creates(of: ClaimLifeTests.task).last)
        #expect(again.token > id.token)
        rig.step(.container(again, .created))
        #expect(rig.wasTold(again, .start))
    }

    @Test func `a node that does not look at its lease again starts what it must not`() throws {
        var rig = try NodeRig(mutation: .startsUnchecked)
        let made = rig.submit(spec(.rerun), id: ClaimLifeTests.task)
        let id = try #require(made)
        rig.sleep(for: .seconds(30))
        rig.step(.container(id, .created))
        #expect(rig.wasTold(id, .start))
    }

    /// Found with `simulate run --faults all --seed 122`: the session outlived the daemon, and under
    /// it the lock granted the same token for another run.
    @Test func `a claim that the disk forgot is not taken up again under its token`() throws {
        // Some time between submission and claim.
        var rig = try NodeRig(policy: .random(upTo: .seconds(1)))
        rig.run(for: .seconds(2))
        _ = rig.ask(.submit(spec(.rerun), id: ClaimLifeTests.task, ack: .copies(1)))
        let before = rig
        #expect(before.creates(of: ClaimLifeTests.task).isEmpty)
        for _ in 0..<100 where rig.creates(of: ClaimLifeTests.task).isEmpty {
            rig.run(for: .milliseconds(50))
        }
        let id = try #require(rig.creates(of: ClaimLifeTests.task).first)
        rig.step(.container(id, .created))
        rig.step(.container(id, .started))
        rig.forget(.task, since: before)
        rig.forget(.context, since: before)
        try rig.restart(finding: [AdoptedContainer(id: id, state: .started)])
        #expect(rig.wasTold(id, .kill))
        rig.run(for: .seconds(3))
        // Its old program is still being ended.
        #expect(rig.creates(of: ClaimLifeTests.task).isEmpty)
        rig.step(.container(id, .exited(ExitStatus(code: 137))))
        for _ in 0..<600 where rig.creates(of: ClaimLifeTests.task).isEmpty {
            rig.run(for: .milliseconds(100))
        }
        let again = try #require(rig.creates(of: ClaimLifeTests.task).first)
        #expect(again.token > id.token)
    }

    @Test func `a lease that ends kills what hangs on it, and spares what waits`() throws {
        for onPartition in [PartitionPolicy.rerun, .wait] {
            var rig = try NodeRig()
            let made = rig.submit(spec(onPartition), id: ClaimLifeTests.task)
            let id = try #require(made)
            rig.step(.container(id, .created))
            rig.step(.container(id, .started))
            rig.sleep(for: .seconds(30))
            rig.step(.deadlineReached)
            #expect(rig.wasTold(id, .kill) == (onPartition == .rerun))
        }
    }

    /// Found with `simulate run --seed 110984`: the kill hung until the old lease had ended, and the guard
    /// had been armed for the new one.
    @Test func `the guard hears of no later lease while something lives that it does not cover`()
        throws
    {
        var rig = try NodeRig()
        let made = rig.submit(spec(.rerun), id: ClaimLifeTests.task)
        let id = try #require(made)
        rig.step(.container(id, .created))
        rig.step(.container(id, .started))
        let granted = try #require(rig.guardDeadline)
        // The lock has given the claim away, as after a copy's session; the kill hangs.
        let next = SessionID(77)
        rig.lockSays(.sessionOpened(next, kept: [], leaseUntil: granted + .seconds(1)))
        #expect(rig.wasTold(id, .kill))
        rig.lockSays(.leaseExtended(next, until: granted + .seconds(2)))
        #expect(rig.guardDeadline == granted)
        rig.step(.container(id, .exited(ExitStatus(code: 137))))
        #expect(rig.guardDeadline == granted + .seconds(2))
        rig.lockSays(.leaseExtended(next, until: granted + .seconds(3)))
        #expect(rig.guardDeadline == granted + .seconds(3))
    }

    @Test func `what a member signs about the lock is good for that statement and signer alone`()
        throws
    {
        let rig = try NodeRig()
        let membership = rig.node.membership
        let statement: [UInt8] = [1, 2, 3]
        let signature = try #require(membership.sign(lock: statement))
        #expect(membership.verifies(signature, ofLock: statement, by: membership.id))
        #expect(!membership.verifies(signature, ofLock: [1, 2, 4], by: membership.id))
        let other = NodeID(Wide128(high: 1, low: 1))
        #expect(!membership.verifies(signature, ofLock: statement, by: other))
        var forged = signature
        forged[0] ^= 1
        #expect(!membership.verifies(forged, ofLock: statement, by: membership.id))
    }

    @Test func `a lock that works is not recovered`() throws {
        var rig = try NodeRig()
        rig.run(for: .seconds(2))
        let request = rig.ask(.recoverLock)
        guard case .refused(let refusal)? = rig.replies[request] else {
            Issue.record("it must be refused")
            return
        }
        #expect(refusal.code == .conflict)
    }

    @Test func `forgetting somebody who is not there is refused`() throws {
        var rig = try NodeRig()
        let request = rig.ask(.forget(NodeID(Wide128(high: 1, low: 1))))
        guard case .refused(let refusal)? = rig.replies[request] else {
            Issue.record("it must be refused")
            return
        }
        #expect(refusal.code == .notFound)
    }
}

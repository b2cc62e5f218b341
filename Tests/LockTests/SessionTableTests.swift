import Model
import Testing

@testable import Lock

/// Sessions and lengths of leases in the table.
@Suite struct SessionTableTests {
    private let node = NodeID(Wide128(high: 1, low: 1))
    private let other = NodeID(Wide128(high: 2, low: 2))

    private func open(_ session: UInt64, after last: UInt64? = nil) -> LockOperation {
        .openSession(SessionID(session), keeping: [], after: last.map { SessionID($0) })
    }

    private func acquire(_ task: UInt64, for session: UInt64) -> LockOperation {
        .acquire(
            AcquireRequest(
                task: TaskID(Wide128(high: 7, low: task)),
                birth: BirthDot(origin: BootID(9), sequence: task), restart: .onNodeLoss,
                onPartition: .rerun), SessionID(session))
    }

    @Test func `no session is opened before the log says how long leases are`() {
        var driver = TableDriver(table: LockTable())
        #expect(driver.apply([open(1)], of: node) == [.noSession])
        driver.apply([.setLeaseLength(.seconds(20))], of: .none)
        #expect(
            driver.apply([open(1)], of: node) == [.opened(kept: [], leaseLength: .seconds(20))])
    }

    @Test func `an opening names the last session, be it alive or not`() {
        var driver = TableDriver()
        driver.apply([open(1)], of: node)
        #expect(driver.apply([open(2)], of: node) == [.succeeds(SessionID(1))])
        #expect(driver.apply([open(2, after: 9)], of: node) == [.succeeds(SessionID(1))])
        driver.apply([.expireSession(SessionID(1))], of: .none)
        #expect(driver.apply([open(2)], of: node) == [.succeeds(SessionID(1))])
        #expect(
            driver.apply([open(2, after: 1)], of: node)
                == [.opened(kept: [], leaseLength: .seconds(5))])
    }

    @Test func `an expired session is never opened again`() {
        var driver = TableDriver()
        driver.apply([open(1)], of: node)
        driver.apply([.expireSession(SessionID(1))], of: .none)
        #expect(driver.apply([open(1, after: 1)], of: node) == [.noSession])
        #expect(driver.apply([acquire(1, for: 1)], of: node) == [.noSession])
    }

    @Test func `a late opening of an earlier life does not displace the newer session`() {
        var driver = TableDriver()
        driver.apply([open(1)], of: node)
        // Two lives of the node name the same predecessor: the first entry wins.
        driver.apply([open(3, after: 1)], of: node)
        driver.apply([acquire(1, for: 3)], of: node)
        #expect(driver.apply([open(2, after: 1)], of: node) == [.succeeds(SessionID(3))])
        #expect(driver.table.sessions[SessionID(3)]?.claims.count == 1)
    }

    @Test func `a session does not move claims of other nodes`() {
        var driver = TableDriver()
        driver.apply([open(1)], of: node)
        driver.apply([open(2)], of: other)
        driver.apply([acquire(1, for: 1)], of: node)
        let stolen = ContainerID(
            task: TaskID(Wide128(high: 7, low: 1)),
            token: FencingToken(generation: 1, index: driver.index))
        let answer = driver.apply(
            [.openSession(SessionID(3), keeping: [stolen, stolen], after: SessionID(2))], of: other)
        #expect(answer == [.opened(kept: [], leaseLength: .seconds(5))])
        let own = driver.apply(
            [.openSession(SessionID(4), keeping: [stolen, stolen], after: SessionID(1))], of: node)
        #expect(own == [.opened(kept: [stolen], leaseLength: .seconds(5))])
    }

    @Test func `what another machine of a node has claimed is freed by a person, or by itself`() {
        func open(_ session: UInt64, after last: UInt64?, on machine: UInt64) -> LockOperation {
            .openSession(
                SessionID(session), keeping: [], after: last.map { SessionID($0) },
                on: MachineID(machine))
        }
        func waiting(_ elsewhere: UInt32) -> [LockResult] {
            [.opened(kept: [], leaseLength: .seconds(5), elsewhere: elsewhere)]
        }
        var driver = TableDriver()
        driver.apply([open(1, after: nil, on: 1)], of: node)
        let request = AcquireRequest(
            task: TaskID(Wide128(high: 7, low: 1)),
            birth: BirthDot(origin: BootID(9), sequence: 1), restart: .onNodeLoss,
            onPartition: .wait)
        driver.apply([.acquire(request, SessionID(1))], of: node)
        #expect(driver.apply([open(2, after: 1, on: 2)], of: node) == waiting(1))
        #expect(driver.apply([.forget(node)], of: other) == [.alive])
        var itself = driver
        #expect(itself.apply([open(3, after: 2, on: 1)], of: node) == waiting(0))
        driver.apply([.expireSession(SessionID(2))], of: .none)
        #expect(driver.apply([.forget(node)], of: other) == [.done])
        #expect(driver.table.waiting.isEmpty)
        for table in [driver.table, itself.table] {
            guard case .open? = table.entries[request.task] else {
                Issue.record("the task is not free")
                return
            }
        }
    }

    // MARK: Lengths of leases

    @Test func `after a change to shorter leases the longest stands until it is settled`() {
        var driver = TableDriver()
        driver.apply([.setLeaseLength(.seconds(2))], of: .none)
        #expect(driver.table.leaseLength == .seconds(2))
        #expect(driver.table.longestLease == .seconds(5))
        driver.apply([.setLeaseLength(.seconds(9))], of: .none)
        #expect(driver.table.longestLease == .seconds(9))
        driver.apply([.setLeaseLength(.seconds(1))], of: .none)
        driver.apply([.settleLeaseLength], of: .none)
        #expect(driver.table.longestLease == .seconds(1))
    }

    @Test func `leases of no length are not set`() {
        var driver = TableDriver()
        driver.apply([.setLeaseLength(.zero)], of: .none)
        #expect(driver.table.leaseLength == .seconds(5))
    }

    @Test func `the lock's clock never goes back`() {
        var driver = TableDriver()
        driver.clock = 9
        driver.apply([open(1)], of: node)
        driver.clock = 4
        driver.apply([acquire(1, for: 1)], of: node)
        #expect(driver.table.clock == 9)
    }
}

import Model
import NIOCore
import Testing

@testable import NodeIO

/// Who may begin a handshake, and who makes room, without any socket.
@Suite struct HandshakeLedgerTests {
    private static let now = Instant(nanoseconds: 1_000_000_000)

    private static func address(_ last: UInt8) -> PeerAddress {
        PeerAddress(ip: [10, 0, 0, last], port: 7946)
    }

    private static func ledger(
        handshakes: Int = 4, ofOne: Int = 4, strangers: Int = 2
    ) -> HandshakeLedger {
        var limits = StreamLimits()
        limits.handshakesMax = handshakes
        limits.handshakesOfOneMax = ofOne
        limits.strangersMax = strangers
        return HandshakeLedger(limits, at: now)
    }

    @Test func `up to the bound nobody makes room, and one past it the oldest of the source`() {
        var ledger = HandshakeLedgerTests.ledger(handshakes: 100, ofOne: 3)
        for _ in 1...3 {
            #expect(displaced(&ledger, 1) == .some(nil))
        }
        #expect(displaced(&ledger, 2) == .some(nil))
        #expect(displaced(&ledger, 1) == .some(1))
        #expect(displaced(&ledger, 1) == .some(2))
        #expect(ledger.handshakeCount == 4)
    }

    @Test func `when all places are taken, the source with the most makes room`() {
        var ledger = HandshakeLedgerTests.ledger(handshakes: 4)
        for source in [1, 2, 2, 3] as [UInt8] {
            #expect(displaced(&ledger, source) == .some(nil))
        }
        #expect(displaced(&ledger, 4) == .some(2))
        #expect(ledger.handshakeCount == 4)
    }

    @Test func `places are given back by handshakes that end, well or not`() throws {
        var ledger = HandshakeLedgerTests.ledger(handshakes: 2)
        let first = try #require(begin(&ledger, 1)).id
        let second = try #require(begin(&ledger, 1)).id
        ledger.end(first)
        #expect(ledger.complete(second, isMember: true, until: HandshakeLedgerTests.now) == nil)
        #expect(ledger.handshakeCount == 0)
        #expect(displaced(&ledger, 1) == .some(nil))
    }

    @Test func `a source's allowance is its own, and all of a network of IPv6 share one`() {
        var limits = StreamLimits()
        limits.handshakesOfOnePerSecondMax = 2
        limits.handshakesPerSecondMax = 5
        var ledger = HandshakeLedger(limits, at: HandshakeLedgerTests.now)
        func six(_ network: UInt8, _ host: UInt8) -> PeerAddress {
            PeerAddress(
                ip: [0x20, 1, 0, 0, 0, 0, 0, network] + Array(repeating: 0, count: 7) + [host],
                port: 1)
        }
        let now = HandshakeLedgerTests.now
        #expect(ledger.begin(from: six(1, 1), at: now) != nil)
        #expect(ledger.begin(from: six(1, 2), at: now) != nil)
        #expect(ledger.begin(from: six(1, 3), at: now) == nil)
        #expect(ledger.begin(from: six(2, 1), at: now) != nil)
        #expect(ledger.begin(from: six(3, 1), at: now) != nil)
        #expect(ledger.begin(from: six(4, 1), at: now) != nil)
        // The allowance of all is used up, and fills up again.
        #expect(ledger.begin(from: six(5, 1), at: now) == nil)
        #expect(ledger.begin(from: six(6, 1), at: now + .milliseconds(400)) != nil)
    }

    @Test func `strangers end for a newer one, or when their time is over`() throws {
        var ledger = HandshakeLedgerTests.ledger(handshakes: 9, ofOne: 9, strangers: 2)
        let now = HandshakeLedgerTests.now
        let ids = try (0..<4).map { _ in try #require(begin(&ledger, 1)).id }
        #expect(ledger.complete(ids[0], isMember: false, until: now + .seconds(1)) == nil)
        #expect(ledger.complete(ids[1], isMember: false, until: now + .seconds(2)) == nil)
        #expect(ledger.complete(ids[2], isMember: true, until: now + .seconds(3)) == nil)
        #expect(ledger.complete(ids[3], isMember: false, until: now + .seconds(3)) == ids[0])
        #expect(ledger.overdue(at: now + .seconds(1)).isEmpty)
        #expect(ledger.overdue(at: now + .seconds(2)) == [ids[1]])
        ledger.promote(ids[1])
        #expect(ledger.overdue(at: now + .seconds(3)) == [ids[3]])
        ledger.end(ids[3])
        #expect(ledger.strangerCount == 0)
    }

    private func begin(
        _ ledger: inout HandshakeLedger, _ source: UInt8
    ) -> (id: HandshakeLedger.ID, displaced: HandshakeLedger.ID?)? {
        ledger.begin(from: HandshakeLedgerTests.address(source), at: HandshakeLedgerTests.now)
    }

    /// Who made room, if anybody; `nil` alone when the handshake may not begin.
    private func displaced(
        _ ledger: inout HandshakeLedger, _ source: UInt8
    ) -> HandshakeLedger.ID?? {
        begin(&ledger, source).map(\.displaced)
    }
}

import Model
import Testing

@testable import Daemon

@Suite struct ConnectionSharesTests {
    private static let now = Instant(nanoseconds: 7)

    private static func source(_ number: UInt8) -> PeerAddress {
        PeerAddress(ip: [10, 0, 0, number], port: 0)
    }

    @Test func `a source has so many connections, and not one more until one has ended`() {
        var shares = ConnectionShares(at: ConnectionSharesTests.now)
        func begin(_ source: PeerAddress, _ now: Instant) -> Bool {
            shares.begin(from: source, at: now)
        }
        let (first, second) = (ConnectionSharesTests.source(1), ConnectionSharesTests.source(2))
        for number in 0..<ConnectionShares.ofOneMax {
            #expect(begin(first, ConnectionSharesTests.now + .seconds(number)))
        }
        let later = ConnectionSharesTests.now + .seconds(ConnectionShares.ofOneMax)
        #expect(!begin(first, later))
        #expect(begin(second, later))
        shares.end(from: first)
        #expect(begin(first, later))
        #expect(!begin(first, later))
    }

    @Test func `a source begins so many connections in a second, and not one more`() {
        var shares = ConnectionShares(at: ConnectionSharesTests.now)
        func begin(_ source: PeerAddress, _ now: Instant) -> Bool {
            shares.begin(from: source, at: now)
        }
        let source = ConnectionSharesTests.source(1)
        for _ in 0..<ConnectionShares.ofOnePerSecondMax {
            #expect(begin(source, ConnectionSharesTests.now))
            shares.end(from: source)
        }
        #expect(!begin(source, ConnectionSharesTests.now))
        #expect(begin(ConnectionSharesTests.source(2), ConnectionSharesTests.now))
        #expect(begin(source, ConnectionSharesTests.now + .seconds(1)))
    }
}

import Model
import Testing

@testable import Gossip

/// How soon the dead are noticed, and how long the living may be silent; profile `lan`.
///
/// The two pull in opposite directions: what is asked is a death noticed by the first within six
/// seconds and a silence of five seconds forgiven, with twenty members.
@Suite struct DetectionTests {
    private func network(of count: Int, seed: UInt64) throws -> VirtualNetwork {
        let network = VirtualNetwork(seed: seed, count: count)
        try network.form()
        // Not always at the same place between two probes.
        network.run(for: .milliseconds(Int64(seed * 137 % 1_000)))
        return network
    }

    /// With a factor of three, five of these seeds take it for dead.
    @Test(arguments: [4, 5, 12, 35, 48, 1, 2, 3] as [UInt64])
    func `who stands still for five seconds is taken for dead by nobody, and blames nobody`(
        seed: UInt64
    ) throws {
        let network = try network(of: 20, seed: seed)
        let begin = network.now
        network.freeze(19)
        network.run(for: .seconds(5))
        network.thaw(19)
        network.run(for: .seconds(5))
        #expect(network.deaths(of: 0..<20, seenBy: 0..<20, since: begin) == 0)
        #expect(network.allSee(0..<20))
    }

    @Test(arguments: [(20, 6.0, 6.3), (40, 7.0, 7.3)])
    func `a death is noticed in time by the first and by all, in the median`(
        count: Int, first: Double, all: Double
    ) throws {
        var firsts: [Double] = []
        var lasts: [Double] = []
        for seed in 1...9 as ClosedRange<UInt64> {
            let network = try network(of: count, seed: seed)
            let begin = network.now
            let rest = 0..<(count - 1)
            network.kill(count - 1)
            network.run(for: .seconds(60)) {
                rest.allSatisfy { network.state(of: count - 1, at: $0) == .dead }
            }
            let times = rest.flatMap { observer in
                network.machines[observer].notes.changes.filter {
                    $0.at >= begin && $0.state == .dead
                }
            }.map { Double(($0.at - begin).nanoseconds) / 1e9 }
            #expect(times.count == rest.count)
            firsts.append(times.min() ?? 60)
            lasts.append(times.max() ?? 60)
        }
        #expect(firsts.sorted()[4] <= first)
        #expect(lasts.sorted()[4] <= all)
    }
}

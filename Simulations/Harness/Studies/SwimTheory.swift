import Gossip
import Model

/// What the literature says of a membership of so many nodes with such a configuration.
///
/// Sources: Das, Gupta, Motivala, "SWIM" (DSN 2002), §3.1 and §5; Dadgar, Phillips, Currey, "Lifeguard"
/// (2017), §IV.B; Demers et al. 1987 for epidemics by mean field.
struct SwimTheory {
    let count: Int
    let configuration: GossipConfiguration

    private var others: Double { Double(count - 1) }

    // MARK: Detection

    /// The chance that nobody begins to probe a certain member within so many periods: each of the
    /// others chooses it with 1/(n − 1) in each.
    func unprobedShare(after periods: Int) -> Double {
        exponential(Double(periods) * others * logarithm(1 - 1 / others))
    }

    /// Periods until the first probe of a member that has failed, the one in which it failed counted:
    /// e/(e − 1) for many members.
    var periodsToProbe: Double { 1 / (1 - unprobedShare(after: 1)) }

    /// Seconds until the first probe, in unbroken time: probes of a member come at random.
    var secondsToProbe: Double { configuration.probeInterval.seconds }

    /// Seconds of a suspicion that others confirm, as they do when the member is dead.
    var secondsOfSuspicion: Double {
        let decades = logarithm(Double(count)) / logarithm(10)
        return configuration.probeInterval.seconds * configuration.suspicionFactor
            * max(1, decades)
    }

    /// Seconds from a failure until the first member shows it: until it is probed, until the probe has
    /// failed, and the suspicion.
    var secondsToFirstDeath: Double {
        secondsToProbe + configuration.probeInterval.seconds + secondsOfSuspicion
    }

    // MARK: Load

    /// The share of probes that go to somebody who has not met the prober before, on average from one
    /// period to another: in a cluster that has just begun, pairs meet one after the other.
    func strangerShare(from first: Int, to last: Int) -> Double {
        max(0, 1 - Double(first + last) / 2 / others)
    }

    /// Packets per node and period: a probe and its answer; a stranger's probe costs a challenge and
    /// the answer to it besides.
    func packetsPerPeriod(strangers: Double) -> Double { 2 + 2 * strangers }

    /// The same of the busiest node over some periods: it answers as many probes as come by chance.
    func packetsOfBusiest(periods: Int, strangers: Double) -> Double {
        (1 + strangers) * (Double(periods) + largestOfPoisson(mean: Double(periods)))
            / Double(periods)
    }

    /// The mean of the largest of `count` independent Poisson numbers.
    private func largestOfPoisson(mean: Double) -> Double {
        var term = exponential(-mean)
        var sum = term
        var expected = 0.0
        for number in 0..<Int(mean * 4 + 60) {
            let below = sum >= 1 ? 1 : exponential(Double(count) * logarithm(max(sum, 1e-300)))
            expected += 1 - below
            term *= mean / Double(number + 1)
            sum += term
        }
        return expected
    }

    // MARK: False suspicions

    /// The chance that a probe of a healthy member fails when so many packets are lost: probe or
    /// answer, the same by stream, and all the ways by way of helpers.
    func failureShare(loss: Double) -> Double {
        let arrives = 1 - loss
        let direct = arrives * arrives
        let indirect = direct * direct
        var share = (1 - direct) * (1 - direct)
        for _ in 0..<configuration.indirectCount { share *= 1 - indirect }
        return share
    }

    // MARK: Spreading

    /// Seconds until all have heard what some tell, who begin with so many tellings.
    ///
    /// Mean field: of those who have not heard, each telling finds one with their share. Who hears it
    /// tells it to `rumourFanout` members soon after, then again each interval, and on its probes and
    /// answers. The last one has heard it once nobody is expected to be left.
    func secondsToAll(beginningWith tellings: Double = 0) -> Double {
        let step = 0.001
        let eager = configuration.rumourInterval.seconds / 8
        let interval = configuration.rumourInterval.seconds
        let fanout = Double(configuration.rumourFanout)
        let onProbes = 2 / configuration.probeInterval.seconds * step
        let steps = Int(20 / step)
        // How many of them are told by direct messages per step, beginning with one who knows.
        var due = [Double](repeating: 0, count: steps + Int((eager + 8 * interval) / step) + 2)
        func schedule(_ informed: Double, at now: Int) {
            for round in 0..<6 {
                due[now + Int((eager + Double(round) * interval) / step)] += informed * fanout
            }
        }
        var left = others
        var waited = 0.0
        due[1] += tellings
        schedule(1, at: 0)
        for now in 0..<steps {
            let told = due[now] + (Double(count) - left) * onProbes
            let next = left * exponential(-told / others)
            schedule(left - next, at: now)
            left = next
            // The chance that somebody is left.
            waited += (1 - exponential(-left)) * step
            if left < 1e-4 { break }
        }
        return waited
    }
}

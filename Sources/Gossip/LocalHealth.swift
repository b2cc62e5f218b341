/// How far this node trusts its own view: 0 when all is well, higher the more goes wrong.
///
/// A node that can't keep up blames others for its own silence; so it gives them more time.
///
/// Source: Lifeguard, section IV.A, "Local Health Aware Probe".
struct LocalHealth: Hashable, Sendable {
    /// The score, 0…`scoreMax`.
    private(set) var score = 0
    /// The worst score.
    let scoreMax: Int

    init(scoreMax: Int) {
        precondition(scoreMax >= 0, "the worst health score can't be negative")
        self.scoreMax = scoreMax
    }

    /// By how much probes slow down, and wait longer.
    var stretch: Double { Double(score + 1) }

    /// A probe was answered.
    mutating func improve() { score = max(score - 1, 0) }

    /// A probe was not answered in any way.
    ///
    /// Helpers that say nothing at all are a sign that this node's own link is bad; helpers that
    /// did not reach the target either are not.
    mutating func probeFailed(nacksExpected: Int, nacks: Int) {
        degrade(by: nacksExpected == 0 ? 1 : max(nacksExpected - nacks, 0))
    }

    /// Others suspect this node: it must have been slow.
    mutating func wasSuspected() { degrade(by: 1) }

    /// This node itself stood still for so many probe intervals.
    mutating func stoodStill(forIntervals count: Double) {
        degrade(by: 1 + Int(min(max(count, 0), Double(scoreMax))))
    }

    private mutating func degrade(by amount: Int) { score = min(score + amount, scoreMax) }
}

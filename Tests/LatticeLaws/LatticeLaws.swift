package import CRDT

/// The laws of a join-semilattice, checked over seeded random values.
///
/// A value is built from steps, so that a counterexample can be shrunk: steps are left out as long
/// as the law stays broken. What is left is hardly ever more than a handful.
package struct LatticeLaws<Step, Value: Lattice & Equatable> {
    /// The laws, by name.
    package enum Law: String, CaseIterable {
        /// a ⊔ b = b ⊔ a
        case commutative
        /// (a ⊔ b) ⊔ c = a ⊔ (b ⊔ c)
        case associative
        /// a ⊔ a = a
        case idempotent
        /// (a ⊔ b) ⊔ b = a ⊔ b, and likewise with a: nothing that was joined gets lost.
        case inflationary
        /// A join says that it has grown when it has, and only then.
        case truthful
        /// The join of the steps' own values, in any order and repeated, is the value of all steps.
        case deltas
    }

    /// A broken law, and the smallest steps found that break it.
    package struct Counterexample {
        /// The law.
        package var law: Law
        /// The seed that found it.
        package var seed: UInt64
        /// The steps of a, b and c.
        package var steps: [[Step]]
    }

    private let draw: (inout Splitmix) -> Step
    private let build: ([Step]) -> Value
    private let hasDeltas: Bool

    /// Makes a checker.
    ///
    /// - Parameters:
    ///   - hasDeltas: Whether a step means the same alone as after others: its value is a delta.
    ///   - draw: Draws one step.
    ///   - build: Applies steps in order to the bottom value.
    package init(
        hasDeltas: Bool, draw: @escaping (inout Splitmix) -> Step,
        build: @escaping ([Step]) -> Value
    ) {
        self.hasDeltas = hasDeltas
        self.draw = draw
        self.build = build
    }

    /// The first counterexample among these seeds, shrunk; `nil` when all laws hold.
    package func counterexample(
        seeds: Range<UInt64>, stepsMax: Int = 8
    ) -> Counterexample? {
        for seed in seeds {
            var generator = Splitmix(state: seed)
            let steps = (0..<3).map { _ in
                (0..<Int.random(in: 0...stepsMax, using: &generator)).map { _ in draw(&generator) }
            }
            for law in Law.allCases where !holds(law, steps, seed) {
                return Counterexample(law: law, seed: seed, steps: shrink(steps, law, seed))
            }
        }
        return nil
    }

    private func shrink(_ steps: [[Step]], _ law: Law, _ seed: UInt64) -> [[Step]] {
        var smallest = steps
        var isShrinking = true
        while isShrinking {
            isShrinking = false
            for list in smallest.indices {
                for position in smallest[list].indices.reversed() {
                    var candidate = smallest
                    candidate[list].remove(at: position)
                    guard !holds(law, candidate, seed) else { continue }
                    smallest = candidate
                    isShrinking = true
                }
            }
        }
        return smallest
    }

    private func holds(_ law: Law, _ steps: [[Step]], _ seed: UInt64) -> Bool {
        let a = build(steps[0])
        let b = build(steps[1])
        let c = build(steps[2])
        switch law {
        case .commutative: return join(a, b) == join(b, a)
        case .associative: return join(join(a, b), c) == join(a, join(b, c))
        case .idempotent: return join(a, a) == a
        case .inflationary:
            let both = join(a, b)
            return join(both, a) == both && join(both, b) == both
        case .truthful:
            var grown = a
            let hasGrown = grown.join(b)
            return hasGrown == (grown != a)
        case .deltas:
            guard hasDeltas else { return true }
            var generator = Splitmix(state: ~seed)
            var deltas = steps[0].map { build([$0]) }
            deltas += deltas.filter { _ in Bool.random(using: &generator) }
            deltas.shuffle(using: &generator)
            return deltas.reduce(build([]), join) == a
        }
    }

    private func join(_ left: Value, _ right: Value) -> Value {
        var joined = left
        joined.join(right)
        return joined
    }
}

/// SplitMix64: the tests of lattices know no other module.
package struct Splitmix: RandomNumberGenerator {
    /// The whole state.
    package var state: UInt64

    /// Starts a sequence.
    package init(state: UInt64) {
        self.state = state
    }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

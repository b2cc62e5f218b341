/// Values of which the least is known at any time: each change plays a few matches again.
///
/// A tree of winners; of equals the one with the lower index wins.
struct Tournament<Value: Comparable & Sendable>: Sendable {
    private var values: [Value]
    /// `winners[1]` is the best of all; the children of place p are 2p and 2p + 1.
    private var winners: [Int]

    /// Lets all play; there must be one at least.
    init(_ values: [Value]) {
        precondition(!values.isEmpty, "somebody must win")
        self.values = values
        winners = Array(repeating: 0, count: values.count) + Array(values.indices)
        for place in stride(from: values.count - 1, to: 0, by: -1) { play(place) }
    }

    /// Where the least value is.
    var first: Int { values.count == 1 ? 0 : winners[1] }

    /// All places.
    var indices: Range<Int> { values.indices }

    subscript(index: Int) -> Value {
        get { values[index] }
        set {
            values[index] = newValue
            var place = (values.count + index) / 2
            while place > 0 {
                play(place)
                place /= 2
            }
        }
    }

    private mutating func play(_ place: Int) {
        let (left, right) = (winners[2 * place], winners[2 * place + 1])
        let isLeft = values[left] == values[right] ? left < right : values[left] < values[right]
        winners[place] = isLeft ? left : right
    }
}

/// Which counters of one life of a sender were seen: each packet is taken once.
///
/// Source: RFC 6479, sliding windows against replay.
struct ReplayWindow: Hashable, Sendable {
    private var highest: UInt64
    private var seen: [UInt64]

    /// How far behind the highest counter a packet may come.
    static let width: UInt64 = 1_024

    /// Opens a window in which every counter up to `floor` counts as seen.
    init(above floor: UInt64 = 0) {
        highest = floor
        seen = [UInt64](repeating: floor == 0 ? 0 : .max, count: Int(ReplayWindow.width / 64))
    }

    /// Whether a counter is new, and not too old to tell.
    func accepts(_ counter: UInt64) -> Bool {
        guard counter > 0 else { return false }
        if counter > highest { return true }
        guard highest - counter < ReplayWindow.width else { return false }
        return seen[word(counter)] & bit(counter) == 0
    }

    /// Takes note of a counter that was accepted.
    mutating func insert(_ counter: UInt64) {
        if counter > highest {
            if counter - highest >= ReplayWindow.width {
                seen = [UInt64](repeating: 0, count: seen.count)
            } else {
                for passed in (highest + 1)...counter { seen[word(passed)] &= ~bit(passed) }
            }
            highest = counter
        }
        seen[word(counter)] |= bit(counter)
    }

    private func word(_ counter: UInt64) -> Int { Int(counter % ReplayWindow.width / 64) }
    private func bit(_ counter: UInt64) -> UInt64 { 1 << (counter % 64) }
}

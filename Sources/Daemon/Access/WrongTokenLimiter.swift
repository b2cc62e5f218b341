import Model

/// How often somebody may show a wrong token before none of its requests is looked at for a while.
struct WrongTokenLimiter {
    private struct Count {
        var wrong = 0
        var endsAt: Instant
    }

    private var counts: [PeerAddress?: Count] = [:]

    /// How many wrong tokens a source may show within `window`.
    static let wrongMax = 10
    /// How long wrong tokens are remembered, counted from the first one.
    static let window: Duration = .seconds(60)
    /// How many sources are told apart; beyond it the oldest is forgotten.
    static let sourcesMax = 1_024

    /// Whether tokens of this source are looked at now.
    func admits(_ source: PeerAddress?, at now: Instant) -> Bool {
        guard let count = counts[source], count.endsAt > now else { return true }
        return count.wrong < WrongTokenLimiter.wrongMax
    }

    /// A token of this source was wrong.
    mutating func note(_ source: PeerAddress?, at now: Instant) {
        if let count = counts[source], count.endsAt > now {
            counts[source]?.wrong += 1
            return
        }
        if counts.count >= WrongTokenLimiter.sourcesMax {
            counts = counts.filter { $0.value.endsAt > now }
            if counts.count >= WrongTokenLimiter.sourcesMax,
                let oldest = counts.min(by: { $0.value.endsAt < $1.value.endsAt })
            {
                counts[oldest.key] = nil
            }
        }
        counts[source] = Count(wrong: 1, endsAt: now + WrongTokenLimiter.window)
    }
}

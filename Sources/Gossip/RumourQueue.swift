import Model

/// News that waits to be told, the least told first.
struct RumourQueue: Sendable {
    private struct Waiting: Sendable {
        var rumour: Rumour
        var sizeBytes: Int
        var tellings = 0
        var sequence: UInt64
    }

    private var waiting: [Rumour.Topic: Waiting] = [:]
    private var lastSequence: UInt64 = 0

    var isEmpty: Bool { waiting.isEmpty }
    var count: Int { waiting.count }

    /// Adds a rumour; it takes the place of an older one of its topic.
    mutating func insert(_ rumour: Rumour) {
        lastSequence += 1
        waiting[rumour.topic] = Waiting(
            rumour: rumour, sizeBytes: rumour.encoded.count, sequence: lastSequence)
        guard waiting.count > GossipConfiguration.rumoursMax else { return }
        let oldest = waiting.max {
            ($0.value.tellings, $1.value.sequence) < ($1.value.tellings, $0.value.sequence)
        }
        if let oldest { waiting[oldest.key] = nil }
    }

    /// Takes as many rumours as fit, and counts a telling for each; told often enough, they go.
    mutating func take(sizeBytesMax: Int, tellingsMax: Int) -> [Rumour] {
        guard !waiting.isEmpty else { return [] }
        let candidates = waiting.sorted {
            ($0.value.tellings, $0.value.sequence) < ($1.value.tellings, $1.value.sequence)
        }
        var taken: [Rumour] = []
        var left = sizeBytesMax
        for (topic, candidate) in candidates where candidate.sizeBytes <= left {
            left -= candidate.sizeBytes
            taken.append(candidate.rumour)
            if candidate.tellings + 1 >= tellingsMax {
                waiting[topic] = nil
            } else {
                waiting[topic]?.tellings += 1
            }
        }
        return taken
    }
}

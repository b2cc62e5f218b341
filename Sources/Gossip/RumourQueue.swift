import Model

/// News that waits to be told, the least told first.
///
/// Each rumour is told a bounded number of times: epidemics reach all with high probability, and
/// the exchange of views does the rest.
///
/// Source: SWIM, section 4.1.
struct RumourQueue: Sendable {
    private struct Waiting: Sendable {
        var rumour: Rumour
        var sizeBytes: Int
        var tellings = 0
        var sequence: UInt64
    }

    /// A place in line; void when the topic's entry has another sequence by now.
    private struct Place: Sendable {
        var topic: Rumour.Topic
        var sequence: UInt64
    }

    private var waiting: [Rumour.Topic: Waiting] = [:]
    /// One line for each number of tellings.
    private var lines: [[Place]] = []
    private var lastSequence: UInt64 = 0
    /// How many were never told yet.
    private(set) var untoldCount = 0

    /// No rumour is smaller, in bytes: a goodbye with its signature.
    static let rumourSizeBytesMin = 1 + 16 + 1 + Signature.sizeBytes

    var isEmpty: Bool { waiting.isEmpty }
    var count: Int { waiting.count }

    /// Adds a rumour; it takes the place of an older one of its topic.
    ///
    /// At the bound, the rumour told most often makes room, the oldest of these first.
    mutating func insert(_ rumour: Rumour) {
        let topic = rumour.topic
        remove(topic)
        if waiting.count >= GossipConfiguration.rumoursMax { dropMostTold() }
        lastSequence += 1
        waiting[topic] = Waiting(
            rumour: rumour, sizeBytes: rumour.encoded.count, sequence: lastSequence)
        untoldCount += 1
        append(Place(topic: topic, sequence: lastSequence), line: 0)
    }

    /// Takes as many rumours as fit, and counts a telling for each; told often enough, they go.
    mutating func take(sizeBytesMax: Int, tellingsMax: Int) -> [Rumour] {
        guard !waiting.isEmpty else { return [] }
        var taken: [Rumour] = []
        var moved: [(place: Place, line: Int)] = []
        var left = sizeBytesMax
        for line in lines.indices where left >= RumourQueue.rumourSizeBytesMin {
            var passedOver: [Place] = []
            var index = 0
            while index < lines[line].count, left >= RumourQueue.rumourSizeBytesMin {
                let place = lines[line][index]
                index += 1
                guard let entry = waiting[place.topic], entry.sequence == place.sequence else {
                    continue
                }
                guard entry.sizeBytes <= left else {
                    passedOver.append(place)
                    continue
                }
                left -= entry.sizeBytes
                taken.append(entry.rumour)
                if told(place.topic, tellingsMax: tellingsMax) { moved.append((place, line + 1)) }
            }
            lines[line].replaceSubrange(..<index, with: passedOver)
        }
        for (place, line) in moved { append(place, line: line) }
        return taken
    }

    /// Counts a telling; returns whether the rumour is to be told again.
    private mutating func told(_ topic: Rumour.Topic, tellingsMax: Int) -> Bool {
        guard let tellings = waiting[topic]?.tellings else { return false }
        if tellings == 0 { untoldCount -= 1 }
        if tellings + 1 >= tellingsMax {
            waiting[topic] = nil
            return false
        }
        waiting[topic]?.tellings += 1
        return true
    }

    private mutating func remove(_ topic: Rumour.Topic) {
        guard let entry = waiting.removeValue(forKey: topic) else { return }
        if entry.tellings == 0 { untoldCount -= 1 }
    }

    private mutating func dropMostTold() {
        for line in lines.indices.reversed() {
            while let place = lines[line].first {
                lines[line].removeFirst()
                if waiting[place.topic]?.sequence == place.sequence { return remove(place.topic) }
            }
        }
    }

    private mutating func append(_ place: Place, line: Int) {
        while lines.count <= line { lines.append([]) }
        lines[line].append(place)
        // Void places must not pile up when one topic changes again and again.
        guard lines[line].count > 2 * waiting.count + 16 else { return }
        lines[line].removeAll { waiting[$0.topic]?.sequence != $0.sequence }
    }
}

import Model

/// Changes that wait to be pushed, one delta per task: own ones, and rumours that are passed on.
struct TableOutbox: Sendable {
    /// Changes that are told to the same peers.
    struct Lane: Sendable {
        private(set) var deltas: [TaskID: TaskDelta] = [:]
        private var order: [TaskID] = []
        /// How far the rumours in it still travel.
        private(set) var hops: UInt8 = 0

        /// The tasks in it, in the order in which they were changed.
        var ids: [TaskID] { order.filter { deltas[$0] != nil } }

        var isEmpty: Bool { deltas.isEmpty }

        mutating func add(_ delta: TaskDelta, hops: UInt8) {
            if deltas[delta.id] == nil {
                order.append(delta.id)
                deltas[delta.id] = delta
            } else {
                deltas[delta.id]?.absorb(delta)
            }
            self.hops = max(self.hops, hops)
        }

        mutating func remove(_ id: TaskID) { deltas[id] = nil }
    }

    var own = Lane()
    var passedOn = Lane()
    var lastPush = Instant.zero
    /// When they are pushed; `nil` when there are none.
    var due: Instant?

    /// So many tasks wait at most before they are pushed without further delay.
    static let countMax = 4_096

    var isEmpty: Bool { own.isEmpty && passedOn.isEmpty }
    var count: Int { own.deltas.count + passedOn.deltas.count }
    var isFull: Bool { count >= TableOutbox.countMax }

    /// Adds an own change, or one to be passed on so far.
    mutating func add(_ delta: TaskDelta, hops: UInt8?) {
        if let hops {
            passedOn.add(delta, hops: hops)
        } else {
            own.add(delta, hops: 0)
        }
    }

    mutating func remove(_ id: TaskID) {
        own.remove(id)
        passedOn.remove(id)
    }
}

/// A submission of this node that may still lack copies.
struct TableSubmission: Sendable {
    var wantedCopies: Int
    var isOnOwnDisk = false
    var isOwnDiskRefused = false
    var holders: Set<NodeID> = []
    var resends = 0

    var copies: Int { (isOnOwnDisk ? 1 : 0) + holders.count }
}

/// Encoded deltas that fit one message.
struct TablePart: Sendable {
    /// The tasks whose submission is among them.
    private(set) var submitted: [TaskID] = []
    private(set) var count = 0
    private var content = ByteWriter()

    /// Adds a delta unless it does not fit; the first one always does.
    mutating func add(_ delta: TaskDelta, sizeBytesMax: Int) -> Bool {
        let bytes = delta.encoded
        guard
            count == 0
                || content.bytes.count + bytes.count <= sizeBytesMax
                    && count < TableMessage.deltasMax
        else { return false }
        content.raw(bytes)
        count += 1
        if delta.submission != nil { submitted.append(delta.id) }
        return true
    }

    /// The message, with the head that `TableMessage` writes before the deltas.
    func message(_ head: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter(reservingBytes: content.bytes.count + 32)
        head(&writer)
        writer.varint(UInt64(count))
        writer.raw(content.bytes)
        return writer.bytes
    }

    /// Deltas in portions that fit a message, at least one in each.
    static func divide(_ deltas: [TaskDelta], sizeBytesMax: Int) -> [TablePart] {
        var parts: [TablePart] = []
        var part = TablePart()
        for delta in deltas where !part.add(delta, sizeBytesMax: sizeBytesMax) {
            parts.append(part)
            part = TablePart()
            _ = part.add(delta, sizeBytesMax: sizeBytesMax)
        }
        if part.count > 0 { parts.append(part) }
        return parts
    }
}

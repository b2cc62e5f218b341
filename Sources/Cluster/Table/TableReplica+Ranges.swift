import CRDT
import Model

/// Anti-entropy by fingerprints: finds records that differ, whatever the contexts claim.
///
/// It mends what a damaged or restored disk lost, and what a wrong claim kept from a replica.
extension TableReplica {
    /// Sends the fingerprints of the whole table, in a few parts.
    func beginRanges(with peer: NodeID, emit: (TableEffect) -> Void) {
        let whole = TableRange.whole
        let ranges = divide(from: whole.lower, to: whole.upper)
        send(TableMessage.ranges(ranges).encoded, to: peer, emit: emit)
    }

    /// Compares a peer's ranges with the own: divides those that differ, or lists them when they
    /// are short, and sends the records that a list lacks.
    mutating func compare(_ ranges: [TableRange], with peer: NodeID, emit: (TableEffect) -> Void) {
        var answer: [TableRange] = []
        var supply = TableSupply(sizeBytesMax: TableConfiguration.messageSizeBytesMax)
        for range in ranges where answer.count < TableRange.countMax {
            switch range.content {
            case .sum(let theirs):
                let own = tasks.summary(from: range.lower, to: range.upper)
                guard own.fingerprint != theirs else { continue }
                answer += divide(from: range.lower, to: range.upper)
            case .prints(let theirs):
                let wanted = compare(theirs, in: range, supply: &supply)
                guard !wanted.isEmpty else { continue }
                answer.append(
                    TableRange(lower: range.lower, upper: range.upper, content: .wanted(wanted)))
            case .wanted(let prints):
                let wanted = Set(prints)
                tasks.forEach(from: range.lower, to: range.upper) { _, record in
                    !wanted.contains(TableReplica.mark(of: record)) || supply.add(record)
                }
            }
        }
        if !answer.isEmpty {
            let bounded = Array(answer.prefix(TableRange.countMax))
            send(TableMessage.ranges(bounded).encoded, to: peer, emit: emit)
        }
        for message in supply.messages() { send(message, to: peer, emit: emit) }
    }

    /// Gathers what a list lacks; returns the prints in it that no record here has.
    private mutating func compare(
        _ theirs: [UInt32], in range: TableRange, supply: inout TableSupply
    ) -> [UInt32] {
        var unknown = Set(theirs)
        let listed = unknown
        var absent: [TaskID] = []
        tasks.forEach(from: range.lower, to: range.upper) { id, record in
            let print = TableReplica.mark(of: record)
            unknown.remove(print)
            if configuration.mutation == .readsAbsenceAsRemoval, !listed.contains(print) {
                absent.append(id)
                return true
            }
            return listed.contains(print) || supply.add(record)
        }
        for id in absent { tasks.remove(id) }
        // A cut comparison has not looked at all records: what it misses is found next time.
        return supply.isCut ? [] : theirs.filter(unknown.contains)
    }

    /// A range as its list when it is short, else as the fingerprints of its parts.
    private func divide(from lower: TaskID, to upper: TaskID?) -> [TableRange] {
        guard tasks.summary(from: lower, to: upper).count > TableRange.listedMax else {
            var prints: [UInt32] = []
            tasks.forEach(from: lower, to: upper) { _, record in
                prints.append(TableReplica.mark(of: record))
                return true
            }
            return [TableRange(lower: lower, upper: upper, content: .prints(prints))]
        }
        let bounds =
            [lower]
            + tasks.boundaries(from: lower, to: upper, parts: TableRange.partsCount)
            .map { TableRange.boundary(below: $0.below, above: $0.above) }
        return bounds.indices.map { index in
            let end = index + 1 < bounds.count ? bounds[index + 1] : upper
            let sum = tasks.summary(from: bounds[index], to: end).fingerprint
            return TableRange(lower: bounds[index], upper: end, content: .sum(sum))
        }
    }

    private static func mark(of record: TaskRecord) -> UInt32 {
        UInt32(truncatingIfNeeded: record.fingerprint >> 32)
    }
}

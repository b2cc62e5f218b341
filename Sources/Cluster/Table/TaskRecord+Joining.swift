import CRDT
import Model

extension TaskRecord {
    /// What a record made of a delta.
    struct Taken {
        /// Whether the content has grown.
        var hasGrown = false
        /// Mutations that the record did not name before.
        var newDots: [Dot] = []
        /// Mutations that it names no longer.
        var oldDots: [Dot] = []
        /// Births that it did not know before.
        var newBirths: [BirthDot] = []
        /// Whether the task is closed with this.
        var isCloseNew = false

        /// Whether there is anything to write down.
        var isNews: Bool { hasGrown || !newDots.isEmpty }
    }

    /// Joins a delta of this task, and takes note of its dots.
    ///
    /// With news, the record gets the revision.
    mutating func take(_ delta: TaskDelta, revision: UInt64, at now: Instant) -> Taken {
        var taken = Taken()
        let known = births
        taken.hasGrown = join(delta)
        if births != known { taken.newBirths = births.filter { !known.contains($0) } }
        for dot in delta.dots where !dots.contains(dot) {
            dots.append(dot)
            taken.newDots.append(dot)
        }
        if dots.count > TaskRecord.dotsMax {
            taken.oldDots = Array(dots.prefix(dots.count - TaskRecord.dotsMax))
            dots.removeFirst(taken.oldDots.count)
        }
        if close != nil, closeSeen == nil {
            closeSeen = now
            taken.isCloseNew = true
        }
        if taken.isNews { self.revision = revision }
        return taken
    }

    /// Joins the content of a delta of this task; returns whether anything has grown.
    mutating func join(_ delta: TaskDelta) -> Bool {
        var hasGrown = false
        if let theirs = delta.submission {
            if submission.join(theirs) { hasGrown = true }
            if join(birth: theirs.birth) { hasGrown = true }
        }
        for birth in delta.births where join(birth: birth) { hasGrown = true }
        if delta.isCancelRequested, cancel.join(RaisedFlag(isRaised: true)) { hasGrown = true }
        for row in delta.rows where rows.join(row, at: row.key) { hasGrown = true }
        if let theirs = delta.close {
            if close == nil {
                close = theirs
                hasGrown = true
            } else if close?.join(theirs) == true {
                hasGrown = true
            }
        }
        if !delta.unknown.isEmpty, unknown.join(delta.unknown) { hasGrown = true }
        return hasGrown
    }

    /// Takes in a birth; beyond the bound, the smallest are kept.
    private mutating func join(birth: BirthDot) -> Bool {
        guard !births.contains(birth) else { return false }
        let index = births.firstIndex { $0 > birth } ?? births.count
        guard index < TaskRecord.birthsMax else { return false }
        births.insert(birth, at: index)
        if births.count > TaskRecord.birthsMax { births.removeLast() }
        return true
    }
}

extension TaskRecord.Submission: Lattice {
    /// Write-once: of two that differ, everybody keeps the one whose bytes are smaller.
    @discardableResult
    package mutating func join(_ other: TaskRecord.Submission) -> Bool {
        guard self != other, other.encoded.lexicographicallyPrecedes(encoded) else { return false }
        self = other
        return true
    }
}

extension TaskRecord.Close: Lattice {
    /// There is one; should two ever meet, everybody keeps the one whose bytes are smaller.
    mutating func join(_ other: TaskRecord.Close) -> Bool {
        guard self != other, other.encoded.lexicographicallyPrecedes(encoded) else { return false }
        self = other
        return true
    }
}

import CRDT
import Model

extension TaskRecord {
    /// What a record made of a delta.
    struct Taken {
        /// Whether the delta builds upon a row that is not here; nothing of it was taken in.
        var isUnplaced = false
        /// Whether the content has grown.
        var hasGrown = false
        /// Mutations that the record did not name before.
        var newDots = DotList()
        /// Mutations that it names no longer.
        var oldDots = DotList()
        /// Births that it did not know before.
        var newBirths: [BirthDot] = []
        /// Births that it knows no longer.
        var oldBirths: [BirthDot] = []
        /// Whether the task is closed with this.
        var isCloseNew = false
        /// The revision that the record had before.
        var revisionBefore: UInt64 = 0

        /// Whether there is anything to write down.
        var isNews: Bool { hasGrown || !newDots.isEmpty }
    }

    /// How a delta fits a record.
    enum Fit {
        /// It has been taken in before.
        case repeated
        /// It builds upon a row that is not here.
        case baseless
        /// It can be joined.
        case open
    }

    /// Where a delta comes from, and what becomes of it.
    struct Source {
        /// Who sent it.
        var sender: NodeID
        /// Whether the delta is passed on, and so is said again in short.
        var keepsPatches = false
        /// Whether patches fit their own row only; false for a mutation alone.
        var isStrict = true
    }

    /// Joins the content of a delta of this task; returns whether anything has grown.
    mutating func join(_ delta: TaskDelta) -> Bool {
        var taken = Taken()
        content.join(delta, &taken)
        return taken.hasGrown
    }
}

extension TaskRecord.Content {
    /// How a delta fits, before anything is changed.
    @inline(__always)
    func fit(of delta: TaskDelta, isStrict: Bool) -> TaskRecord.Fit {
        guard !delta.unplaced.isEmpty else { return .open }
        // The row that it builds upon has been replaced by what it makes of it.
        if delta.dots.isSubset(of: dots) { return .repeated }
        let hasBases = delta.unplaced.indices.allSatisfy {
            delta.unplaced[$0].isNew
                || delta.unplaced[$0].base(in: rows, isStrict: isStrict) != nil
        }
        return hasBases ? .open : .baseless
    }

    /// Joins a delta of this task, and takes note of its dots.
    ///
    /// With news, the record gets the revision. Rows that patches stand for are put into the delta
    /// when it is passed on.
    mutating func take(
        _ delta: inout TaskDelta, from source: TaskRecord.Source, revision: UInt64,
        fit: TaskRecord.Fit? = nil
    ) -> TaskRecord.Taken {
        var taken = TaskRecord.Taken()
        taken.revisionBefore = self.revision
        switch fit ?? self.fit(of: delta, isStrict: source.isStrict) {
        case .repeated: return taken
        case .baseless:
            taken.isUnplaced = true
            return taken
        case .open: break
        }
        place(&delta, from: source, &taken)
        let wasClosed = close != nil
        join(delta, &taken)
        for index in delta.dots.indices where !dots.contains(delta.dots[index]) {
            dots.append(delta.dots[index])
            taken.newDots.append(delta.dots[index])
        }
        if dots.count > TaskRecord.dotsMax {
            let excess = dots.count - TaskRecord.dotsMax
            taken.oldDots = DotList(dots.prefix(excess))
            dots.removeFirst(excess)
        }
        taken.isCloseNew = !wasClosed && close != nil
        if taken.isNews { self.revision = revision }
        return taken
    }

    /// Joins what patches make of the rows that they build upon.
    private mutating func place(
        _ delta: inout TaskDelta, from source: TaskRecord.Source, _ taken: inout TaskRecord.Taken
    ) {
        guard !delta.unplaced.isEmpty else { return }
        var isRowNew = false
        for patch in delta.unplaced {
            if source.keepsPatches {
                guard let row = made(by: patch, from: source) else { continue }
                delta.rows.append(row)
                delta.patches[row.key] = patch.passedOn(from: source.sender)
            }
            if join(patch, from: source) { isRowNew = true }
        }
        delta.unplaced = []
        if isRowNew {
            taken.hasGrown = true
            updatePrints(isRestNew: false)
        }
    }

    private func made(by patch: RowPatch, from source: TaskRecord.Source) -> AttemptRow? {
        guard let index = patch.base(in: rows, isStrict: source.isStrict) else {
            return patch.newRow(from: source.sender)
        }
        return patch.applied(to: rows.values[index].row)
    }

    private mutating func join(_ patch: RowPatch, from source: TaskRecord.Source) -> Bool {
        guard let index = patch.base(in: rows, isStrict: source.isStrict) else {
            return patch.newRow(from: source.sender).map { rows.join(HeldRow($0)) } ?? false
        }
        return rows.grow(at: index) { $0.join(patch) }
    }

    /// Joins all that a delta says, apart from patches.
    mutating func join(_ delta: TaskDelta, _ taken: inout TaskRecord.Taken) {
        var isRestNew = false
        if let theirs = delta.boxedSubmission, join(theirs, &taken) { isRestNew = true }
        for birth in delta.births where join(birth: birth, &taken) { isRestNew = true }
        if delta.isCancelRequested, cancel.join(RaisedFlag(isRaised: true)) { isRestNew = true }
        if let theirs = delta.boxedClose, join(close: theirs) { isRestNew = true }
        if !delta.unknown.isEmpty, unknown.join(delta.unknown) { isRestNew = true }
        var isRowNew = false
        for row in delta.rows where rows.join(HeldRow(row)) { isRowNew = true }
        guard isRestNew || isRowNew else { return }
        taken.hasGrown = true
        updatePrints(isRestNew: isRestNew)
    }

    /// Write-once: of two that differ, everybody keeps the one whose bytes are smaller, and the
    /// births of both.
    private mutating func join(
        _ theirs: Box<TaskRecord.Submission>, _ taken: inout TaskRecord.Taken
    ) -> Bool {
        let isBirthNew = join(birth: theirs.content.birth, &taken)
        guard theirs != submission,
            theirs.content.encoded.lexicographicallyPrecedes(submission.content.encoded)
        else { return isBirthNew }
        submission = theirs
        return true
    }

    /// There is one close; should two ever meet, everybody keeps the one whose bytes are smaller.
    private mutating func join(close theirs: Box<TaskRecord.Close>) -> Bool {
        if let close {
            guard close != theirs,
                theirs.content.encoded.lexicographicallyPrecedes(close.content.encoded)
            else { return false }
        }
        close = theirs
        return true
    }

    /// Takes in a birth; beyond the bound, the smallest are kept.
    private mutating func join(birth: BirthDot, _ taken: inout TaskRecord.Taken) -> Bool {
        let isKnown =
            manyBirths.isEmpty
            ? birth == submission.content.birth : manyBirths.contains(birth)
        guard !isKnown else { return false }
        var all = births
        let index = all.firstIndex { $0 > birth } ?? all.count
        guard index < TaskRecord.birthsMax else { return false }
        all.insert(birth, at: index)
        if all.count > TaskRecord.birthsMax { taken.oldBirths.append(all.removeLast()) }
        manyBirths = all
        taken.newBirths.append(birth)
        return true
    }

    // MARK: Fingerprint

    /// Brings the fingerprint up to date: a sum over the parts, so that a change of a row costs no
    /// more than that row.
    mutating func updatePrints(isRestNew: Bool) {
        if isRestNew { restPrint = printOfRest() }
        var sum = restPrint
        for held in rows.values { sum &+= Fingerprint.mix(held.print) }
        print = Fingerprint.mix(sum)
    }

    private func printOfRest() -> UInt64 {
        var rest = TaskDelta(id: id, dots: [])
        rest.boxedSubmission = submission
        rest.isCancelRequested = cancel.isRaised
        rest.boxedClose = close
        rest.births = manyBirths.filter { $0 != submission.content.birth }
        rest.unknown = unknown
        return Fingerprint.of(rest.contentBytes)
    }
}

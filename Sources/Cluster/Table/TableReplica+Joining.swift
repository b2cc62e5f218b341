import CRDT
package import Model

/// What another replica says, joined into this one, and what is found on disk at the start.
extension TableReplica {
    /// What became of a delta.
    enum Joined: Hashable {
        /// The table has grown.
        case grown
        /// The table knows one more mutation of what it has.
        case named
        /// It says nothing new.
        case known
        /// It can't be placed: the task is not known here, or there is no room for one more.
        case refused
        /// It builds upon what is not here.
        case unplaced

        /// Whether there is anything to write down.
        var isNews: Bool { self == .grown || self == .named }
    }

    /// Joins a delta, own or another's.
    ///
    /// The dots of a delta are taken in with it, or not at all: a delta that can't be placed
    /// leaves no trace, and comes again by anti-entropy. What a first look has found is believed as
    /// far as it still holds; a repetition stays one.
    mutating func join(
        _ delta: inout TaskDelta, from source: TaskRecord.Source, at now: Instant,
        seen sight: Sight? = nil
    ) -> Joined {
        if let sight, sight.fit == .repeated { return .known }
        let next = revision + 1
        let taken: TaskRecord.Taken
        let found =
            sight.map { tasks.position(of: delta.id, before: $0.place) }
            ?? tasks.position(of: delta.id)
        if let position = found {
            if configuration.mutation == .replacesByOlder, let theirs = delta.boxedSubmission {
                tasks.set(TaskRecord(id: delta.id, submission: theirs), for: delta.id)
            }
            taken = tasks.modify(position) {
                let fit = sight?.revision == $0.content.revision ? sight?.fit : nil
                return $0.content.take(&delta, from: source, revision: next, fit: fit)
            }
        } else {
            guard let submission = delta.boxedSubmission, tasks.count < heldMax else {
                return delta.unplaced.isEmpty ? .refused : .unplaced
            }
            var record = TaskRecord(id: delta.id, submission: submission)
            var fresh = record.content.take(&delta, from: source, revision: next)
            guard !fresh.isUnplaced else { return .unplaced }
            fresh.hasGrown = true
            fresh.newBirths = record.births
            fresh.oldBirths = []
            record.content.revision = next
            tasks.set(record, for: delta.id)
            taken = fresh
        }
        guard taken.isNews else { return taken.isUnplaced ? .unplaced : .known }
        revision = next
        note(taken, of: delta.id, at: now)
        return taken.hasGrown ? .grown : .named
    }

    /// Others' tasks are still taken in when this node has stopped to take submissions: what its
    /// peers have accepted meanwhile must find room.
    var heldMax: Int { configuration.tasksMax + configuration.tasksMax / 4 }

    private mutating func note(_ taken: TaskRecord.Taken, of id: TaskID, at now: Instant) {
        for number in taken.newDots.indices {
            index.set(id, for: taken.newDots[number])
            // On a disk that does not answer, dots gather: what is not claimed comes again.
            guard writes.next.dots.intervalCount < configuration.intervalsMax else { continue }
            writes.next.dots.insert(taken.newDots[number])
        }
        for dot in taken.oldDots { forget(dot, of: id) }
        for birth in taken.newBirths { birthIndex.set(id, for: birth.dot) }
        for birth in taken.oldBirths where birthIndex[birth.dot] == id {
            birthIndex.remove(birth.dot)
        }
        // What has changed since the last write is already named in the next one.
        if taken.revisionBefore <= writes.gatheredFrom { writes.next.changed.append(id) }
        if taken.hasGrown { writes.grown.append(id) }
        if taken.isCloseNew, let record = tasks[id] { waitForRetention(of: record, at: now) }
    }

    /// Forgets which task a mutation belongs to, unless it is another's.
    mutating func forget(_ dot: Dot, of id: TaskID) {
        if index[dot] == id { index.remove(dot) }
    }

    /// What became of the deltas of a message.
    struct TakenDeltas {
        /// Whether any of it was news.
        var isAnyNews = false
        /// Whether all of it found a place.
        var isComplete = true
        /// The tasks of which this node lacks what a delta builds upon.
        var unplaced: [TaskID] = []
        /// How many deltas were news.
        var newsCount = 0
    }

    /// Takes in what a peer sent; news are passed on to somebody by chance, when `hops` says how far.
    mutating func take(
        _ deltas: consuming TableDeltas, from sender: NodeID, hops: UInt8?, at now: Instant,
        emit: (TableEffect) -> Void
    ) -> TakenDeltas {
        var taken = TakenDeltas(isComplete: deltas.unreadableCount == 0)
        let source = TaskRecord.Source(
            sender: sender, keepsPatches: hops != nil,
            isStrict: configuration.mutation != .mergesWithGaps)
        // They are changed in their places: nobody else has this message any more.
        let count = deltas.readable.count
        for first in stride(from: 0, to: count, by: TableReplica.soughtTogetherMax) {
            let group = first..<min(first + TableReplica.soughtTogetherMax, count)
            let sights = sights(of: deltas.readable[group], isStrict: source.isStrict)
            for index in group {
                take(
                    &deltas.readable[index], sight: sights[index - first], from: source,
                    hops: hops, at: now, &taken, emit: emit)
            }
        }
        taken.isComplete = taken.isComplete && taken.unplaced.isEmpty
        return taken
    }

    /// What a first look at a delta finds, before it or its neighbours are joined.
    struct Sight {
        /// Where its task is.
        var place: Tasks.Position
        /// How it fits the record of this revision.
        var fit: TaskRecord.Fit
        var revision: UInt64
    }

    /// So many deltas are looked at before the first of them is joined.
    static let soughtTogetherMax = 128
    /// Fewer are not worth a first look.
    static let soughtTogetherMin = 8

    /// Looks up the tasks of some deltas; `nil` for those that are not here.
    ///
    /// Tasks that change together are anywhere in memory. Each by itself would wait for it several
    /// times; looked at together, one step of all after the other, they wait at the same time.
    private mutating func sights(of deltas: ArraySlice<TaskDelta>, isStrict: Bool) -> [Sight?] {
        guard deltas.count >= TableReplica.soughtTogetherMin else { return deltas.map { _ in nil } }
        let places = tasks.positions(of: deltas.map(\.id), guesses: &guesses) {
            // Above the last 62 bits, which are drawn at random, are two that never change.
            $0.value.low << 2
        }
        let revisions = places.map { $0.map { tasks[$0].revision } }
        return places.indices.map { index in
            guard let place = places[index], let revision = revisions[index] else { return nil }
            let fit = tasks[place].content.fit(
                of: deltas[deltas.startIndex + index], isStrict: isStrict)
            return Sight(place: place, fit: fit, revision: revision)
        }
    }

    private mutating func take(
        _ delta: inout TaskDelta, sight: Sight?, from source: TaskRecord.Source, hops: UInt8?,
        at now: Instant, _ taken: inout TakenDeltas, emit: (TableEffect) -> Void
    ) {
        for index in delta.dots.indices {
            let dot = delta.dots[index]
            heed(dot.sequence, of: dot.origin, isBirth: false, at: now, emit: emit)
        }
        if delta.boxedSubmission != nil || !delta.births.isEmpty {
            let births = delta.allBirths
            for birth in births {
                heed(birth.sequence, of: birth.origin.value, isBirth: true, at: now, emit: emit)
            }
            if births.contains(where: { collected.contains($0.dot) })
                || collectedTasks.contains(delta.id)
            {
                discard(delta, births: births, emit: emit)
                taken.isAnyNews = true
                return
            }
        }
        let joined = join(&delta, from: source, at: now, seen: sight)
        switch joined {
        case .grown, .named:
            taken.isAnyNews = true
            taken.newsCount += 1
            if joined == .grown, let hops { outbox.add(delta, hops: hops) }
        case .known: break
        case .unplaced: taken.unplaced.append(delta.id)
        case .refused:
            taken.isComplete = false
            if delta.boxedSubmission == nil { taken.unplaced.append(delta.id) }
        }
    }

    /// A task that was collected comes once more: nothing of it is taken in, and what this node has
    /// of it under another birth goes too.
    private mutating func discard(
        _ delta: TaskDelta, births: [BirthDot], emit: (TableEffect) -> Void
    ) {
        if writes.next.dots.intervalCount < configuration.intervalsMax {
            writes.void(delta.dots)
        }
        for birth in births { collect(birth) }
        if let record = tasks[delta.id] { drop(record, emit: emit) }
    }

    /// Joins what a message carries, for benchmarks: nothing is told or written until they `settle`.
    ///
    /// - Returns: How many deltas were news.
    package mutating func merge(
        _ deltas: consuming DecodedDeltas, from sender: NodeID, at now: Instant
    ) -> Int {
        take(deltas.deltas, from: sender, hops: nil, at: now) { _ in }.newsCount
    }

    /// Takes all that was merged for written and told.
    package mutating func settle() {
        context.join(writes.next.dots)
        writes.next = TableWrites.Batch()
        writes.grown = []
        writes.gatheredFrom = revision
        durableRevision = revision
    }

    // MARK: Start

    mutating func restore(_ image: DurableImage, at now: Instant) {
        for row in image[.context] {
            do {
                let (set, dots) = try TableRow.read(row)
                if set == .context { context.join(dots) } else { collected.join(dots) }
            } catch {
                damagedRows += 1
            }
        }
        var readable = DotSet()
        for row in image[.task] {
            guard var delta = try? TaskDelta(decoding: row.value), delta.boxedSubmission != nil
            else {
                damagedRows += 1
                continue
            }
            _ = join(&delta, from: TaskRecord.Source(sender: node), at: now)
            for dot in delta.dots { readable.insert(dot) }
        }
        if damagedRows > 0 {
            // With a record missing, the context would claim what is not there.
            context = readable
        } else {
            // A row holds the effects of all its dots, whatever became of the context's own row.
            context.join(readable)
        }
        for record in tasks.values {
            if record.births.contains(where: { collected.contains($0.dot) }) {
                collectedAtStart.append(record.id)
            }
        }
        // All of it is on disk.
        writes = TableWrites()
        writes.gatheredFrom = revision
        durableRevision = revision
    }
}

extension TaskDelta {
    /// The submission's birth and all others.
    var allBirths: [BirthDot] {
        guard let submission = boxedSubmission?.content else { return births }
        return [submission.birth] + births
    }
}

/// The deltas of a message, read and not yet joined, for benchmarks.
package struct DecodedDeltas: Sendable {
    let deltas: TableDeltas
    /// How many there are.
    package var count: Int { deltas.readable.count }

    /// Reads a push or a message of records; empty for others.
    package init(table bytes: [UInt8]) {
        switch try? TableMessage(decoding: bytes) {
        case .push(_, _, let deltas), .records(let deltas, _, _): self.deltas = deltas
        default: deltas = TableDeltas([])
        }
    }
}

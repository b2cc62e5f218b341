import CRDT
package import Model

/// What another replica says, joined into this one, and what is found on disk at the start.
extension TableReplica {
    /// What became of a delta.
    enum Joined: Hashable {
        /// The table has grown, or knows one more mutation.
        case news
        /// It says nothing new.
        case known
        /// It can't be placed: the task is not known here, or there is no room for one more.
        case refused
    }

    /// Joins a delta, own or another's.
    ///
    /// The dots of a delta are taken in with it, or not at all: a delta that can't be placed
    /// leaves no trace, and comes again by anti-entropy.
    mutating func join(_ delta: TaskDelta, at now: Instant) -> Joined {
        let taken: TaskRecord.Taken
        if configuration.mutation == .replacesByOlder, let submission = delta.submission,
            tasks[delta.id] != nil
        {
            tasks.set(TaskRecord(id: delta.id, submission: submission), for: delta.id)
        }
        if let position = tasks.position(of: delta.id) {
            taken = tasks.modify(position) { [revision] record in
                record.take(delta, revision: revision + 1, at: now)
            }
            guard taken.isNews else { return .known }
        } else {
            guard let submission = delta.submission, tasks.count < heldMax else { return .refused }
            var record = TaskRecord(id: delta.id, submission: submission)
            var fresh = record.take(delta, revision: revision + 1, at: now)
            fresh.hasGrown = true
            fresh.newBirths = record.births
            tasks.set(record, for: delta.id)
            taken = fresh
        }
        revision += 1
        note(taken, of: delta, at: now)
        return .news
    }

    /// Others' tasks are still taken in when this node has stopped to take submissions: what its
    /// peers have accepted meanwhile must find room.
    var heldMax: Int { configuration.tasksMax + configuration.tasksMax / 4 }

    private mutating func note(_ taken: TaskRecord.Taken, of delta: TaskDelta, at now: Instant) {
        let id = delta.id
        for dot in taken.newDots { index.set(id, for: dot) }
        for dot in taken.oldDots { forget(dot, of: id) }
        for birth in taken.newBirths { birthIndex.set(id, for: birth.dot) }
        writes.next.changed.insert(id)
        for dot in taken.newDots { writes.next.dots.insert(dot) }
        if taken.hasGrown { writes.grown.append(id) }
        if taken.isCloseNew, let record = tasks[id] {
            closed.insert(id, due: now + (record.spec.retention ?? configuration.retention))
        }
    }

    /// Forgets which task a mutation belongs to, unless it is another's.
    mutating func forget(_ dot: Dot, of id: TaskID) {
        if index[dot] == id { index.remove(dot) }
    }

    /// Takes in what a peer sent.
    ///
    /// - Returns: Whether any of it was news, whether all of it found a place, and the tasks of which
    ///   this node lacks what a delta builds upon.
    mutating func take(
        _ deltas: TableDeltas, hops: UInt8?, at now: Instant, emit: (TableEffect) -> Void
    ) -> (isAnyNews: Bool, isComplete: Bool, unplaced: [TaskID]) {
        var isAnyNews = false
        var isComplete = deltas.unreadableCount == 0
        var unplaced: [TaskID] = []
        for received in deltas.readable {
            var delta = received
            if !delta.unplaced.isEmpty {
                let record = tasks[delta.id]
                // A repetition: the row that it builds upon has been replaced by what it makes of it.
                if let record, delta.dots.allSatisfy(record.dots.contains) { continue }
                let isStrict = configuration.mutation != .mergesWithGaps
                guard delta.place(upon: record, isStrict: isStrict) else {
                    unplaced.append(delta.id)
                    continue
                }
            }
            for dot in delta.dots {
                heed(dot.sequence, of: dot.origin, isBirth: false, at: now, emit: emit)
            }
            let births = delta.allBirths
            for birth in births {
                heed(birth.sequence, of: birth.origin.value, isBirth: true, at: now, emit: emit)
            }
            if !births.isEmpty, births.contains(where: { collected.contains($0.dot) }) {
                discard(delta, births: births, emit: emit)
                isAnyNews = true
                continue
            }
            let grownBefore = writes.grown.count
            switch join(delta, at: now) {
            case .news:
                isAnyNews = true
                if let hops, writes.grown.count > grownBefore { outbox.add(delta, hops: hops) }
            case .known: break
            case .refused:
                isComplete = false
                if delta.submission == nil { unplaced.append(delta.id) }
            }
        }
        return (isAnyNews, isComplete && unplaced.isEmpty, unplaced)
    }

    /// A task that was collected comes once more: nothing of it is taken in, and what this node has
    /// of it under another birth goes too.
    private mutating func discard(
        _ delta: TaskDelta, births: [BirthDot], emit: (TableEffect) -> Void
    ) {
        writes.void(delta.dots)
        for birth in births { collect(birth) }
        if let record = tasks[delta.id] { drop(record, emit: emit) }
    }

    /// Joins records of another replica without any message; returns how many were news.
    package mutating func merge(_ records: [TaskRecord], at now: Instant) -> Int {
        records.count { join(TaskDelta($0), at: now) == .news }
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
            guard let delta = try? TaskDelta(decoding: row.value), delta.submission != nil else {
                damagedRows += 1
                continue
            }
            _ = join(delta, at: now)
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
            guard let position = tasks.position(of: record.id) else { continue }
            let print = Fingerprint.of(TaskDelta(record).contentBytes)
            tasks.modify(position) { $0.fingerprint = print }
        }
        // All of it is on disk.
        writes = TableWrites()
        durableRevision = revision
    }
}

extension TaskDelta {
    /// The submission's birth and all others.
    var allBirths: [BirthDot] {
        guard let submission else { return births }
        return [submission.birth] + births
    }
}

import Lock
import Model

/// Stealing: what this node could take, when it asks for it, and what hinders it.
extension Node {
    /// Looks at the oldest candidates, and asks the lock for those whose wait is over.
    ///
    /// At most one request is under way: while it is, more candidates gather, and the next
    /// request takes them together.
    mutating func steal(at now: Instant, emit: (NodeEffect) -> Void) {
        isStealPassNeeded = false
        nextSteal = nil
        // Under a session of an earlier life the lock would grant again what that life had claimed,
        // and its disk may have forgotten: the same token for another run.
        // While the guard has not heard of the lease, nothing could be made under it.
        guard activity == .active, !needsSession, guardWish == nil, claimsInFlight.isEmpty,
            queue.count > 0,
            lock.mayAcquire, isLeaseHeld(at: now)
        else { return }
        var batch: [AcquireRequest] = []
        // Most of a backlog finds no room: it need not be sorted.
        let room = room
        let fitting = queue.window().filter { room.admits($0.candidate.resources) }
        for (task, candidate) in fitting.sorted(by: { $0.candidate.precedes($1.candidate) }) {
            guard self.room.admits(candidate.resources) else { continue }
            let due = earliestClaim(of: candidate)
            guard due <= now else {
                nextSteal = min(nextSteal ?? due, due)
                continue
            }
            guard let record = table.record(task) else { continue }
            if record.isCancelRequested, !record.state.isTerminal {
                closeCanceled(task, at: now, emit: emit)
                continue
            }
            reserved.add(candidate.resources)
            claimsInFlight[task] = candidate.resources
            batch.append(
                AcquireRequest(
                    task: task, birth: record.birth, restart: record.spec.restart,
                    attemptsMax: record.spec.attemptsMax, onPartition: record.spec.onPartition))
            if batch.count == Node.claimBatchMax { break }
        }
        guard !batch.isEmpty else { return }
        emit(.observe(.claimsRequested(count: batch.count)))
        lock(.acquire(batch), at: now, emit: emit)
    }

    /// What a node has left for one more task.
    private struct Room {
        var taken: Resources
        var capacity: Resources
        var pressure: MachinePressure?

        func admits(_ resources: Resources) -> Bool {
            guard (taken + resources).fits(within: capacity) else { return false }
            guard resources != .zero, let pressure else { return true }
            return resources.memoryBytes <= pressure.memoryAvailableBytes && !pressure.isDiskFull
        }
    }

    private var room: Room {
        Room(taken: reserved.resources, capacity: configuration.capacity, pressure: pressure)
    }

    private func earliestClaim(of candidate: StealQueue.Candidate) -> Instant {
        var generator = candidate.generator
        let load = (reserved.resources + candidate.resources)
            .dominantShare(of: configuration.capacity)
        let offer = StealOffer(
            load: load, lag: candidate.lag, taskCount: reserved.count,
            cores: Double(configuration.capacity.cpuMillis) / 1_000)
        let wait = configuration.policy.wait(for: offer, using: &generator)
        // Who had to wait for the lock waits for its turn after that: else all would ask at once.
        return max(candidate.since, candidate.notBefore) + wait
    }

    /// A canceled task that nobody holds is closed by whoever comes first.
    private mutating func closeCanceled(
        _ task: TaskID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        queue.postpone(task, until: now + Node.cancelRetryInterval)
        lock(
            .close(task, nil, TaskOutcome(kind: .canceled), birth: table.record(task)?.birth),
            at: now, emit: emit)
    }

    /// How long a node waits for a canceled task's end before it asks for it again.
    private static let cancelRetryInterval: Duration = .seconds(5)

    /// Why this node can never run the task, in words for a person; `nil` when it can.
    func hindrance(to spec: TaskSpec) -> String? {
        guard configuration.takesTasks else { return "takes no tasks (no container runtime)" }
        if let missing = spec.constraints.first(where: { !configuration.labels.contains($0) }) {
            return "does not carry the label \(missing)"
        }
        guard spec.resources.fits(within: configuration.capacity) else {
            return "is too small: the task asks for more than the node gives to all tasks"
        }
        let forbidden = spec.volumes.first { volume in
            !configuration.volumesAllowed.contains { isPath(volume.source, below: $0) }
        }
        if let forbidden {
            return "does not allow the volume \(forbidden.source) (--allow-volume)"
        }
        if !configuration.limitsResources, spec.asksForLimits, !spec.options.isBestEffort {
            return "can't limit memory, processors or processes: an ordinary user runs it"
        }
        return hindrance(to: spec.options)
            ?? spec.fieldsNotUnderstood.first.map {
                "runs an older version, which does not know all that the task asks for (field \($0))"
            }
    }

    private func hindrance(to options: ContainerOptions) -> String? {
        let capabilities = Capabilities.forbidden(
            options, allowed: configuration.capabilitiesAllowed)
        if let capability = capabilities.first {
            return "does not allow the capability \(capability) (--allow-cap)"
        }
        if options.network == .host, !configuration.allowsHostNetwork {
            return "does not give tasks its network (--allow-host-network)"
        }
        if options.diskBytes != nil, !options.isBestEffort, !configuration.limitsDisk {
            return "can't limit what tasks write to disk: its data directory has no project quotas"
        }
        if options.hasUserNamespace, !configuration.hasUsersToGive {
            return "has no users to give that are a task's own (--userns): an ordinary user runs it"
        }
        let roots: Set<String> = ["root", "0", "root:root", "0:0"]
        if let user = options.user, !configuration.hasOtherUsers, !roots.contains(user) {
            return "has no other users than root: an ordinary user without more runs it"
        }
        return nil
    }

    private func isPath(_ path: String, below directory: String) -> Bool {
        path == directory || path.hasPrefix(directory.hasSuffix("/") ? directory : directory + "/")
    }
}

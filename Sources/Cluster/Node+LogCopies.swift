import Gossip
import Model

/// Copies of logs: sent to other nodes, kept for them, asked for when the log's own node is gone.
extension Node {
    /// How many nodes are asked for a copy: more than keep one, for the members that were there when
    /// it was made may not be those of now.
    static let copiesAskedMax = 4

    /// How long one look at a log of this node waits for output to copy.
    private static let copyWait: Duration = .seconds(30)

    // MARK: Sending

    /// A program of this node runs, or has ended: its last output is to be kept elsewhere too.
    mutating func copyLog(of id: ContainerID, at now: Instant) {
        guard configuration.logCopies > 0, copier.add(id, at: now) else { return }
        timers.insert(.logCopyDue(id), due: now)
    }

    mutating func logCopyDue(_ id: ContainerID, at now: Instant, emit: (NodeEffect) -> Void) {
        let step = copier.due(id, targets: copyTargets(of: id.task), at: now)
        perform(step, id, nil, at: now, emit: emit)
    }

    /// A log of this node was read in order to copy it.
    mutating func copyRead(
        _ id: ContainerID, _ chunk: LogChunk?, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        let step = copier.read(id, chunk, targets: copyTargets(of: id.task), at: now)
        perform(step, id, chunk, at: now, emit: emit)
    }

    private mutating func perform(
        _ step: LogCopier.Step, _ id: ContainerID, _ chunk: LogChunk?, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        switch step {
        case .rest: break
        case .wait(let until): timers.insert(.logCopyDue(id), due: until)
        case .read(let start):
            lastRead += 1
            copyReads[LogReadID(lastRead)] = id
            emit(.readLog(LogReadID(lastRead), id, start, waitAtMost: Node.copyWait))
        case .send(let targets):
            guard let chunk else { return }
            if let due = copier.answersDue(id) { timers.insert(.logCopyDue(id), due: due) }
            let payload = PeerMessage.logCopy(id, chunk).encoded
            for target in targets { send(payload, to: target, via: .stream, at: now, emit: emit) }
        }
    }

    /// Those who keep copies of a task's output: the first by a hash that all nodes agree on.
    private func copyTargets(of task: TaskID) -> [NodeID] {
        Array(copyCandidates(for: task, except: id).prefix(configuration.logCopies))
    }

    private func copyCandidates(for task: TaskID, except holder: NodeID) -> [NodeID] {
        membership.members
            .filter { $0.id != holder && $0.state.isInReach }
            .map { (StealPolicy.place(of: $0.id, for: task), $0.id) }
            .sorted { $0 < $1 }
            .map(\.1)
    }

    // MARK: Keeping

    /// Another node has this one keep the end of a log.
    ///
    /// Only its own: the row of the attempt must be there and name the sender. It repeats itself, so
    /// that a copy which comes before the row is not lost.
    mutating func keep(
        _ chunk: LogChunk, of container: ContainerID, for peer: NodeID, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        let row = table.record(container.task)?.attempts.last { $0.token == container.token }
        guard row?.node == peer else {
            return emit(.observe(.dropped(reason: "copy of an unknown log")))
        }
        emit(.logCopy(container, .keep(chunk)))
        send(
            PeerMessage.logKept(container, chunk.next).encoded, to: peer, via: .stream, at: now,
            emit: emit)
    }

    mutating func kept(
        _ container: ContainerID, upTo cursor: LogCursor, by peer: NodeID, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        let step = copier.kept(container, by: peer, upTo: cursor, at: now)
        perform(step, container, nil, at: now, emit: emit)
    }

    // MARK: Reading

    /// The node that has the log can't be asked: whoever may keep a copy is.
    mutating func readCopies(
        _ query: CopyQuery, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        var query = query
        let candidates = copyCandidates(for: query.container.task, except: query.holder)
        query.waitingFor = Set(candidates.prefix(Node.copiesAskedMax))
        let read = newRead(.copies(query))
        timers.insert(.readUnanswered(read), due: now + Node.readSlack)
        guard !query.waitingFor.isEmpty else { return readUnanswered(read, at: now, emit: emit) }
        let message = PeerMessage.copyQuery(read, query.container, query.start).encoded
        for peer in candidates.prefix(Node.copiesAskedMax) {
            if peer == id {
                emit(.logCopy(query.container, .read(read, query.start)))
            } else {
                send(message, to: peer, via: .stream, at: now, emit: emit)
            }
        }
    }

    /// One of those who were asked for a copy has answered.
    mutating func copyAnswered(
        _ read: LogReadID, _ query: CopyQuery, _ chunk: LogChunk?, by peer: NodeID,
        emit: (NodeEffect) -> Void
    ) {
        var query = query
        guard query.waitingFor.remove(peer) != nil else { return }
        if let chunk, query.best.map({ $0.next < chunk.next || chunk.isEnd }) ?? true {
            query.best = chunk
        }
        guard query.waitingFor.isEmpty || query.best?.isEnd == true else {
            reads[read] = .copies(query)
            return
        }
        reads[read] = nil
        answer(query, emit: emit)
    }

    /// Answers with the best copy that was found.
    func answer(_ query: CopyQuery, emit: (NodeEffect) -> Void) {
        guard var chunk = query.best else {
            let name = membership.member(query.holder)?.name ?? "\(query.holder)"
            return emit(
                .reply(
                    query.request,
                    .refused(
                        Refusal(
                            .unavailable,
                            "the output of \(query.container.task) is on node \(name), which does "
                                + "not answer, and no node in reach keeps a copy; it can be read "
                                + "when that node is back"))))
        }
        chunk.isCopy = true
        // A copy that was cut off has no end of its own: it ends where nothing follows.
        if chunk.entries.isEmpty { chunk.isEnd = true }
        emit(.reply(query.request, .log(chunk, attempt: query.container.token)))
    }

    /// Another node asks for the copy that this one may keep.
    mutating func answerCopy(
        _ theirs: LogReadID, _ container: ContainerID, _ start: LogStart, of peer: NodeID,
        emit: (NodeEffect) -> Void
    ) {
        guard reads.count < Node.readsMax else {
            return emit(.observe(.dropped(reason: "too many log readings")))
        }
        let read = newRead(.peer(peer, theirs))
        emit(.logCopy(container, .read(read, start)))
    }
}

/// A client's reading of a log whose node is gone.
struct CopyQuery: Sendable {
    var request: RequestID
    var container: ContainerID
    /// The node that has the log.
    var holder: NodeID
    var start: LogStart
    /// Who has not answered yet.
    var waitingFor: Set<NodeID> = []
    /// The copy that goes farthest, of those that were found.
    var best: LogChunk?
}

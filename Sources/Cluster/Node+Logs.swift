import Gossip
import Model

/// Who waits for a log reading.
enum LogReader: Sendable {
    /// A client of this node; the log is here or on the other node.
    case client(RequestID, ContainerID, LogStart, holder: NodeID)
    /// A client of this node; copies are asked for, since the log's node is gone.
    case copies(CopyQuery)
    /// Another node, which names the reading so.
    case peer(NodeID, LogReadID)
}

/// Logs: read here, or asked of the node that ran the attempt.
extension Node {
    /// How much longer than the reading itself another node may take to answer.
    static let readSlack: Duration = .seconds(3)

    mutating func readLog(
        _ request: RequestID, task: TaskID, attempt: FencingToken?, from start: LogStart,
        waitAtMost: Duration, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let record = table.record(task) else {
            return emit(.reply(request, .refused(.noSuchTask(task))))
        }
        let row = record.attempts.last { attempt == nil || $0.token == attempt }
        guard let row else {
            let nothing = LogChunk(
                entries: [], next: start.fallback, isEnd: record.state.isTerminal)
            return emit(.reply(request, .log(nothing, attempt: nil)))
        }
        guard reads.count < Node.readsMax else {
            return emit(
                .reply(request, .refused(Refusal(.overloaded, "too many logs are being read"))))
        }
        let container = ContainerID(task: task, token: row.token)
        let wait = min(max(waitAtMost, .zero), PeerMessage.waitMax)
        guard row.node == id || membership.member(row.node)?.state.isInReach == true else {
            let query = CopyQuery(
                request: request, container: container, holder: row.node, start: start)
            return readCopies(query, at: now, emit: emit)
        }
        let read = newRead(.client(request, container, start, holder: row.node))
        if row.node == id {
            emit(.readLog(read, container, start, waitAtMost: wait))
            return
        }
        timers.insert(.readUnanswered(read), due: now + wait + Node.readSlack)
        let query = PeerMessage.LogQuery(
            read: read, container: container, start: start, waitAtMost: wait)
        send(
            PeerMessage.logQuery(query).encoded, to: row.node, via: .stream, at: now, emit: emit)
    }

    /// Another node asks for a log of this one.
    mutating func answer(
        _ query: PeerMessage.LogQuery, of peer: NodeID, emit: (NodeEffect) -> Void
    ) {
        guard reads.count < Node.readsMax else {
            emit(.observe(.dropped(reason: "too many log readings")))
            return
        }
        let read = newRead(.peer(peer, query.read))
        emit(.readLog(read, query.container, query.start, waitAtMost: query.waitAtMost))
    }

    /// A log of this node was read.
    mutating func logRead(
        _ read: LogReadID, _ chunk: LogChunk?, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        if let container = copyReads.removeValue(forKey: read) {
            return copyRead(container, chunk, at: now, emit: emit)
        }
        if case .copies(let query) = reads[read] {
            return copyAnswered(read, query, chunk, by: id, emit: emit)
        }
        switch reads.removeValue(forKey: read) {
        case .client(let request, let container, let start, _):
            replyLog(request, container, start, chunk, emit: emit)
        case .peer(let peer, let theirs):
            send(
                PeerMessage.logAnswer(theirs, chunk).encoded, to: peer, via: .stream, at: now,
                emit: emit)
        case .copies, nil:
            break
        }
    }

    /// Another node read its log for a client of this one.
    mutating func remoteRead(
        _ read: LogReadID, _ chunk: LogChunk?, from peer: NodeID, emit: (NodeEffect) -> Void
    ) {
        switch reads[read] {
        case .client(let request, let container, let start, let holder) where holder == peer:
            reads[read] = nil
            replyLog(request, container, start, chunk, emit: emit)
        case .copies(let query):
            copyAnswered(read, query, chunk, by: peer, emit: emit)
        default:
            break
        }
    }

    /// Whoever was asked has not answered in time.
    mutating func readUnanswered(
        _ read: LogReadID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        switch reads.removeValue(forKey: read) {
        case .client(let request, let container, let start, let holder):
            let query = CopyQuery(
                request: request, container: container, holder: holder, start: start)
            readCopies(query, at: now, emit: emit)
        case .copies(let query):
            answer(query, emit: emit)
        case .peer(let peer, let theirs):
            reads[read] = .peer(peer, theirs)
        case nil:
            break
        }
    }

    mutating func newRead(_ reader: LogReader) -> LogReadID {
        lastRead += 1
        let read = LogReadID(lastRead)
        reads[read] = reader
        return read
    }

    private func replyLog(
        _ request: RequestID, _ container: ContainerID, _ start: LogStart, _ chunk: LogChunk?,
        emit: (NodeEffect) -> Void
    ) {
        if let chunk { return emit(.reply(request, .log(chunk, attempt: container.token))) }
        let row = table.record(container.task)?.attempts.last { $0.token == container.token }
        guard let row, row.started == nil else {
            return emit(
                .reply(
                    request,
                    .refused(
                        Refusal(.notFound, "the output of \(container.task) was removed"))))
        }
        // Its program never ran, or does not yet: so far it has written nothing.
        let nothing = LogChunk(
            entries: [], next: start.fallback, isEnd: row.phase.isTerminal)
        let attempt = row.phase.isTerminal ? container.token : nil
        emit(.reply(request, .log(nothing, attempt: attempt)))
    }
}

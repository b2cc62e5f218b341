import Gossip
import Model

/// Who waits for a measurement.
enum MeasureAsker: Sendable {
    /// A client of this node; the task runs here or on the other node.
    case client(RequestID, TaskID, holder: NodeID)
    /// Another node, which names the measurement so.
    case peer(NodeID, MeasureID)
}

/// What running tasks use at this moment: measured here, or asked of the node that runs them.
extension Node {
    /// How many measurements may be under way at a time.
    package static let measurementsMax = 4_096
    /// How long a measurement may take.
    private static let measureWait: Duration = .seconds(3)

    mutating func measure(
        _ request: RequestID, _ task: TaskID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let attempt = attempt(of: task, for: request, emit: emit) else { return }
        guard measurements.count < Node.measurementsMax else {
            return emit(
                .reply(request, .refused(Refusal(.overloaded, "too many tasks are being measured")))
            )
        }
        let container = ContainerID(task: task, token: attempt.token)
        let id = newMeasurement(.client(request, task, holder: attempt.node), at: now)
        if attempt.node == self.id { return emit(.measure(id, container)) }
        send(
            PeerMessage.usageQuery(id, container).encoded, to: attempt.node, via: .stream, at: now,
            emit: emit)
    }

    /// Another node asks about a task of this one.
    mutating func measure(
        _ container: ContainerID, as theirs: MeasureID, for peer: NodeID, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard measurements.count < Node.measurementsMax else {
            return emit(.observe(.dropped(reason: "too many measurements")))
        }
        emit(.measure(newMeasurement(.peer(peer, theirs), at: now), container))
    }

    /// A task of this node was measured, or there is no such one any more.
    mutating func measured(
        _ id: MeasureID, _ sample: UsageSample?, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        switch measurements.removeValue(forKey: id) {
        case .client(let request, let task, _):
            answer(request, task, sample, emit: emit)
        case .peer(let peer, let theirs):
            send(
                PeerMessage.usageAnswer(theirs, sample).encoded, to: peer, via: .stream, at: now,
                emit: emit)
        case nil:
            break
        }
    }

    /// Another node has measured its task for a client of this one.
    mutating func remotelyMeasured(
        _ id: MeasureID, _ sample: UsageSample?, by peer: NodeID, emit: (NodeEffect) -> Void
    ) {
        guard case .client(let request, let task, let holder) = measurements[id], holder == peer
        else { return }
        measurements[id] = nil
        answer(request, task, sample, emit: emit)
    }

    mutating func measureUnanswered(_ id: MeasureID, emit: (NodeEffect) -> Void) {
        guard
            case .client(let request, let task, let holder)? = measurements.removeValue(forKey: id)
        else { return }
        let name = membership.member(holder)?.name ?? "\(holder)"
        emit(
            .reply(
                request,
                .refused(
                    Refusal(
                        .unavailable,
                        "task \(task) runs on node \(name), which does not answer; ask again later")
                )))
    }

    private mutating func newMeasurement(_ asker: MeasureAsker, at now: Instant) -> MeasureID {
        lastRead += 1
        let id = MeasureID(lastRead)
        measurements[id] = asker
        timers.insert(.measureUnanswered(id), due: now + Node.measureWait)
        return id
    }

    private func answer(
        _ request: RequestID, _ task: TaskID, _ sample: UsageSample?, emit: (NodeEffect) -> Void
    ) {
        guard let sample else {
            return emit(
                .reply(request, .refused(Refusal(.conflict, "task \(task) does not run any more"))))
        }
        emit(.reply(request, .usage(sample)))
    }
}

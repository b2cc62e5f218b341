import Gossip
import Model

/// Who waits for what comes of a call's command.
enum CallAsker: Sendable {
    /// A client of this node.
    case client(RequestID, Call)
    /// Another node, which names the command so.
    case peer(NodeID, CallQueryID)
}

/// Calls: a client's connection to a program in a task, wherever it runs.
///
/// This node and the task's only pass commands and answers on; what is said is kept where the program
/// is, and both sides may repeat themselves.
extension Node {
    /// How many commands of calls may be under way at a time.
    package static let callQueriesMax = 1_024

    mutating func openCall(
        _ request: RequestID, _ task: TaskID, _ target: CallTarget, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard let attempt = attempt(of: task, for: request, emit: emit) else { return }
        if case .program(let program) = target, !program.isReadable || program.command.isEmpty {
            return emit(
                .reply(
                    request,
                    .refused(
                        Refusal(
                            .invalid,
                            "the command has no program, or it and its settings are more than "
                                + "\(CallProgram.listCountMax) words or "
                                + "\(CallProgram.sizeBytesMax >> 10) KiB"))))
        }
        lastRead += 1
        let call = Call(
            number: lastRead, container: ContainerID(task: task, token: attempt.token),
            holder: attempt.node)
        self.call(request, call, .open(target), at: now, emit: emit)
    }

    mutating func call(
        _ request: RequestID, _ call: Call, _ command: CallCommand, at now: Instant,
        emit: (NodeEffect) -> Void
    ) {
        guard let id = newCallQuery(.client(request, call), command, at: now) else {
            return emit(
                .reply(
                    request,
                    .refused(
                        Refusal(.overloaded, "too many calls to tasks; try again later"))))
        }
        if call.holder == self.id {
            let key = CallKey(caller: self.id, number: call.number)
            return emit(.call(id, call.container, key, command))
        }
        let message = PeerMessage.callQuery(id, call.container, number: call.number, command)
        send(message.encoded, to: call.holder, via: .stream, at: now, emit: emit)
    }

    /// Another node asks for its client.
    mutating func call(
        _ container: ContainerID, _ key: CallKey, _ command: CallCommand, as theirs: CallQueryID,
        for peer: NodeID, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        guard let id = newCallQuery(.peer(peer, theirs), command, at: now) else {
            return emit(.observe(.dropped(reason: "too many calls")))
        }
        emit(.call(id, container, key, command))
    }

    /// A command was carried out here.
    mutating func called(
        _ id: CallQueryID, _ answer: CallAnswer, at now: Instant, emit: (NodeEffect) -> Void
    ) {
        switch callQueries.removeValue(forKey: id) {
        case .client(let request, let call):
            emit(.reply(request, .call(call, answer)))
        case .peer(let peer, let theirs):
            let message = PeerMessage.callAnswer(theirs, answer)
            send(message.encoded, to: peer, via: .stream, at: now, emit: emit)
        case nil:
            break
        }
    }

    /// A command was carried out by the node that was asked.
    mutating func remotelyCalled(
        _ id: CallQueryID, _ answer: CallAnswer, by peer: NodeID, emit: (NodeEffect) -> Void
    ) {
        guard case .client(let request, let call) = callQueries[id], call.holder == peer
        else { return }
        callQueries[id] = nil
        emit(.reply(request, .call(call, answer)))
    }

    mutating func callUnanswered(_ id: CallQueryID, emit: (NodeEffect) -> Void) {
        guard case .client(let request, let call)? = callQueries.removeValue(forKey: id)
        else { return }
        let name = membership.member(call.holder)?.name ?? "\(call.holder)"
        emit(
            .reply(
                request,
                .refused(
                    Refusal(
                        .unavailable,
                        "task \(call.container.task) runs on node \(name), which does not answer")
                )))
    }

    private mutating func newCallQuery(
        _ asker: CallAsker, _ command: CallCommand, at now: Instant
    ) -> CallQueryID? {
        guard callQueries.count < Node.callQueriesMax else { return nil }
        lastRead += 1
        let id = CallQueryID(lastRead)
        callQueries[id] = asker
        let wait: Duration
        switch command {
        case .read(_, let waitAtMost): wait = min(waitAtMost, CallCommand.readWaitMax)
        case .write: wait = CallCommand.writeWaitMax
        case .open, .resize, .close: wait = .zero
        }
        timers.insert(.callUnanswered(id), due: now + wait + Node.readSlack)
        return id
    }
}

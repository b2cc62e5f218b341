import Cluster
import ControlAPI
import Hummingbird
import Model

/// Tasks: submitting, listing, looking, asking why.
extension APIServer {
    func list() async throws -> Response {
        let tasks = try await driver.read { $0.tasks() }
        return try json(tasks.map(TaskView.init))
    }

    func submit(_ request: Request) async throws -> Response {
        let data = try await body(of: request)
        let body: SubmitRequest = try decode(data)
        let unknown: UnknownFields = try decode(data)
        if let name = unknown.names.first {
            throw InvalidInput("there is no field \(name); \(APIPaths.description) lists all")
        }
        let spec = try body.spec.spec()
        var id: TaskID?
        if let text = body.id {
            guard let chosen = TaskID(text) else {
                throw InvalidInput("id: \(text) is no UUID of version 7")
            }
            id = chosen
        }
        let reply = try await ask(.submit(spec, id: id, ack: try ackLevel(body.ack)))
        guard case .submitted(let task, let copies) = reply,
            let status = try await driver.read({ $0.task(task) })
        else { throw Refusal(.unavailable, "the submission was not answered") }
        return try json(
            SubmitReply(
                task: TaskView(status), copies: copies,
                notice: try await notice(copies: copies, asked: body.ack)),
            status: .created)
    }

    /// What a user should know about a submission that was taken in under poor circumstances.
    private func notice(copies: Int, asked: String?) async throws -> String? {
        try await driver.read { node in
            let members = node.nodes(at: NodeDriver.now).filter { $0.state != .left }
            let usual = min(2, members.count)
            let wanted =
                asked == "majority"
                ? members.count / 2 + 1 : asked.flatMap { Int($0) } ?? usual
            var parts: [String] = []
            if copies < wanted {
                parts.append("only \(copies) of \(wanted) disks hold the task so far")
            }
            if node.configuration.takesTasks, !node.hasLease {
                parts.append(
                    "this node can't reach the lock's voters: the task starts when it or another "
                        + "node can")
            }
            return parts.isEmpty ? nil : parts.joined(separator: "; ")
        }
    }

    private func ackLevel(_ text: String?) throws -> AckLevel {
        guard let text else { return .copies(2) }
        return try Quantities.ack(text).map { AckLevel.copies($0) } ?? .majority
    }

    func status(_ request: Request, _ fragment: String) async throws -> Response {
        var wait: Duration = .zero
        if let text = request.uri.queryParameters.get("wait") {
            guard let seconds = Int(text), seconds >= 0 else {
                throw InvalidInput("wait: \(text) is no count of seconds")
            }
            wait = .seconds(min(seconds, 3_600))
        }
        let id = try await resolve(fragment)
        let task = try await driver.task(
            id, waitAtMost: min(wait, APIServer.waitMax), until: { $0.state.isTerminal })
        guard let task else { throw Refusal(.notFound, "there is no task \(fragment)") }
        return try json(TaskView(task))
    }

    func why(_ fragment: String) async throws -> Response {
        let id = try await resolve(fragment)
        let verdicts = try await driver.read { $0.why(id, at: NodeDriver.now) }
        return try json(verdicts.map { WhyView(node: $0.name, reason: $0.reason) })
    }
}

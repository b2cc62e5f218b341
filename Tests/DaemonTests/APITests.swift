import AsyncHTTPClient
import ControlAPI
import Foundation
import HTTPTypes
import NIOCore
import NIOHTTP1
import Model
import Testing

@testable import Daemon

@Suite struct APITests {
    struct Refused: CustomTestStringConvertible, Sendable {
        let method: HTTPMethod
        let path: String
        var body: String?
        var headers: [(String, String)] = []
        let status: Int
        let code: String
        let words: String
        var testDescription: String { "\(method) \(path) \(body ?? "")" }
    }

    /// A call that might be.
    private static let someCall =
        "1-0123456789abcdef0123456789abcdef-01900000-0000-7000-8000-000000000000.1.2"

    static let refused = [
        Refused(method: .GET, path: "/", status: 404, code: "not_found", words: "openapi"),
        Refused(method: .GET, path: "/v1/nope", status: 404, code: "not_found", words: "/v1/nope"),
        Refused(
            method: .DELETE, path: "/v1/tasks", status: 405, code: "method_not_allowed",
            words: "GET and POST"),
        Refused(
            method: .PUT, path: "/v1/tasks/1a", status: 405, code: "method_not_allowed",
            words: "GET"),
        Refused(
            method: .GET, path: "/v1/tasks/1a/cancel", status: 405, code: "method_not_allowed",
            words: "POST"),
        Refused(
            method: .POST, path: "/v1/tasks", body: "{", status: 400, code: "invalid",
            words: "no JSON"),
        Refused(
            method: .POST, path: "/v1/tasks", body: "{}", status: 400, code: "invalid",
            words: "spec is missing"),
        Refused(
            method: .POST, path: "/v1/tasks", body: #"{"spec":{"command":[1]}}"#, status: 400,
            code: "invalid", words: "spec.command.[0]"),
        Refused(
            method: .POST, path: "/v1/tasks", body: #"{"spec":{"command":[]}}"#, status: 400,
            code: "invalid", words: "program"),
        Refused(
            method: .POST, path: "/v1/tasks",
            body: #"{"spec":{"command":["a"],"memroy":5}}"#, status: 400, code: "invalid",
            words: "spec.memroy"),
        Refused(
            method: .POST, path: "/v1/tasks", body: #"{"spec":{"command":["a"]},"akc":"1"}"#,
            status: 400, code: "invalid", words: "akc"),
        Refused(
            method: .POST, path: "/v1/tasks", body: #"{"spec":{"command":["a"]},"ack":"0"}"#,
            status: 400, code: "invalid", words: "ack"),
        Refused(
            method: .POST, path: "/v1/tasks", body: #"{"spec":{"command":["a"]},"id":"7"}"#,
            status: 400, code: "invalid", words: "id"),
        Refused(
            method: .POST, path: "/v1/tasks",
            body: String(repeating: " ", count: APIPaths.bodySizeBytesMax + 1), status: 413,
            code: "too_large", words: "1 MiB"),
        Refused(
            method: .POST, path: "/v1/tasks/abc/exec", body: #"{"command":["a"]}"#, status: 404,
            code: "not_found", words: "abc"),
        Refused(
            method: .POST, path: "/v1/tasks/abc/exec", body: #"{"command":[]}"#, status: 400,
            code: "invalid", words: "command"),
        Refused(
            method: .POST, path: "/v1/tasks/abc/exec",
            body: #"{"command":["a"],"comand":1}"#, status: 400, code: "invalid",
            words: "comand"),
        Refused(
            method: .POST, path: "/v1/tasks/abc/exec",
            body: #"{"command":["a"],"user":":"}"#, status: 400, code: "invalid", words: "user"),
        Refused(
            method: .POST, path: "/v1/tasks/abc/attach", status: 404, code: "not_found",
            words: "abc"),
        Refused(
            method: .POST, path: "/v1/calls/1-2-3/input?at=0", status: 404, code: "not_found",
            words: "1-2-3"),
        Refused(
            method: .POST, path: "/v1/calls/\(someCall)/input", status: 400, code: "invalid",
            words: "at:"),
        Refused(
            method: .POST, path: "/v1/calls/\(someCall)/input?at=0&end=soon", status: 400,
            code: "invalid", words: "end:"),
        Refused(
            method: .POST, path: "/v1/calls/\(someCall)/input?at=0",
            body: String(repeating: "x", count: CallCommand.chunkSizeBytesMax + 1), status: 400,
            code: "invalid", words: "64 KiB"),
        Refused(
            method: .POST, path: "/v1/tasks",
            body: #"{"spec":{"command":["a"],"stdin":true,"restart":"always"}}"#, status: 400,
            code: "invalid", words: "stdin"),
        Refused(
            method: .GET, path: "/v1/tasks/abc", status: 404, code: "not_found", words: "abc"),
        Refused(
            method: .GET, path: "/v1/tasks/abc/logs", status: 404, code: "not_found",
            words: "abc"),
        Refused(
            method: .GET, path: "/v1/tasks/abc/events", status: 404, code: "not_found",
            words: "abc"),
        Refused(
            method: .GET, path: "/v1/tasks/abc?wait=soon", status: 400, code: "invalid",
            words: "wait"),
        Refused(
            method: .POST, path: "/v1/nodes/nobody/forget", status: 404, code: "not_found",
            words: "nobody"),
        Refused(
            method: .POST, path: "/v1/tokens", body: #"{"lifetime_seconds":0}"#, status: 400,
            code: "invalid", words: "365 days"),
        Refused(
            method: .GET, path: "/v1/tasks", headers: [("origin", "http://evil.example")],
            status: 403, code: "forbidden", words: "web pages"),
        Refused(
            method: .GET, path: "/v1/tasks", headers: [("host", "evil.example:80")],
            status: 403, code: "forbidden", words: "loopback"),
    ]

    @Test func `what can't be granted gets a status, a code and words`() async throws {
        try await TestAPI.run { api in
            for row in APITests.refused {
                let answer = try await api.ask(
                    row.method, row.path, row.body, headers: row.headers)
                #expect(answer.status == row.status, "\(row.testDescription.prefix(80))")
                #expect(answer.error?.code == row.code, "\(row.testDescription.prefix(80))")
                #expect(
                    answer.error?.message.contains(row.words) == true,
                    "\(row.testDescription.prefix(80)): \(answer.text.prefix(300))")
                #expect(answer.headers.first(name: "content-type") == "application/json")
            }
            let wrong = try await api.ask(.DELETE, "/v1/tasks")
            #expect(wrong.headers.first(name: "allow") == "GET, POST")
        }
    }

    @Test func `a task is submitted, listed, explained, watched and canceled`() async throws {
        try await TestAPI.run { api in
            let id = "01a210d7-041f-7055-b9c0-290a894b2396"
            let first = try await api.submit(id)
            #expect(first.status == 201, "\(first.text)")
            #expect(try first.value(SubmitReply.self).copies == 1)
            let again = try await api.submit(id)
            #expect(again.status == 201, "a repetition is harmless")
            let other = try await api.submit(id, command: "false")
            #expect(other.status == 409)
            _ = try await api.submit("01a210d7-041f-7055-b9c0-290a894b2397")
            let ambiguous = try await api.ask(.GET, "/v1/tasks/01a")
            #expect(ambiguous.status == 409)
            #expect(ambiguous.error?.message.contains(id) == true)
            #expect(ambiguous.error?.message.contains("2397") == true)
            let list = try await api.ask(.GET, "/v1/tasks").value([TaskView].self)
            #expect(list.map(\.state) == ["queued", "queued"])
            let why = try await api.ask(.GET, "/v1/tasks/2396/why").value([WhyView].self)
            #expect(why.map(\.node) == ["alone"])

            let events = try await api.stream("/v1/tasks/\(id)/events")
            let canceled = try await api.ask(.POST, "/v1/tasks/2396/cancel")
            #expect(canceled.status == 202, "\(canceled.text)")
            var text = ""
            for try await part in events { text += String(buffer: part) }
            #expect(text.contains(#""state":"queued""#))
            #expect(text.contains(#""state":"canceled""#))
            #expect(!text.contains("2397"))
            let end = try await api.ask(.GET, "/v1/tasks/\(id)?wait=30").value(TaskView.self)
            #expect(end.state == "canceled")
            let twice = try await api.ask(.POST, "/v1/tasks/\(id)/cancel")
            #expect(twice.status == 202, "what was wished for is so")
            let logs = try await api.ask(.GET, "/v1/tasks/\(id)/logs?follow=true")
            #expect(logs.status == 200 && logs.text.isEmpty)
        }
    }

    @Test func `a listener that went away is forgotten at the next change`() async throws {
        try await TestAPI.run { api in
            for _ in 0..<20 {
                let listening = try await api.stream("/v1/events")
                for try await _ in listening { break }
            }
            for number in 0..<200 {
                _ = try await api.submit(command: "x\(number)")
                let text = try await api.ask(.GET, "/metrics").text
                if text.contains("magpie_event_streams 0\n") { return }
            }
            Issue.record("streams stay open")
        }
    }

    @Test func `the metrics are what Prometheus reads`() async throws {
        try await TestAPI.run { api in
            let answer = try await api.ask(.GET, "/metrics")
            #expect(answer.headers.first(name: "content-type")?.hasPrefix("text/plain") == true)
            var families: Set<Substring> = []
            var current: Substring = ""
            for line in answer.text.split(separator: "\n") {
                if line.hasPrefix("# TYPE ") {
                    current = line.split(separator: " ")[2]
                    #expect(families.insert(current).inserted, "\(current) is torn apart")
                } else if !line.hasPrefix("#") {
                    let name = line.prefix { $0 != "{" && $0 != " " }
                    #expect(name == current, "\(line)")
                    #expect(Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
                }
            }
            #expect(families.isSuperset(of: ["magpie_tasks", "magpie_nodes"]))
        }
    }

    @Test func `the node says that it lives and that it is ready`() async throws {
        try await TestAPI.run { api in
            #expect(try await api.ask(.GET, "/healthz").text == "ok\n")
            #expect(try await api.ask(.GET, "/readyz").text == "ready\n")
            let nodes = try await api.ask(.GET, "/v1/nodes").value([NodeView].self)
            #expect(nodes.map(\.name) == ["alone"])
            // A node may be named, or its ID begun with four digits or more.
            let id = try #require(nodes.first?.id)
            for fragment in ["alone", id, String(id.prefix(4)), id.prefix(9).uppercased()] {
                let answer = try await api.ask(.POST, "/v1/nodes/\(fragment)/forget")
                #expect(answer.status == 409, "\(fragment): \(answer.text)")
                #expect(answer.error?.message.contains("alone is alive") == true)
            }
            for fragment in ["alon", String(id.prefix(3))] {
                let answer = try await api.ask(.POST, "/v1/nodes/\(fragment)/forget")
                #expect(answer.status == 404, "\(fragment): \(answer.text)")
            }
            let token = try await api.ask(.POST, "/v1/tokens", #"{"lifetime_seconds":60}"#)
            #expect(try token.value(TokenView.self).token.hasPrefix("mgp1-"))
        }
    }

    @Test func `tokens are listed without their secrets, and taken back by name`() async throws {
        try await TestAPI.run { api in
            let made = try await api.ask(
                .POST, "/v1/tokens", #"{"lifetime_seconds":60,"uses":2}"#
            ).value(TokenView.self)
            let list = try await api.ask(.GET, "/v1/tokens")
            #expect(!list.text.contains("mgp1-"))
            let token = try #require(
                list.value([TokenStatusView].self).first { $0.name == made.name })
            #expect(token.usesMax == 2 && token.uses == 0 && !token.revoked)
            let path = "/v1/tokens/\(made.name)/revoke"
            #expect(try await api.ask(.POST, path).status == 202)
            let after = try await api.ask(.GET, "/v1/tokens").value([TokenStatusView].self)
            #expect(after.first { $0.name == made.name }?.revoked == true)
            #expect(try await api.ask(.POST, "/v1/tokens/zz/revoke").status == 404)
            let none = try await api.ask(
                .POST, "/v1/tokens", #"{"lifetime_seconds":60,"uses":0}"#)
            #expect(none.status == 400)
        }
    }

    @Test(arguments: [
        ("127.0.0.1:8080", true), ("localhost", true), ("[::1]:80", true), ("127.9.9.9", true),
        ("evil.example:80", false), ("", false), ("10.0.0.1:80", false), ("localhost.x:1", false),
    ])
    func `only loopback names are taken for ours`(host: String, isOurs: Bool) {
        #expect(APIGate.isLoopback(host) == isOurs)
    }
}

@Suite struct PrometheusTextTests {
    @Test func `samples of a family stand together, and labels are escaped`() {
        var text = PrometheusText()
        text.add("a", .counter, help: "A.", labels: [("x", "1\"\\\n")], value: 1)
        text.add("b", .gauge, help: "B.", value: 0.5)
        text.add("a", .counter, help: "A.", value: 2)
        #expect(
            text.text == """
                # HELP a A.
                # TYPE a counter
                a{x="1\\"\\\\\\n"} 1
                a 2
                # HELP b B.
                # TYPE b gauge
                b 0.5

                """)
    }
}

@Suite struct APIDescriptionTests {
    private func document() throws -> [String: Any] {
        let data = Data(APIDescription.openAPI)
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private func schema(_ name: String) throws -> Set<String> {
        let components = try #require(try document()["components"] as? [String: Any])
        let schemas = try #require(components["schemas"] as? [String: Any])
        let schema = try #require(schemas[name] as? [String: Any])
        return Set(try #require(schema["properties"] as? [String: Any]).keys)
    }

    @Test func `every route is described, and nothing else`() throws {
        let paths = try #require(try document()["paths"] as? [String: [String: Any]])
        let described = paths.flatMap { path, operations in
            operations.keys.map { "\($0.uppercased()) \(path)" }
        }
        let real = APIServer.routes.map { "\($0.method.rawValue) \($0.path)" }
        #expect(Set(described) == Set(real))
        #expect(Set(real).count == real.count)
    }

    @Test func `every field of an answer is described, and nothing else`() throws {
        func keys(_ value: some Encodable) throws -> Set<String> {
            let data = try JSONEncoder().encode(value)
            let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
            return Set(try #require(object).keys)
        }
        let task = TaskView(id: "i", state: "queued", command: ["a"], submitted: "t")
        #expect(try keys(task) == schema("Task"))
        let attempt = AttemptView(
            attempt: 1, token: "t", node: "n", state: "lost", exitCode: nil, claimed: nil,
            started: nil, ended: nil, reason: "")
        #expect(try keys(attempt) == schema("Attempt"))
        var node = NodeView(
            id: "i", name: "n", address: "a", state: "alive", eligible: true, voter: true,
            leader: true, running: 0, cpus: 1, memory: 1, load: 0, incarnation: 1, version: "0",
            labels: [])
        (node.evicted, node.evictedBy) = ("t", "n")
        #expect(try keys(node) == schema("Node"))
        #expect(try keys(EvictRequest(cascade: true)) == schema("Evict"))
        #expect(try keys(EvictionView(evicted: [])) == schema("Evicted"))
        let sample = UsageSample(
            usage: ResourceUsage(
                cpuMicroseconds: 1, memoryPeakBytes: 1, readBytes: 1, writtenBytes: 1),
            memoryBytes: 1, processCount: 1)
        let stats = StatsView(id: "i", node: "n", sample: sample, limits: .defaultRequest)
        #expect(try keys(stats) == schema("Stats"))
        #expect(try keys(stats.usage) == schema("Usage"))
        #expect(try keys(WhyView(node: "n", reason: "r")) == schema("Verdict"))
        #expect(try keys(SubmitReply(task: task, copies: 1, notice: "n")) == schema("Submitted"))
        #expect(
            try keys(
                LogFrame(
                    stream: "stdout", time: "t", data: Data(), cursor: "c", end: task, notice: "n",
                    isPast: true))
                == schema("LogFrame"))
        let image = ImageView(
            name: "n", digest: "d", size: 1, node: "i", named: "t", present: true)
        #expect(try keys(image) == schema("Image"))
        #expect(try keys(PruneReply(removed: [], bytes: 1)) == schema("Pruned"))
        let pull = PullRequest(reference: "r", name: "n", credentials: "c", authority: "a")
        #expect(try keys(pull) == schema("Pull"))
        var spec = SpecView(command: ["a"])
        (spec.environment, spec.volumes, spec.constraints) = ([], [], [])
        (spec.workdir, spec.rootfs, spec.restart, spec.onPartition) = ("", "", "", "")
        (spec.cpus, spec.memory, spec.pids, spec.timeoutSeconds, spec.graceSeconds) = (
            1, 1, 1, 1, 1
        )
        (spec.maxAttempts, spec.retainSeconds) = (1, 1)
        spec.userns = true
        (spec.stdin, spec.terminal) = (true, TerminalView(rows: 1, columns: 1))
        #expect(try SpecView.fieldNames.isSuperset(of: keys(spec)))
        #expect(try SpecView.fieldNames == schema("Spec"))
        #expect(
            try ExecRequest.fieldNames == schema("Exec"))
        #expect(
            try keys(
                CallFrame(
                    call: "c", inputAt: 0, stream: "stdout", data: Data(), exitCode: 0,
                    failure: "f")) == schema("CallFrame"))
        #expect(try keys(InputView(taken: 1)) == schema("Input"))
        #expect(try keys(TerminalView(rows: 1, columns: 1)) == schema("Terminal"))
        #expect(try keys(SubmitRequest(id: "i", spec: spec, ack: "1")) == schema("Submit"))
    }
}

import ControlAPI
import Foundation
import Model
import Testing

@Suite struct QuantityTests {
    struct Size: CustomTestStringConvertible, Sendable {
        let text: String
        let bytes: UInt64?
        var testDescription: String { text }
    }

    @Test(arguments: [
        Size(text: "0", bytes: 0), Size(text: "1048576", bytes: 1 << 20),
        Size(text: "512M", bytes: 512 << 20), Size(text: "512m", bytes: 512 << 20),
        Size(text: "1.5G", bytes: 3 << 29), Size(text: "2GiB", bytes: 2 << 30),
        Size(text: "7KB", bytes: 7 << 10), Size(text: "", bytes: nil),
        Size(text: "M", bytes: nil), Size(text: "-1", bytes: nil), Size(text: "5X", bytes: nil),
        Size(text: "nan", bytes: nil), Size(text: "inf", bytes: nil),
        Size(text: "1e30", bytes: nil),
    ])
    func `a size is read or refused`(row: Size) {
        #expect((try? Quantities.bytes(row.text)) == row.bytes)
    }

    struct Span: CustomTestStringConvertible, Sendable {
        let text: String
        let seconds: Double?
        var testDescription: String { text }
    }

    @Test(arguments: [
        Span(text: "10", seconds: 10), Span(text: "10s", seconds: 10),
        Span(text: "250ms", seconds: 0.25), Span(text: "1h30m", seconds: 5_400),
        Span(text: "2d", seconds: 172_800), Span(text: "", seconds: nil),
        Span(text: "5x", seconds: nil), Span(text: "-3s", seconds: nil),
        Span(text: "h", seconds: nil),
    ])
    func `a duration is read or refused`(row: Span) {
        #expect((try? Quantities.seconds(row.text)) == row.seconds)
    }

    @Test(arguments: ["/a:/b", "/a:/b:ro", "/a:/b:rw"])
    func `a volume is read`(text: String) throws {
        let volume = try Quantities.volume(text)
        #expect(volume.source == "/a")
        #expect(volume.target == "/b")
        #expect(volume.isReadOnly == text.hasSuffix(":ro"))
    }

    @Test(arguments: ["", "/a", "a:/b", "/a:b", "/a:/", "/a:/b:x", "/a/../b:/c"])
    func `a volume that makes no sense is refused`(text: String) {
        #expect(throws: InvalidInput.self) { try Quantities.volume(text) }
    }

    @Test(arguments: [
        ("never", RestartPolicy.never), ("on-node-loss", .onNodeLoss), ("always", .always),
        ("on-failure", .onFailure(restartsMax: nil)),
        ("on-failure:1", .onFailure(restartsMax: 1)),
        ("on-failure:1000000", .onFailure(restartsMax: Quantities.restartsMax)),
    ])
    func `a restart policy is read as it is written`(text: String, policy: RestartPolicy) throws {
        #expect(try Quantities.restart(text) == policy)
        #expect(Quantities.text(policy) == text)
    }

    @Test(arguments: [
        "", "on-failure:0", "on-failure:1000001", "on-failure:", "on-failure:x", "on-loss",
        "Always",
    ])
    func `a restart policy that makes no sense is refused`(text: String) {
        #expect(throws: InvalidInput.self) { try Quantities.restart(text) }
    }

    @Test func `a number of disks is 1 or more, or a majority`() throws {
        #expect(try Quantities.ack("1") == 1)
        #expect(try Quantities.ack("5") == 5)
        #expect(try Quantities.ack("majority") == nil)
        for text in ["0", "-1", "all", "", "1.5"] {
            #expect(throws: InvalidInput.self) { try Quantities.ack(text) }
        }
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_400_123, "2000-02-29T00:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"), (1_800_000_000_000, "2027-01-15T08:00:00.000Z"),
    ])
    func `a time is shown in UTC`(row: (Int64, String)) {
        #expect(Quantities.text(WallTime(milliseconds: row.0)) == row.1)
    }
}

@Suite struct SpecViewTests {
    @Test func `absent fields take their defaults`() throws {
        let view = try JSONDecoder().decode(
            SpecView.self, from: Data(#"{"command":["true"]}"#.utf8))
        #expect(try view.spec() == TaskSpec(command: ["true"]))
    }

    @Test func `all fields arrive`() throws {
        let json = #"""
            {"command":["sh","-c","x"],"environment":["A=1"],"workdir":"/tmp","rootfs":"/srv",
             "cpus":1.5,"memory":1073741824,"pids":9,"volumes":["/a:/b:ro"],"restart":"never",
             "on_partition":"wait","timeout_seconds":2.5,"grace_seconds":0,"constraints":["z=a"],
             "max_attempts":3,"retain_seconds":1.5}
            """#
        let spec = try JSONDecoder().decode(SpecView.self, from: Data(json.utf8)).spec()
        #expect(spec.resources == Resources(cpuMillis: 1_500, memoryBytes: 1 << 30))
        #expect(spec.rootfs == .directory("/srv"))
        #expect(spec.onPartition == .wait)
        #expect(spec.timeout == .milliseconds(2_500))
        #expect(spec.grace == .zero)
        #expect(spec.volumes == [VolumeMount(source: "/a", target: "/b", isReadOnly: true)])
        #expect(spec.constraints == ["z=a"])
        #expect(spec.attemptsMax == 3)
        #expect(spec.retention == .milliseconds(1_500))
    }

    @Test(arguments: [
        #"{"command":[]}"#, #"{"command":["x"],"environment":["A"]}"#,
        #"{"command":["x"],"workdir":"tmp"}"#, #"{"command":["x"],"cpus":0}"#,
        #"{"command":["x"],"memory":1}"#, #"{"command":["x"],"pids":1}"#,
        #"{"command":["x"],"on_partition":"go"}"#, #"{"command":["x"],"timeout_seconds":0}"#,
        #"{"command":["x"],"timeout_seconds":0.0009}"#, #"{"command":["x"],"volumes":["/a"]}"#,
        #"{"command":["x"],"grace_seconds":86401}"#, #"{"command":["x"],"restart":"maybe"}"#,
        #"{"command":["x"],"constraints":["a"]}"#, #"{"command":["x"],"max_attempts":0}"#,
        #"{"command":["x"],"max_attempts":1000001}"#, #"{"command":["x"],"retain_seconds":-1}"#,
        #"{"command":["x"],"retain_seconds":1e9}"#, #"{"command":["x"],"on_partition":"stop"}"#,
    ])
    func `what makes no sense is refused with its field's name`(json: String) throws {
        let view = try JSONDecoder().decode(SpecView.self, from: Data(json.utf8))
        do {
            _ = try view.spec()
            Issue.record("\(json) is no good")
        } catch {
            let field = try #require(error.field)
            #expect(json.contains("\"\(field)\":"), "\(error)")
        }
    }

    @Test func `a task's JSON has the promised keys, absent values as null`() throws {
        let view = TaskView(id: "x", state: "queued", command: ["a"], submitted: "t")
        let object = try #require(
            try JSONSerialization.jsonObject(with: JSONEncoder().encode(view)) as? [String: Any])
        let promised: Set = [
            "id", "state", "command", "node", "exit_code", "attempt", "token", "submitted",
            "started", "ended", "reason",
        ]
        #expect(promised.isSubset(of: object.keys))
        #expect(object["exit_code"] is NSNull)
        #expect(try JSONDecoder().decode(TaskView.self, from: JSONEncoder().encode(view)) == view)
    }
}

@Suite struct UnknownFieldsTests {
    private func names(_ text: String) throws -> [String] {
        try JSONDecoder().decode(UnknownFields.self, from: Data(text.utf8)).names
    }

    @Test func `misspelt fields are found at both levels, known ones never`() throws {
        var spec = SpecView(command: ["a"])
        (spec.timeoutSeconds, spec.graceSeconds, spec.onPartition) = (1, 1, "rerun")
        let whole = try JSONEncoder().encode(SubmitRequest(id: "i", spec: spec, ack: "1"))
        #expect(try JSONDecoder().decode(UnknownFields.self, from: whole).names == [])
        #expect(
            try names(#"{"spec":{"command":["a"],"timeout":1,"cpu":2},"acks":1}"#)
                == ["acks", "spec.cpu", "spec.timeout"])
        #expect(try names("{}") == [])
    }
}

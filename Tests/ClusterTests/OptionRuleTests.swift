import Model
import Testing

@testable import Cluster

/// What a task asks for beyond the usual: who runs it, how it is ended, what is told of it.
@Suite struct OptionRuleTests {
    private static let task = TaskID(Wide128(high: 0x0190_0000_0000_7000, low: 1 << 63))

    struct Wish: CustomTestStringConvertible, Sendable {
        let name: String
        let ask: @Sendable (inout TaskSpec) -> Void
        var allow: @Sendable (inout NodeConfiguration) -> Void = { _ in }
        /// What a node is like that can't give it, where any other one can.
        var deny: @Sendable (inout NodeConfiguration) -> Void = { _ in }
        /// What `why` must say where it is not allowed; empty when it always is.
        var word = ""
        var testDescription: String { name }
    }

    @Test(arguments: [
        Wish(name: "nothing", ask: { _ in }),
        Wish(name: "usual capability", ask: { $0.options.capabilitiesAdded = ["CAP_CHOWN"] }),
        Wish(
            name: "capability", ask: { $0.options.capabilitiesAdded = ["CAP_NET_RAW"] },
            allow: { $0.capabilitiesAllowed = ["CAP_NET_RAW"] }, word: "CAP_NET_RAW"),
        Wish(
            name: "all capabilities", ask: { $0.options.capabilitiesAdded = ["ALL"] },
            allow: { $0.capabilitiesAllowed = ["ALL"] }, word: "--allow-cap"),
        Wish(
            name: "network", ask: { $0.options.network = .host },
            allow: { $0.allowsHostNetwork = true }, word: "--allow-host-network"),
        Wish(
            name: "disk", ask: { $0.options.diskBytes = 1 << 20 },
            allow: { $0.limitsDisk = true }, word: "project quotas"),
        Wish(
            name: "memory",
            ask: { $0.resources.memoryBytes = 128 << 20 },
            deny: { $0.limitsResources = false }, word: "can't limit memory"),
        Wish(
            name: "processes", ask: { $0.pidsMax = 7 },
            deny: { $0.limitsResources = false }, word: "can't limit memory"),
        Wish(
            name: "memory, or not",
            ask: {
                $0.resources.memoryBytes = 128 << 20
                $0.options.isBestEffort = true
            }, deny: { $0.limitsResources = false }),
        Wish(name: "usual limits", ask: { _ in }, deny: { $0.limitsResources = false }),
        Wish(
            name: "users of its own", ask: { $0.options.hasUserNamespace = true },
            deny: { $0.hasUsersToGive = false }, word: "--userns"),
        Wish(
            name: "another user", ask: { $0.options.user = "1000" },
            deny: { $0.hasOtherUsers = false }, word: "no other users"),
        Wish(
            name: "root by name", ask: { $0.options.user = "root" },
            deny: { $0.hasOtherUsers = false }),
        Wish(
            name: "disk, or not",
            ask: {
                $0.options.diskBytes = 1 << 20
                $0.options.isBestEffort = true
            }),
    ])
    func `a task goes to nodes that allow what it asks for, and to no others`(row: Wish) throws {
        var spec = TaskSpec(command: ["true"])
        row.ask(&spec)
        var strict = try NodeRig(with: row.deny)
        let refused = strict.submit(spec, id: Self.task)
        #expect((refused == nil) == !row.word.isEmpty)
        let verdict = strict.node.why(Self.task, at: strict.now).first?.reason
        #expect(row.word.isEmpty || verdict?.contains(row.word) == true, "\(verdict ?? "")")
        var open = try NodeRig(with: row.allow)
        let made = open.submit(spec, id: Self.task)
        #expect(made != nil)
    }

    @Test(arguments: [(60 as UInt64, false), (61, true)])
    func `a task that asks for what a node does not know is left to others`(
        row: (tag: UInt64, runs: Bool)
    ) throws {
        var spec = TaskSpec(command: ["true"])
        var field = ByteWriter()
        field.field(row.tag) { $0.string("new") }
        spec.unknownFields = field.bytes
        var rig = try NodeRig()
        let made = rig.submit(spec, id: Self.task)
        #expect((made != nil) == row.runs)
        let verdict = rig.node.why(Self.task, at: rig.now).first?.reason
        #expect(row.runs || verdict?.contains("older version") == true)
    }

    private func running(_ spec: TaskSpec) throws -> (rig: NodeRig, id: ContainerID) {
        var rig = try NodeRig()
        let made = rig.submit(spec, id: Self.task)
        let id = try #require(made)
        rig.step(.container(id, .created))
        rig.step(.container(id, .started))
        return (rig, id)
    }

    @Test(arguments: [nil, 2] as [Int32?])
    func `a task is asked to end by its own signal, then killed`(signal: Int32?) throws {
        var spec = TaskSpec(command: ["true"])
        spec.options.stopSignal = signal
        var (rig, id) = try running(spec)
        _ = rig.ask(.cancel(Self.task))
        #expect(rig.wasTold(id, .stop(signal)))
        rig.run(for: spec.grace - .milliseconds(1))
        #expect(!rig.wasTold(id, .kill))
        rig.run(for: .milliseconds(2))
        #expect(rig.wasTold(id, .kill))
    }

    @Test func `a note is not taken for why a task failed`() throws {
        var (rig, id) = try running(TaskSpec(command: ["false"]))
        rig.step(.container(id, .noted("not limited on this node: disk")))
        rig.step(.container(id, .exited(ExitStatus(code: 3))))
        rig.run(for: .seconds(1))
        let status = try #require(rig.node.task(Self.task))
        #expect(status.reason == "it ended with 3; not limited on this node: disk")
    }

    @Test func `what was used and what is to be noted stands in the task's status`() throws {
        var (rig, id) = try running(TaskSpec(command: ["true"]))
        let usage = ResourceUsage(
            cpuMicroseconds: 1, memoryPeakBytes: 2, readBytes: 3, writtenBytes: 4)
        rig.step(.container(id, .noted("not limited on this node: disk")))
        rig.step(.container(id, .used(usage)))
        #expect(rig.node.task(Self.task)?.usage == nil)
        rig.step(.container(id, .exited(ExitStatus(code: 0))))
        rig.run(for: .seconds(1))
        let status = try #require(rig.node.task(Self.task))
        #expect(status.state == .complete)
        #expect(status.usage == usage)
        #expect(status.reason == "not limited on this node: disk")
    }

    @Test func `what was used is known of a task that ended while its daemon was away`() throws {
        var (rig, id) = try running(TaskSpec(command: ["true"]))
        let usage = ResourceUsage(
            cpuMicroseconds: 1, memoryPeakBytes: 2, readBytes: 3, writtenBytes: 4)
        let end = ContainerEvent.exited(ExitStatus(code: 0))
        try rig.restart(finding: [AdoptedContainer(id: id, state: end, usage: usage)])
        rig.run(for: .seconds(3))
        #expect(rig.node.task(Self.task)?.usage == usage)
    }

    // MARK: Measuring

    private static let sample = UsageSample(
        usage: ResourceUsage(cpuMicroseconds: 1, memoryPeakBytes: 2, readBytes: 3, writtenBytes: 4),
        memoryBytes: 5, processCount: 6)

    @Test func `a running task is measured, another one is not`() throws {
        var (rig, id) = try running(TaskSpec(command: ["true"]))
        let request = rig.ask(.stats(Self.task))
        #expect(rig.replies[request] == nil)
        rig.step(.measured(try #require(rig.measured.last), Self.sample))
        guard case .usage(let sample)? = rig.replies[request] else {
            Issue.record("it must be answered")
            return
        }
        #expect(sample == Self.sample)
        rig.step(.container(id, .exited(ExitStatus(code: 0))))
        let late = rig.ask(.stats(Self.task))
        #expect(rig.refusal(of: late)?.code == .conflict)
        let unknown = rig.ask(.stats(TaskID(Wide128(high: 1, low: 1))))
        #expect(rig.refusal(of: unknown)?.code == .notFound)
    }

    @Test func `a measurement that fails or does not come is answered all the same`() throws {
        var (rig, _) = try running(TaskSpec(command: ["true"]))
        let failed = rig.ask(.stats(Self.task))
        rig.step(.measured(try #require(rig.measured.last), nil))
        #expect(rig.refusal(of: failed)?.code == .conflict)
        let lost = rig.ask(.stats(Self.task))
        rig.run(for: .seconds(4))
        #expect(rig.refusal(of: lost)?.code == .unavailable)
        // Too late for anybody.
        rig.step(.measured(try #require(rig.measured.last), Self.sample))
    }

    @Test func `measurements are taken up to their bound, and not one more`() throws {
        var (rig, _) = try running(TaskSpec(command: ["true"]))
        for _ in 0..<Node.measurementsMax { _ = rig.ask(.stats(Self.task)) }
        let one = rig.ask(.stats(Self.task))
        #expect(rig.refusal(of: one)?.code == .overloaded)
        #expect(rig.measured.count == Node.measurementsMax)
    }

    @Test func `messages about usage come back from their bytes`() throws {
        let container = ContainerID(
            task: Self.task, token: FencingToken(generation: 1, index: 2))
        for message in [
            PeerMessage.usageQuery(MeasureID(7), container),
            .usageAnswer(MeasureID(.max), Self.sample), .usageAnswer(MeasureID(0), nil),
        ] {
            #expect(try PeerMessage(decoding: message.encoded).encoded == message.encoded)
        }
    }

    // MARK: Rows

    @Test func `a row's usage comes back, alone and in a patch, and newer forms of it are kept`()
        throws
    {
        var row = AttemptRow(
            token: FencingToken(generation: 1, index: 2), session: SessionID(3),
            node: NodeID(Wide128(high: 1, low: 1)), phase: .running)
        let before = row
        row.phase = .complete
        row.usage = Self.sample.usage
        #expect(try AttemptRow(decoding: row.encoded) == row)
        let patch = try #require(RowPatch(from: HeldRow(before), to: row, sender: before.node))
        #expect(try RowPatch(decoding: patch.encoded) == patch)
        #expect(patch.applied(to: before) == row)
        // A newer version says more about usage, and more behind it.
        var blob = ByteReader(before.encoded)
        var newer = ByteWriter()
        newer.raw(try blob.blob(max: 1_000))
        newer.field(1) {
            Self.sample.usage.encode(into: &$0)
            $0.varint(9)
        }
        newer.field(2) { $0.varint(9) }
        var whole = ByteWriter()
        whole.blob(newer.bytes)
        let kept = try AttemptRow(decoding: whole.bytes)
        #expect(kept.usage == nil)
        #expect(kept.encoded == whole.bytes)
    }
}

extension NodeRig {
    /// Why a request was refused; `nil` when it was not.
    func refusal(of request: RequestID) -> Refusal? {
        guard case .refused(let refusal)? = replies[request] else { return nil }
        return refusal
    }
}

import Model
import Testing

@Suite struct ContainerOptionsTests {
    private static var everything: TaskSpec {
        var spec = TaskSpec(command: ["true"])
        spec.options.user = "www-data:33"
        spec.options.hostname = "box"
        spec.options.stopSignal = 2
        spec.options.network = .host
        spec.options.tmpfs = [TmpfsMount(target: "/a"), TmpfsMount(target: "/b", sizeBytes: 4_096)]
        spec.options.isRootReadOnly = true
        spec.options.capabilitiesDropped = ["ALL"]
        spec.options.capabilitiesAdded = ["CAP_NET_RAW"]
        spec.options.ulimits = [Ulimit(kind: .nofile, soft: 1, hard: .max)]
        spec.options.shmSizeBytes = 1 << 20
        spec.options.diskBytes = 1 << 30
        spec.options.isBestEffort = true
        spec.options.hasInput = true
        spec.options.hasUserNamespace = true
        spec.options.terminal = TerminalSize(rows: 24, columns: 80)
        return spec
    }

    @Test func `all options come back from their bytes`() throws {
        let spec = Self.everything
        #expect(try TaskSpec(decoding: spec.encoded) == spec)
        #expect(spec.isReadable)
        #expect(spec.fieldsNotUnderstood == [])
        #expect(TaskSpec(command: ["true"]).options == ContainerOptions())
    }

    /// A spec as a newer version would write it: with one more field.
    private func newer(_ tag: UInt64) throws -> TaskSpec {
        var content = ByteReader(Self.everything.encoded)
        var writer = ByteWriter()
        writer.raw(try content.blob(max: TaskSpec.sizeBytesMax))
        writer.field(tag) { $0.string("new") }
        var whole = ByteWriter()
        whole.blob(writer.bytes)
        return try TaskSpec(decoding: whole.bytes)
    }

    @Test func `what must be understood is told from what may be passed over`() throws {
        let spec = try newer(60)
        #expect(spec.fieldsNotUnderstood == [60])
        #expect(try TaskSpec(decoding: spec.encoded) == spec)
        let harmless = try newer(61)
        #expect(harmless.fieldsNotUnderstood == [])
    }

    @Test func `lists are read up to their bound and not one longer`() throws {
        var spec = TaskSpec(command: ["true"])
        let most = ContainerOptions.listCountMax
        spec.options.tmpfs = (0..<most).map { TmpfsMount(target: "/\($0)") }
        #expect(spec.isReadable)
        spec.options.tmpfs.append(TmpfsMount(target: "/x"))
        #expect(!spec.isReadable)
    }

    @Test(arguments: [
        ("TERM", 15), ("sigusr1", 10), ("9", 9), ("RTMIN", 34), ("SIGRTMIN+3", 37),
        ("rtmax-1", 63), ("64", 64),
    ])
    func `a signal has a number`(row: (String, Int32)) {
        #expect(SignalName.number(row.0) == row.1)
    }

    @Test(arguments: ["", "0", "65", "-1", "SIG", "NOPE", "RTMIN+31", "RTMAX--1", "TERM "])
    func `what is no signal has none`(text: String) {
        #expect(SignalName.number(text) == nil)
    }

    struct Wish: CustomTestStringConvertible, Sendable {
        var dropped: [String] = []
        var added: [String] = []
        let effective: Int
        var forbidden: [String] = []
        var testDescription: String { "-\(dropped) +\(added)" }
    }

    @Test(arguments: [
        Wish(effective: 11), Wish(dropped: ["ALL"], effective: 0),
        Wish(dropped: ["ALL"], added: ["CAP_CHOWN"], effective: 1),
        Wish(dropped: ["CAP_KILL"], effective: 10),
        Wish(added: ["CAP_NET_RAW"], effective: 12),
        Wish(added: ["CAP_SYS_ADMIN"], effective: 12, forbidden: ["CAP_SYS_ADMIN"]),
        Wish(
            dropped: ["CAP_SYS_ADMIN"], added: ["ALL"], effective: 40,
            forbidden: ["CAP_AUDIT_CONTROL"]),
    ])
    func `capabilities follow from what is dropped and added`(row: Wish) {
        var options = ContainerOptions()
        options.capabilitiesDropped = row.dropped
        options.capabilitiesAdded = row.added
        #expect(Capabilities.effective(options).count == row.effective)
        let forbidden = Capabilities.forbidden(options, allowed: ["CAP_NET_RAW"])
        #expect(Array(forbidden.prefix(1)) == row.forbidden)
        #expect(Capabilities.forbidden(options, allowed: ["ALL"]) == [])
    }

    @Test(arguments: ["/a", "/tmp", "/var/lib/x", "/dev/shm"])
    func `a mount may be there`(path: String) {
        #expect(ContainerOptions.isMountTarget(path))
    }

    @Test(arguments: ["", "/", "a", "/proc", "/proc/1", "/sys/x", "/a/../b", "//proc", "/./proc"])
    func `a mount may not be there`(path: String) {
        #expect(!ContainerOptions.isMountTarget(path))
    }

    @Test func `usage comes back from its bytes`() throws {
        let usage = ResourceUsage(
            cpuMicroseconds: 1, memoryPeakBytes: .max, readBytes: 0, writtenBytes: 7)
        let sample = UsageSample(usage: usage, memoryBytes: 5, processCount: .max)
        #expect(try UsageSample(decoding: sample.encoded) == sample)
    }
}

import Model
import Testing

@Suite struct IdentifierTests {
    @Test func `task IDs sort by time of submission and are version 7`() {
        var generator = SeededGenerator(seed: 3)
        let early = TaskID(at: WallTime(milliseconds: 1_000), using: &generator)
        let late = TaskID(at: WallTime(milliseconds: 1_001), using: &generator)
        #expect(early < late)
        let text = Array(early.description)
        #expect(text[14] == "7")
        #expect("89ab".contains(text[19]))
    }

    @Test func `an identifier's text comes back`() throws {
        var generator = SeededGenerator(seed: 4)
        let task = TaskID(at: WallTime(milliseconds: 77), using: &generator)
        #expect(TaskID(task.description) == task)
        let container = ContainerID(task: task, token: FencingToken(generation: 2, index: 9))
        #expect(ContainerID(container.description) == container)
    }

    @Test(arguments: [
        "", "x", "0190-1", "01900000-0000-7000-8000-00000000000g",
        "+1900000-0000-7000-8000-000000000000", "01900000-0000-7000-8000-0000000000000",
    ])
    func `what is no UUID is refused`(text: String) {
        #expect(TaskID(text) == nil)
    }

    @Test(arguments: [
        (ip: [0, 0, 0, 0, 0, 0, 0, 0] as [UInt16], text: "::"),
        (ip: [0, 0, 0, 0, 0, 0, 0, 1], text: "::1"),
        (ip: [0xFD00, 0, 0, 0, 0, 0, 0, 0], text: "fd00::"),
        (ip: [0x2001, 0xDB8, 0, 0, 1, 0, 0, 1], text: "2001:db8::1:0:0:1"),
        (ip: [0x2001, 0xDB8, 0, 1, 1, 1, 1, 1], text: "2001:db8:0:1:1:1:1:1"),
        (ip: [1, 0, 0, 2, 0, 0, 0, 3], text: "1:0:0:2::3"),
        (ip: [1, 2, 3, 4, 5, 6, 7, 8], text: "1:2:3:4:5:6:7:8"),
    ])
    func `an IPv6 address is written in its short form`(row: (ip: [UInt16], text: String)) {
        let bytes = row.ip.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
        let address = PeerAddress(ip: bytes, port: 7_946)
        #expect(address.host == row.text)
        #expect(address.description == "[\(row.text)]:7946")
    }

    struct Address: CustomTestStringConvertible, Sendable {
        let text: String
        let isValid: Bool
        var testDescription: String { text }
    }

    @Test(arguments: [
        Address(text: "127.0.0.1:7946", isValid: true),
        Address(text: "0.0.0.0:0", isValid: true),
        Address(text: "256.0.0.1:1", isValid: false),
        Address(text: "1.2.3:4", isValid: false),
        Address(text: "1.2.3.4:65536", isValid: false),
        Address(text: "1.2.3.4", isValid: false),
        Address(text: "host:80", isValid: false),
    ])
    func `an address is read or refused`(row: Address) {
        let address = PeerAddress(row.text)
        #expect((address != nil) == row.isValid)
        if let address { #expect(address.description == row.text) }
    }

    @Test func `tokens order by generation first`() {
        let old = FencingToken(generation: 1, index: 900)
        let new = FencingToken(generation: 2, index: 1)
        #expect(old < new)
        #expect(FencingToken.zero < old)
    }
}

@Suite struct InstantTests {
    @Test func `instants saturate instead of wrapping`() {
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant(nanoseconds: 5) + .nanoseconds(-5) == .zero)
        #expect(Instant(nanoseconds: 9) - Instant(nanoseconds: 4) == .nanoseconds(5))
    }

    @Test func `a duration of more than 292 years saturates`() {
        #expect(Duration.seconds(Int64.max / 1_000).nanoseconds == .max)
        #expect(Duration.milliseconds(3).nanoseconds == 3_000_000)
    }
}

@Suite struct ResourcesTests {
    @Test func `amounts from peers saturate`() {
        let huge = Resources(cpuMillis: .max, memoryBytes: .max)
        #expect(huge + huge == huge)
    }

    @Test func `the dominant share is the larger one`() {
        let capacity = Resources(cpuMillis: 2_000, memoryBytes: 1_000)
        #expect(Resources(cpuMillis: 500, memoryBytes: 500).dominantShare(of: capacity) == 0.5)
    }
}

@Suite struct SeededGeneratorTests {
    @Test func `the same seed gives the published SplitMix64 sequence`() {
        var generator = SeededGenerator(seed: 1_234_567)
        #expect(generator.next() == 6_457_827_717_110_365_317)
        #expect(generator.next() == 3_203_168_211_198_807_973)
    }

    @Test func `fractions stay below one`() {
        var generator = SeededGenerator(seed: 9)
        for _ in 0..<10_000 { #expect((0..<1).contains(generator.fraction())) }
    }
}

@Suite struct DeadlineTests {
    @Test func `the earliest of several deadlines counts, and none is later than any`() {
        var next: Instant?
        next.bringForward(to: nil)
        #expect(next == nil)
        next.bringForward(to: Instant(nanoseconds: 5))
        #expect(next == Instant(nanoseconds: 5))
        next.bringForward(to: Instant(nanoseconds: 7))
        next.bringForward(to: nil)
        #expect(next == Instant(nanoseconds: 5))
        next.bringForward(to: Instant(nanoseconds: 3))
        #expect(next == Instant(nanoseconds: 3))
    }
}

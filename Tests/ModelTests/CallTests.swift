import Model
import Testing

/// What waits in a call, at its bounds and one past them, and what calls are on the wire.
@Suite struct CallTests {
    @Test func `output is handed over in order, and again until it is confirmed`() throws {
        var buffer = CallOutputBuffer()
        func read(_ place: UInt64) -> (runs: [CallOutput], next: UInt64)? {
            buffer.read(from: place)
        }
        buffer.append(Array("ab".utf8), of: .stdout)
        buffer.append(Array("c".utf8), of: .stderr)
        buffer.append(Array("d".utf8), of: .stderr)
        for _ in 0..<2 {
            let found = try #require(read(0))
            #expect(
                found.runs == [
                    CallOutput(stream: .stdout, bytes: Array("ab".utf8)),
                    CallOutput(stream: .stderr, bytes: Array("cd".utf8)),
                ])
            #expect(found.next == 4)
        }
        let rest = try #require(read(3))
        #expect(rest.runs == [CallOutput(stream: .stderr, bytes: Array("d".utf8))])
        #expect(read(2) == nil, "what was confirmed is forgotten")
        #expect(read(5) == nil, "nothing is there yet")
        let nothing = try #require(read(4))
        #expect(nothing.runs.isEmpty && nothing.next == 4)
    }

    @Test func `output waits up to its bound, and not one byte more`() throws {
        var buffer = CallOutputBuffer()
        let most = CallOutputBuffer.sizeBytesMax
        buffer.append(Array(repeating: 1, count: most), of: .stdout)
        #expect(buffer.room == 0)
        buffer.append([2], of: .stdout)
        #expect(buffer.end == UInt64(most))
        var place: UInt64 = 0
        while let (runs, next) = buffer.read(from: place), !runs.isEmpty {
            #expect(next - place == UInt64(CallCommand.chunkSizeBytesMax))
            place = next
        }
        #expect(place == UInt64(most) && buffer.room == most)
    }

    @Test func `a program that changes streams all the time waits sooner`() {
        var buffer = CallOutputBuffer()
        for index in 0..<CallOutputBuffer.runsMax {
            #expect(buffer.room > 0)
            buffer.append([0], of: index.isMultiple(of: 2) ? .stdout : .stderr)
        }
        #expect(buffer.room == 0)
        buffer.append([0], of: .stdout)
        #expect(buffer.end == UInt64(CallOutputBuffer.runsMax))
    }

    @Test func `input that comes again changes nothing, and none is passed over`() {
        var buffer = CallInputBuffer()
        func take(_ bytes: [UInt8], _ place: UInt64, _ isEnd: Bool) -> Bool {
            buffer.take(bytes, at: place, isEnd: isEnd)
        }
        #expect(take([1, 2, 3], 0, false))
        #expect(take([1, 2, 3], 0, false))
        #expect(take([2, 3, 4], 1, false))
        #expect(buffer.waiting == [1, 2, 3, 4] && buffer.taken == 4)
        #expect(!take([9], 5, false), "a byte is missing")
        #expect(!take([9], .max, false))
        #expect(take([4], 3, true))
        #expect(buffer.isEnded && buffer.waiting == [1, 2, 3, 4])
        #expect(!take([5], 4, false), "nothing follows the end")
        #expect(take([], 4, true))
        buffer.passed(3)
        #expect(buffer.waiting == [4] && buffer.taken == 4)
    }

    @Test func `input waits up to its bound, and its end with it`() {
        var buffer = CallInputBuffer()
        func take(_ bytes: [UInt8], _ place: UInt64, _ isEnd: Bool) -> Bool {
            buffer.take(bytes, at: place, isEnd: isEnd)
        }
        let most = CallInputBuffer.sizeBytesMax
        #expect(take(Array(repeating: 1, count: most - 1), 0, false))
        #expect(buffer.hasRoom)
        #expect(take([2, 3], UInt64(most - 1), true))
        #expect(buffer.taken == UInt64(most) && !buffer.hasRoom && !buffer.isEnded)
        buffer.passed(most)
        #expect(take([3], UInt64(most), true))
        #expect(buffer.isEnded && buffer.waiting == [3])
    }

    private static var program: CallProgram {
        var program = CallProgram(command: ["sh", "-c", "true"])
        program.environment = ["A=b"]
        program.workingDirectory = "/tmp"
        program.user = "1:2"
        program.hasInput = true
        program.terminal = TerminalSize(rows: 24, columns: .max)
        return program
    }

    private static let commands: [CallCommand] = [
        .open(.input), .open(.program(program)), .open(.program(CallProgram(command: ["a"]))),
        .read(from: .max, waitAtMost: CallCommand.readWaitMax), .write([1, 2], at: 7, isEnd: true),
        .write(Array(repeating: 0, count: CallCommand.chunkSizeBytesMax), at: 0, isEnd: false),
        .resize(TerminalSize(rows: 1, columns: 2)), .close,
    ]

    private static let answers: [CallAnswer] = [
        .opened(inputAt: 5), .taken(upTo: .max), .done, .refused(.gone, "why"),
        .output([], next: 3, end: nil), .output([], next: 3, end: .exited(-1)),
        .output(
            [CallOutput(stream: .stderr, bytes: [1]), CallOutput(stream: .stdout, bytes: [2])],
            next: 2, end: .failed(ContainerFailure(code: 127, message: "none"))),
    ]

    @Test func `commands and answers come back from their bytes`() throws {
        for command in Self.commands {
            var writer = ByteWriter()
            command.encode(into: &writer)
            #expect(try CallCommand(decoding: writer.bytes) == command)
        }
        for answer in Self.answers {
            var writer = ByteWriter()
            answer.encode(into: &writer)
            #expect(try CallAnswer(decoding: writer.bytes) == answer)
        }
    }

    @Test func `what is larger than its bound is not read`() {
        var long = CallProgram(command: ["a"])
        long.environment = Array(repeating: "a=b", count: CallProgram.listCountMax + 1)
        var large = CallProgram(command: ["a"])
        large.command += Array(
            repeating: String(repeating: "x", count: CallProgram.textSizeBytesMax), count: 2)
        for command: CallCommand in [
            .open(.program(long)), .open(.program(large)),
            .open(.program(CallProgram(command: []))),
            .write(
                Array(repeating: 0, count: CallCommand.chunkSizeBytesMax + 1), at: 0, isEnd: false),
            .read(from: 0, waitAtMost: CallCommand.readWaitMax + .nanoseconds(1)),
        ] {
            var writer = ByteWriter()
            command.encode(into: &writer)
            #expect(throws: CodecError.self) { try CallCommand(decoding: writer.bytes) }
        }
        var writer = ByteWriter()
        let half = Array(repeating: UInt8(0), count: CallCommand.chunkSizeBytesMax / 2 + 1)
        CallAnswer.output(
            [CallOutput(stream: .stdout, bytes: half), CallOutput(stream: .stderr, bytes: half)],
            next: 0, end: nil
        ).encode(into: &writer)
        #expect(throws: CodecError.self) { try CallAnswer(decoding: writer.bytes) }
    }

    @Test func `arbitrary bytes are read or refused`() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<20_000 {
            let count = Int(random.next() % 24)
            let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = try? CallCommand(decoding: bytes)
            _ = try? CallAnswer(decoding: bytes)
        }
    }
}

import ArgumentParser
import Testing

@testable import Client

@Suite struct LogOptionTests {
    @Test func `options become parameters of the request`() throws {
        let words = [
            "--tail", "5", "--since", "1970-01-01T00:00:01Z", "-t", "--stderr", "-f", "abc",
        ]
        #expect(
            try LogsCommand.parse(words).selection() == [
                "tail=5", "stream=stderr", "timestamps=true", "since=1970-01-01T00:00:01.000Z",
            ])
        #expect(
            try LogsCommand.parse(["-n", "all", "--stdout", "--stderr", "a"]).selection() == [])
    }

    @Test(arguments: [["--tail", "-1"], ["--tail", "x"], ["--since", "soon"], ["--until", "?"]])
    func `bad selections are refused before anything is sent`(words: [String]) throws {
        #expect(throws: (any Error).self) { try LogsCommand.parse(words + ["abc"]).selection() }
    }
}

@Suite struct LineStampTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `parts of a line are one line, and streams do not tear each other apart`() {
        var stamps = LineStamps()
        let first = stamps.take("half ".utf8, isError: false, time: "T1")
        let second = stamps.take("bad\n".utf8, isError: true, time: "T2")
        let third = stamps.take("line\nnext".utf8, isError: false, time: "T3")
        #expect([first, second, third].map(text) == ["", "T2 bad\n", "T1 half line\n"])
        let rest = stamps.finish()
        #expect(rest.map { text($0.bytes) } == ["T3 next"])
        let nothing = stamps.finish()
        #expect(nothing.isEmpty)
    }

    @Test func `a line without end is shown in parts`() {
        var stamps = LineStamps()
        let long = Array(repeating: UInt8(65), count: LineStamps.lineSizeBytesMax + 10)
        let shown = stamps.take(long, isError: false, time: "T")
        #expect(shown.count == LineStamps.lineSizeBytesMax + 1)
        #expect(shown.last == 10)
    }
}

import CShims
import Foundation
import Model
import Testing

@testable import Runner

@Suite struct LogReaderTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder =
            FileManager.default.temporaryDirectory.path + "/magpie-log-\(UUID().uuidString)"
        try Files.makeDirectory(folder)
        defer { Files.remove(folder) }
        try body(folder)
    }

    private func line(_ text: String, _ tag: String = "F", _ stream: String = "stdout") -> String {
        "2026-11-24T10:00:00.123456789+01:00 \(stream) \(tag) \(text)\n"
    }

    private func write(_ lines: String..., to path: String) throws {
        try Files.write(Array(lines.joined().utf8), to: path)
    }

    @Test func `parts of a line are joined, and streams told apart`() throws {
        try withFolder { folder in
            try write(
                line("half ", "P"), line("whole"), line("bad", "F", "stderr"), line(""),
                to: folder + "/log")
            let chunk = LogReader(directory: folder).read(from: .at(.beginning))
            #expect(chunk.entries.map(\.text) == ["half ", "whole\n", "bad\n", "\n"])
            #expect(chunk.entries.map(\.stream) == [.stdout, .stdout, .stderr, .stdout])
            #expect(!chunk.isEnd)
        }
    }

    @Test func `a line that is not whole is left for later`() throws {
        try withFolder { folder in
            let whole = line("first")
            try write(whole + "2026-11-24T10:00:00.1", to: folder + "/log")
            let reader = LogReader(directory: folder)
            let chunk = reader.read(from: .at(.beginning))
            #expect(chunk.entries.map(\.text) == ["first\n"])
            try write(whole + line("second"), to: folder + "/log")
            #expect(reader.read(from: .at(chunk.next)).entries.map(\.text) == ["second\n"])
        }
    }

    @Test func `what the monitor still writes into a rotated segment is read`() throws {
        try withFolder { folder in
            let reader = LogReader(directory: folder)
            try write(line("1"), to: folder + "/log")
            let first = reader.read(from: .at(.beginning))
            try FileManager.default.moveItem(atPath: folder + "/log", toPath: folder + "/log.0")
            // Renamed, but the monitor has not opened the next file yet.
            let between = reader.read(from: .at(first.next))
            #expect(between.entries.isEmpty)
            #expect(!between.isEnd)
            try write(line("1"), line("2"), to: folder + "/log.0")
            try write(line("3"), to: folder + "/log")
            let second = reader.read(from: .at(between.next))
            #expect(second.entries.map(\.text) == ["2\n"])
            #expect(reader.read(from: .at(second.next)).entries.map(\.text) == ["3\n"])
        }
    }

    @Test func `the end is told once everything was read, rotated or not`() throws {
        try withFolder { folder in
            let reader = LogReader(directory: folder)
            try write(line("1"), to: folder + "/log.0")
            try write(to: folder + "/ended")
            let first = reader.read(from: .at(.beginning))
            #expect(first.entries.map(\.text) == ["1\n"])
            #expect(!first.isEnd)
            #expect(reader.read(from: .at(first.next)).isEnd)
        }
    }

    @Test func `a cursor into a segment that is gone goes on with the oldest left`() throws {
        try withFolder { folder in
            try write(line("3"), to: folder + "/log.2")
            try write(line("4"), to: folder + "/log")
            let reader = LogReader(directory: folder)
            let chunk = reader.read(from: .at(LogCursor(segment: 0, offset: 999)))
            #expect(chunk.entries.map(\.text) == ["3\n"])
            let beyond = reader.read(from: .at(LogCursor(segment: 9, offset: 1)))
            #expect(beyond.entries.map(\.text) == ["4\n"])
        }
    }

    @Test(arguments: ["", "x", "a b c", "2026 stdout", "\u{0} \u{0} \u{0}"])
    func `what is no line of a log is passed over`(text: String) throws {
        try withFolder { folder in
            try write(text + "\n", line("after"), to: folder + "/log")
            let chunk = LogReader(directory: folder).read(from: .at(.beginning))
            #expect(chunk.entries.map(\.text) == ["after\n"])
        }
    }

    @Test func `times come with their zone`() {
        let utc = LogTime.parse("1970-01-02T00:00:00.250000000+00:00")
        #expect(utc == WallTime(milliseconds: 86_400_250))
        #expect(LogTime.parse("1970-01-02T02:00:00.250000000+02:00") == utc)
        #expect(LogTime.parse("1970-01-01T22:00:00.250000000-02:00") == utc)
        #expect(LogTime.parse("nonsense") == WallTime(milliseconds: 0))
    }

    @Test func `whoever was overtaken by rotation is told of the gap`() throws {
        try withFolder { folder in
            try write(line("1"), line("2"), to: folder + "/log")
            let reader = LogReader(directory: folder)
            let first = reader.read(from: .at(.beginning))
            #expect(!first.hasGap(after: .at(.beginning)))
            try FileManager.default.moveItem(atPath: folder + "/log", toPath: folder + "/log.0")
            try write(line("3"), to: folder + "/log.1")
            try write(line("4"), to: folder + "/log")
            // Segment by segment nothing is missing.
            let second = reader.read(from: .at(first.next))
            #expect(second.entries.map(\.text) == ["3\n"])
            #expect(!second.hasGap(after: .at(first.next)))
            Files.remove(folder + "/log.0")
            Files.remove(folder + "/log.1")
            try write(line("5"), to: folder + "/log.2")
            let late = reader.read(from: .at(first.next))
            #expect(late.entries.map(\.text) == ["5\n"])
            #expect(late.hasGap(after: .at(first.next)))
        }
    }

    @Test(
        arguments: [
            (0, nil, []), (1, nil, ["5\n"]), (3, nil, ["e\n", "4\n", "5\n"]),
            (2, LogStream.stdout, ["e\n", "4\n", "5\n"]), (1, .stdout, ["5\n"]),
            (1, .stderr, ["1\n"]),
            (99, nil, ["1\n"]),
        ] as [(UInt32, LogStream?, [String])])
    func `the last lines are found over segments`(
        count: UInt32, stream: LogStream?, texts: [String]
    ) throws {
        try withFolder { folder in
            try write(line("1"), to: folder + "/log.0")
            try write(
                line("e", "F", "stderr"), line("4"), line("5"), to: folder + "/log")
            let reader = LogReader(directory: folder)
            let chunk = reader.read(from: .lastLines(count, of: stream))
            #expect(chunk.entries.map(\.text) == texts)
        }
    }

    @Test func `the last lines of a long log are its last`() throws {
        try withFolder { folder in
            let text = (0..<20_000).map { line("\($0)") }.joined()
            try Files.write(Array(text.utf8), to: folder + "/log")
            let chunk = LogReader(directory: folder).read(from: .lastLines(2_000, of: nil))
            #expect(chunk.entries.first?.text == "18000\n")
            let newest = LogReader(directory: folder).read(from: .newest(after: .beginning))
            #expect(newest.entries.last?.text == "19999\n")
            #expect(newest.next.offset - newest.begin.offset <= LogStart.newestSizeBytes)
        }
    }

    @Test func `a hole at a segment's head is a gap, and no reader hangs in it`() throws {
        try withFolder { folder in
            let count = 20_000
            let text = (0..<count).map { line("\($0)") }.joined()
            try Files.write(Array(text.utf8), to: folder + "/log")
            guard magpie_punch_hole(folder + "/log", 512 << 10) == 0 else { return }
            let reader = LogReader(directory: folder)
            let first = reader.read(from: .at(.beginning))
            #expect(first.hasGap(after: .at(.beginning)))
            let number = try #require(
                Int(first.entries.first?.text.dropLast() ?? ""), "a whole line comes first")
            #expect(number > 0)
            var place = first.next
            var last = first.entries.last?.text
            while true {
                let chunk = reader.read(from: .at(place))
                guard let text = chunk.entries.last?.text else { break }
                last = text
                place = chunk.next
            }
            #expect(last == "\(count - 1)\n")
        }
    }
}

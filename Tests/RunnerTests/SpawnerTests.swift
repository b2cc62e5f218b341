import Glibc
import Testing

@testable import Runner

@Suite struct SpawnerTests {
    @Test func `a program's output and code come back`() throws {
        let result = try Spawner.run("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"])
        #expect(result.code == 3)
        #expect(result.output == "out\nerr\n")
    }

    @Test func `a program that hangs is killed`() throws {
        let result = try Spawner.run(
            "/bin/sh", ["-c", "echo begun; exec sleep 1000"], within: .milliseconds(100))
        #expect(result.code == 137)
        #expect(result.output.hasSuffix("it wrote too much or did not end in time, and was killed"))
    }

    @Test func `a program whose witness has ended is killed, and one that ends is not`() throws {
        let (reader, writer) = try Spawner.pipe()
        defer { close(reader) }
        close(writer)
        let hung = try Spawner.run("/bin/sleep", ["1000"], witness: reader)
        #expect(hung.code == 137)
        let quick = try Spawner.run("/bin/sh", ["-c", "echo done"], witness: reader)
        #expect(quick.code == 0)
        #expect(quick.output == "done\n")
    }

    @Test func `a program that is not there is an error`() {
        #expect(throws: RunnerError.self) { try Spawner.run("/no/such/program", []) }
    }

    @Test func `a line is read up to its end, and no further than the bound`() throws {
        let (reader, writer) = try Spawner.pipe()
        defer { close(reader) }
        let text = Array("first\nsecond".utf8)
        #expect(write(writer, text, text.count) == text.count)
        var first = BoundedReader(reader, within: .seconds(10))
        #expect(first.line() == .ended(Array("first".utf8)))
        var late = BoundedReader(reader, within: .milliseconds(50))
        #expect(late.line() == .cut(Array("second".utf8)))
        close(writer)
    }

    @Test func `a program that writes without end is killed`() throws {
        let endless = try Spawner.run("/bin/sh", ["-c", "exec yes"])
        #expect(endless.code == 137)
        #expect(endless.output.utf8.count <= BoundedReader.sizeBytesMax + 8_192)
    }
}

import Model
import Testing

/// Tasks that are known to be collected by their ID, too.
@Suite struct CollectedTasksTests {
    private static func task(_ number: UInt64) -> TaskID {
        TaskID(Wide128(high: 7, low: number))
    }

    @Test func `the last tasks are remembered, as many as the bound says, and no more`() throws {
        var tasks = CollectedTasks()
        let most = UInt64(CollectedTasks.countMax)
        for number in 1...most { tasks.insert(Self.task(number)) }
        tasks.insert(Self.task(most))
        #expect(tasks.contains(Self.task(1)) && tasks.count == CollectedTasks.countMax)
        tasks.insert(Self.task(most + 1))
        #expect(!tasks.contains(Self.task(1)))
        #expect(tasks.contains(Self.task(2)) && tasks.contains(Self.task(most + 1)))
        #expect(tasks.count == CollectedTasks.countMax)
        let decoded = try CollectedTasks(decoding: tasks.encoded)
        #expect(decoded == tasks && decoded.encoded == tasks.encoded)
    }

    @Test func `one task more than the bound, or one twice, is no snapshot`() {
        for count in [UInt64(CollectedTasks.countMax), UInt64(CollectedTasks.countMax) + 1] {
            var writer = ByteWriter()
            writer.list(1...count) { Self.task($1).encode(into: &$0) }
            let isFine = (try? CollectedTasks(decoding: writer.bytes)) != nil
            #expect(isFine == (count == UInt64(CollectedTasks.countMax)))
        }
        var writer = ByteWriter()
        writer.list([1, 1] as [UInt64]) { Self.task($1).encode(into: &$0) }
        #expect(throws: CodecError.notCanonical) { try CollectedTasks(decoding: writer.bytes) }
    }
}

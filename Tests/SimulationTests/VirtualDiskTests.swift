import Model
import SimulationHarness
import Testing

@Suite struct VirtualDiskTests {
    private func put(_ key: UInt8, _ value: UInt8) -> [DurableWrite] {
        [.put(.task, key: [key], value: [value])]
    }

    /// Takes a write in; whether a sync begins with it.
    private func submit(
        _ writes: [DurableWrite], _ ticket: PersistTicket, to disk: inout VirtualDisk
    ) -> Bool {
        disk.submit(writes, ticket)
        return begins(&disk)
    }

    private func begins(_ disk: inout VirtualDisk) -> Bool {
        if case .sync? = disk.next() { true } else { false }
    }

    private func ticket(_ value: UInt64) -> PersistTicket { PersistTicket(value) }

    @Test func `writes gather while a sync is under way, and go together in the next`() {
        var disk = VirtualDisk()
        let begun = (1...3).map {
            submit(put(UInt8($0), UInt8($0)), ticket(UInt64($0)), to: &disk)
        }
        #expect(begun == [true, false, false])
        var synced = disk.finishSync().tickets
        #expect(synced == [ticket(1)])
        #expect(begins(&disk) && disk.isSyncing)
        #expect(disk[.task, [2]] == nil)
        synced = disk.finishSync().tickets
        #expect(synced == [ticket(2), ticket(3)])
        #expect(!disk.isSyncing)
        #expect(disk[.task, [3]] == [3])
    }

    @Test(arguments: 0...4)
    func `a crash leaves a prefix of what was not synced`(survivors: Int) {
        var disk = VirtualDisk()
        _ = submit(put(0, 9), ticket(1), to: &disk)
        _ = disk.finishSync()
        for key in 1...4 {
            _ = submit(put(UInt8(key), 1), ticket(UInt64(key) + 1), to: &disk)
        }
        #expect(disk.unsyncedCount == 4)
        disk.crash(survivors: survivors)
        #expect(disk[.task, [0]] == [9])
        for key in 1...4 { #expect((disk[.task, [UInt8(key)]] != nil) == (key <= survivors)) }
        #expect(disk.unsyncedCount == 0)
    }

    @Test func `a failure takes all later writes with it, until the core has been told`() throws {
        var disk = VirtualDisk()
        disk.isFull = true
        _ = submit(put(1, 1), ticket(1), to: &disk)
        _ = submit(put(2, 2), ticket(2), to: &disk)
        let answer = disk.finishSync()
        let failure = try #require(answer.failure)
        #expect(answer.tickets == [ticket(1)])
        disk.isFull = false
        guard case .tell(let later)? = disk.next() else {
            Issue.record("what waited has failed, too")
            return
        }
        let last = try #require(later.failure)
        #expect(later.tickets == [ticket(2)] && last != failure)
        // Of the second write nobody has been told yet.
        disk.resume(after: failure)
        #expect(disk.next() == nil)
        disk.resume(after: last)
        #expect(submit(put(3, 3), ticket(3), to: &disk))
        let isOnDisk = disk.finishSync().failure == nil
        #expect(isOnDisk)
        #expect(disk[.task, [3]] == [3] && disk[.task, [2]] == nil)
    }

    @Test func `a copy has what was synced, and nobody is told of what was not`() {
        var disk = VirtualDisk()
        _ = submit(put(1, 1), ticket(1), to: &disk)
        _ = disk.finishSync()
        _ = submit(put(2, 2), ticket(2), to: &disk)
        var copy = disk.copy
        #expect(copy[.task, [1]] == [1] && copy[.task, [2]] == nil)
        #expect(copy.unsyncedCount == 0 && !copy.isSyncing)
        #expect(!begins(&copy))
    }

    @Test func `removals reach from their first key up to their last one, excluded`() {
        var disk = VirtualDisk()
        _ = submit((1...5).flatMap { put(UInt8($0), 0) }, ticket(1), to: &disk)
        _ = disk.finishSync()
        _ = submit([.deleteRange(.task, from: [2], to: [4])], ticket(2), to: &disk)
        _ = disk.finishSync()
        #expect(disk.image[.task].map(\.key) == [[1], [4], [5]])
        _ = submit(
            [.delete(.task, key: [4]), .deleteRange(.task, from: [5], to: nil)], ticket(3),
            to: &disk)
        _ = disk.finishSync()
        #expect(disk.image[.task].map(\.key) == [[1]])
    }

    @Test func `an image shows each space in rising order of its keys`() {
        var disk = VirtualDisk()
        let keys: [[UInt8]] = [[3], [1, 0], [1], [2, 255]]
        _ = submit(keys.map { .put(.context, key: $0, value: []) }, ticket(1), to: &disk)
        _ = disk.finishSync()
        #expect(disk.image[.context].map(\.key) == [[1], [1, 0], [2, 255], [3]])
        #expect(disk.image[.task].isEmpty)
    }
}

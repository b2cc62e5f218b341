import Model
import SimulationHarness
import Testing

@Suite struct VirtualDiskTests {
    private func put(_ key: UInt8, _ value: UInt8) -> [DurableWrite] {
        [.put(.task, key: [key], value: [value])]
    }

    private func ticket(_ value: UInt64) -> PersistTicket { PersistTicket(value) }

    @Test func `writes gather while a sync is under way, and go together in the next`() {
        var disk = VirtualDisk()
        let begins = (1...3).map { disk.submit(put(UInt8($0), UInt8($0)), ticket(UInt64($0))) }
        #expect(begins == [true, false, false])
        var synced = disk.finishSync().tickets
        #expect(synced == [ticket(1)])
        #expect(disk.isSyncing)
        #expect(disk[.task, [2]] == nil)
        synced = disk.finishSync().tickets
        #expect(synced == [ticket(2), ticket(3)])
        #expect(!disk.isSyncing)
        #expect(disk[.task, [3]] == [3])
    }

    @Test(arguments: 0...4)
    func `a crash leaves a prefix of what was not synced`(survivors: Int) {
        var disk = VirtualDisk()
        _ = disk.submit(put(0, 9), ticket(1))
        _ = disk.finishSync()
        for key in 1...4 { _ = disk.submit(put(UInt8(key), 1), ticket(UInt64(key) + 1)) }
        #expect(disk.unsyncedCount == 4)
        disk.crash(survivors: survivors)
        #expect(disk[.task, [0]] == [9])
        for key in 1...4 { #expect((disk[.task, [UInt8(key)]] != nil) == (key <= survivors)) }
        #expect(disk.unsyncedCount == 0)
    }

    @Test func `on a full disk a failure takes all later writes with it`() {
        var disk = VirtualDisk()
        disk.isFull = true
        _ = disk.submit(put(1, 1), ticket(1))
        _ = disk.submit(put(2, 2), ticket(2))
        let (tickets, haveFailed) = disk.finishSync()
        #expect(haveFailed)
        #expect(tickets == [ticket(1), ticket(2)])
        #expect(disk[.task, [1]] == nil)
        disk.isFull = false
        _ = disk.submit(put(3, 3), ticket(3))
        let haveFailedAgain = disk.finishSync().haveFailed
        #expect(!haveFailedAgain)
        #expect(disk[.task, [3]] == [3])
    }

    @Test func `removals reach from their first key up to their last one, excluded`() {
        var disk = VirtualDisk()
        _ = disk.submit((1...5).flatMap { put(UInt8($0), 0) }, ticket(1))
        _ = disk.finishSync()
        _ = disk.submit([.deleteRange(.task, from: [2], to: [4])], ticket(2))
        _ = disk.finishSync()
        #expect(disk.image[.task].map(\.key) == [[1], [4], [5]])
        _ = disk.submit(
            [.delete(.task, key: [4]), .deleteRange(.task, from: [5], to: nil)], ticket(3))
        _ = disk.finishSync()
        #expect(disk.image[.task].map(\.key) == [[1]])
    }

    @Test func `an image shows each space in rising order of its keys`() {
        var disk = VirtualDisk()
        let keys: [[UInt8]] = [[3], [1, 0], [1], [2, 255]]
        _ = disk.submit(keys.map { .put(.context, key: $0, value: []) }, ticket(1))
        _ = disk.finishSync()
        #expect(disk.image[.context].map(\.key) == [[1], [1, 0], [2, 255], [3]])
        #expect(disk.image[.task].isEmpty)
    }
}

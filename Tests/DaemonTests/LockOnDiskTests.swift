import Foundation
import Lock
import Model
import Testing

@testable import NodeIO

/// A lock of one node on the daemon's store.
private struct LockOnDisk {
    let store: DurableStore
    private var node: LockNode
    private var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var isOpen = false
    private(set) var tokens: [TaskID: FencingToken] = [:]
    private(set) var closed = 0

    init(folder: String) throws {
        store = try DurableStore(path: "\(folder)/s.sqlite", done: { _ in })
        node = try LockNode(
            id: NodeID(Wide128(high: 0, low: 1)), bootID: BootID(7),
            configuration: LockConfiguration(profile: .local), restored: DurableImage(),
            isFounder: true, isSameMachineBoot: false, seed: 5, at: now)
        handle(
            .members([LockMember(id: NodeID(Wide128(high: 0, low: 1)), state: .alive, since: now)]))
        pass(.seconds(2))
        handle(.openSession(keeping: []))
        pass(.seconds(1))
    }

    mutating func pass(_ span: Duration) {
        let end = now + span
        while let due = node.nextDeadline, due <= end {
            now = max(now, due)
            handle(.deadlineReached)
        }
        now = end
    }

    /// What is written counts as written at once: this is about rows, not about crashes.
    mutating func handle(_ event: LockEvent) {
        var events = [event]
        while !events.isEmpty {
            var effects: [LockEffect] = []
            node.handle(events.removeFirst(), at: now) { effects.append($0) }
            for effect in effects {
                switch effect {
                case .persist(let writes, let ticket):
                    store.submit(writes, PersistTicket(ticket.value))
                    events.append(.persisted(ticket))
                case .sessionOpened: isOpen = true
                case .granted(let task, let token, _, _): tokens[task] = token
                case .closed: closed += 1
                default: break
                }
            }
        }
    }
}

@Suite struct LockOnDiskTests {
    @Test func `rows of the lock's log leave the store, and its file stops growing`() throws {
        let folder =
            FileManager.default.temporaryDirectory.path + "/magpie-lock-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var lock = try LockOnDisk(folder: folder)
        try #require(lock.isOpen)
        var sizes: [Int] = []
        let perRound = Int(LockConfiguration.compactEvery)
        for round in 0..<4 {
            for number in 1...perRound { run(round * perRound + number, in: &lock) }
            lock.store.flush()
            sizes.append(try size(of: folder))
        }
        #expect(lock.closed == 4 * perRound)
        let image = try lock.store.load()
        #expect(image[.raftLog].count <= perRound + 64)
        // A file that has held one full log has room for all later ones.
        #expect(sizes[3] <= sizes[1] * 5 / 4)
    }

    private func run(_ number: Int, in lock: inout LockOnDisk) {
        let task = TaskID(Wide128(high: 7, low: UInt64(number)))
        let birth = BirthDot(origin: BootID(99), sequence: UInt64(number))
        lock.handle(
            .acquire([
                AcquireRequest(task: task, birth: birth, restart: .onNodeLoss, onPartition: .rerun)
            ]))
        guard let token = lock.tokens[task] else { return }
        lock.handle(.close(task, token, TaskOutcome(kind: .complete, exit: ExitStatus(code: 0))))
        lock.handle(.collected([birth]))
        if number.isMultiple(of: 512) { lock.pass(.milliseconds(600)) }
    }

    private func size(of folder: String) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: folder).reduce(0) { sum, name in
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
            return sum + (attributes[.size] as? Int ?? 0)
        }
    }
}

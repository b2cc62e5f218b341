import Foundation
import Model

/// Lets readers of a log sleep until something was written into it.
final class LogChanges: Sendable {
    /// What is waited for is counted, so that a change between looking and waiting is not missed.
    private struct State {
        var counts: [ContainerID: UInt64] = [:]
        var waiters: [ContainerID: [UInt64: CheckedContinuation<Void, Never>]] = [:]
        var lastWaiter: UInt64 = 0
    }

    private let lock = NSLock()
    private nonisolated(unsafe) var state = State()

    /// How long a reader sleeps at most: a change that the kernel did not tell of shows then.
    static let sleepMax: Duration = .seconds(2)

    /// How many changes there were so far.
    func count(of id: ContainerID) -> UInt64 { lock.withLock { state.counts[id] ?? 0 } }

    /// A log has changed.
    func tell(_ id: ContainerID) {
        release(id) { $0.counts[id, default: 0] &+= 1 }
    }

    /// A log will not change any more.
    func forget(_ id: ContainerID) {
        release(id) { $0.counts[id] = nil }
    }

    private func release(_ id: ContainerID, _ change: (inout State) -> Void) {
        let waiters = lock.withLock {
            change(&state)
            return state.waiters.removeValue(forKey: id) ?? [:]
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Nobody waits any more.
    func releaseAll() {
        let waiters = lock.withLock {
            defer { state = State() }
            return state.waiters.values.flatMap(\.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits until the count is another one than `seen`, or the time is up.
    func wait(for id: ContainerID, since seen: UInt64, atMost limit: Duration) async {
        let number = lock.withLock {
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                await withCheckedContinuation { continuation in
                    let waits = lock.withLock {
                        guard state.counts[id] ?? 0 == seen else { return false }
                        state.waiters[id, default: [:]][number] = continuation
                        return true
                    }
                    if !waits { continuation.resume() }
                }
            }
            group.addTask { try? await Task.sleep(for: min(limit, LogChanges.sleepMax)) }
            await group.next()
            group.cancelAll()
            cancel(number, of: id)
            await group.waitForAll()
        }
    }

    private func cancel(_ number: UInt64, of id: ContainerID) {
        let waiter = lock.withLock {
            let waiter = state.waiters[id]?.removeValue(forKey: number)
            if state.waiters[id]?.isEmpty == true { state.waiters[id] = nil }
            return waiter
        }
        waiter?.resume()
    }
}

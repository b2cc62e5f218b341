import Synchronization

/// How a member shows another one.
enum ShownState: Sendable {
    case alive
    case suspect
    case failed
    case left
}

/// What a line in a member's log says.
enum MembershipLine: Sendable {
    /// The member runs, and its peers call it by this key.
    case ready(key: String)
    /// It shows the member with this key otherwise than before.
    case changed(key: String, ShownState)
}

/// What the members' logs have said of each other, and when each line was read.
final class MembershipLedger: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// One member's word about another.
    struct Change: Sendable {
        let at: Instant
        let observer: Int
        let subject: Int
    }

    private struct Entry {
        var state: ShownState
        var since: Instant
    }

    private struct Book {
        var keys: [Int: String] = [:]
        var ready: [Int: Instant] = [:]
        var views: [Int: [String: Entry]] = [:]
        var failures: [(at: Instant, observer: Int, key: String)] = []
    }

    private let book = Mutex(Book())

    func note(_ line: MembershipLine, by observer: Int) {
        let now = ContinuousClock.now
        book.withLock { book in
            switch line {
            case .ready(let key):
                book.keys[observer] = key
                book.ready[observer] = now
            case .changed(let key, let state):
                guard book.views[observer]?[key]?.state != state else { return }
                book.views[observer, default: [:]][key] = Entry(state: state, since: now)
                if state == .failed { book.failures.append((now, observer, key)) }
            }
        }
    }

    /// A member begins another life, and knows nothing yet.
    func begin(_ observer: Int) {
        book.withLock { book in
            book.ready[observer] = nil
            book.views[observer] = nil
        }
    }

    // MARK: Queries

    /// What others call a member.
    func key(of member: Int) -> String? { book.withLock { $0.keys[member] } }

    func isReady(_ member: Int) -> Bool { book.withLock { $0.ready[member] != nil } }

    /// Since when each of these members lists all others of them; `nil` when one does not.
    ///
    /// A suspect is listed: only what is shown as failed or left has gone from a list.
    func fullSince(among members: [Int]) -> Instant? {
        book.withLock { book in
            var latest: Instant?
            for observer in members {
                let view = book.views[observer] ?? [:]
                for subject in members where subject != observer {
                    guard let key = book.keys[subject], let entry = view[key],
                        entry.state == .alive || entry.state == .suspect
                    else { return nil }
                    latest = latest.map { max($0, entry.since) } ?? entry.since
                }
            }
            return latest
        }
    }

    /// When these members began to show another one so; `nil` when one of them does not.
    func times(
        when subject: Int, is state: ShownState, by observers: [Int]
    ) -> [Instant]? {
        book.withLock { book in
            guard let key = book.keys[subject] else { return nil }
            let times = observers.compactMap { observer -> Instant? in
                guard let entry = book.views[observer]?[key], entry.state == state else {
                    return nil
                }
                return entry.since
            }
            return times.count == observers.count ? times : nil
        }
    }

    /// All that was shown as failed since then, in order.
    func failures(since begin: Instant) -> [Change] {
        book.withLock { book in
            let numbers = Dictionary(book.keys.map { ($0.value, $0.key) }) { first, _ in first }
            return book.failures.compactMap { failure in
                guard failure.at >= begin, let subject = numbers[failure.key] else { return nil }
                return Change(at: failure.at, observer: failure.observer, subject: subject)
            }
        }
    }
}

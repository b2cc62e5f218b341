import Model

@testable import Lock

/// One machine: a clock, a disk, a daemon that may be away, and containers.
final class Machine {
    /// An ordered map per space, as nodes have one.
    struct Disk {
        private var rows: [DurableSpace: [[UInt8]: [UInt8]]] = [:]

        mutating func apply(_ writes: [DurableWrite]) {
            for write in writes {
                switch write {
                case .put(let space, let key, let value): rows[space, default: [:]][key] = value
                case .delete(let space, let key): rows[space]?[key] = nil
                case .deleteRange(let space, let from, let to):
                    rows[space] = rows[space]?.filter { key, _ in
                        key.lexicographicallyPrecedes(from)
                            || to.map { !key.lexicographicallyPrecedes($0) } ?? false
                    }
                }
            }
        }

        func rowCount(_ space: DurableSpace) -> Int { rows[space]?.count ?? 0 }

        func sizeBytes(_ space: DurableSpace) -> Int {
            (rows[space] ?? [:]).reduce(0) { $0 + $1.key.count + $1.value.count }
        }

        var image: DurableImage {
            var image = DurableImage()
            for (space, rows) in rows {
                image[space] = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                    .map { DurableImage.Row(key: $0.key, value: $0.value) }
            }
            return image
        }
    }

    let number: Int
    var node: LockNode?
    var disk = Disk()
    var writes: [(ticket: LockTicket, writes: [DurableWrite], due: Int64)] = []
    var refusesWrites = false
    /// How much faster than real time its clock runs, and what the clock showed at the beginning.
    var rate: Double
    var offset: Int64
    /// Its clock began anew: instants on its disk are worth nothing.
    var hasRebooted = false
    var frozenUntil: Int64 = 0
    var hasLeft = false

    /// Containers by task, and the lease that they hang on.
    var running: [TaskID: FencingToken] = [:]
    /// Tasks that the lock was asked for.
    var asked: Set<TaskID> = []
    var session: SessionID?
    var leaseUntil: Instant = .zero
    /// Until when each session's lease was good at most, as the machine was told.
    var promises: [SessionID: Instant] = [:]
    /// What it thinks of the others; and since when it does not hear them.
    var view: [Int: LockMember] = [:]
    var unheardSince: [Int: Int64] = [:]
    var joined: Int64

    init(number: Int, rate: Double, offset: Int64, since: Int64) {
        self.number = number
        self.rate = rate
        self.offset = offset
        joined = since
    }

    /// What its clock shows at a point of real time.
    func local(_ now: Int64) -> Instant {
        Instant(nanoseconds: offset + Int64(Double(now) * rate))
    }

    /// When it next has something to do, in real time.
    var nextDue: Int64? {
        guard let node else { return nil }
        var due = writes.first?.due
        if let deadline = node.nextDeadline, deadline < .distantFuture {
            let real = Int64((Double(deadline.nanoseconds - offset) / rate).rounded(.up)) + 1
            due = min(due ?? real, real)
        }
        return due.map { max($0, frozenUntil) }
    }
}

extension LockBench {
    /// Tells each machine who is there; silence of a second and a half counts as death.
    func look() {
        for number in machines.keys.sorted() {
            guard let machine = machines[number], machine.node != nil else { continue }
            var changed = false
            for other in machines.keys.sorted() where other < 100 {
                let state = state(of: other, seenFrom: machine)
                guard machine.view[other]?.state != state else { continue }
                changed = true
                machine.view[other] = LockMember(
                    id: LockBench.id(other), state: state, since: machine.local(now),
                    zone: zones[other])
            }
            guard changed else { continue }
            let members = machine.view.sorted { $0.key < $1.key }.map(\.value)
            step(number, .members(members))
        }
    }

    private func state(of other: Int, seenFrom machine: Machine) -> LockMember.State {
        guard let peer = machines[other] else { return .dead }
        if peer.hasLeft { return .left }
        if other == machine.number % 100 { return .alive }
        let isHeard =
            peer.node != nil && peer.frozenUntil <= now
            && !cuts.contains(Cut(from: other, to: machine.number))
            && !cuts.contains(Cut(from: machine.number, to: other))
        if isHeard {
            machine.unheardSince[other] = nil
            return .alive
        }
        let since = machine.unheardSince[other] ?? now
        machine.unheardSince[other] = since
        return now - since < deathAfter.nanoseconds ? machine.view[other]?.state ?? .alive : .dead
    }
}

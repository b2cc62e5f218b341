import Cluster
import Gossip
import Model

/// The hash of everything that happened, and one line per thing for people to read.
package struct Trace {
    /// The digest of all events and effects so far: equal for equal runs.
    package private(set) var hash = Digest.start
    /// Takes the lines; none are made without it.
    package var sink: ((String) -> Void)?

    /// Starts with nothing seen.
    package init() {}

    /// An event goes into a node.
    mutating func note(_ event: NodeEvent, by machine: Machine, at time: Int64) {
        mix(UInt64(bitPattern: time))
        mix(UInt64(machine.index))
        mix(event)
        if let sink {
            sink("\(Trace.seconds(time)) \(machine.name) ← \(Description.of(event))")
        }
    }

    /// An effect comes out of a node.
    mutating func note(_ effect: NodeEffect, by machine: Machine, at time: Int64) {
        mix(effect)
        if let sink {
            sink("\(Trace.seconds(time)) \(machine.name)   → \(Description.of(effect))")
        }
    }

    /// Something happens in the world that no node is told of.
    mutating func note(_ text: @autoclosure () -> String, at time: Int64) {
        mix(UInt64(bitPattern: time))
        if let sink { sink("\(Trace.seconds(time)) ** \(text())") }
    }

    /// Virtual time in seconds, with microseconds.
    package static func seconds(_ nanoseconds: Int64) -> String {
        let micros = nanoseconds / 1_000
        let (whole, part) = micros.quotientAndRemainder(dividingBy: 1_000_000)
        let digits = String(part)
        return "\(whole)." + String(repeating: "0", count: 6 - digits.count) + digits
    }

    // MARK: Hashing

    private mutating func mix(_ event: NodeEvent) {
        switch event {
        case .received(let bytes, _, let channel): mix(bytes, UInt64(channel.rawValue))
        case .persisted(let ticket): mix(ticket.value << 8 | 3)
        case .persistFailed(let ticket, _): mix(ticket.value << 8 | 4)
        case .container(let id, let event):
            mix(id)
            mix(code(of: event))
        case .request(let id, _): mix(id.value << 8 | 5)
        case .logRead(let id, _): mix(id.value << 8 | 6)
        case .image: mix(19)
        case .measured(let id, _): mix(id.value << 8 | 9)
        case .called(let id, _): mix(id.value << 8 | 10)
        case .wallClock(let time): mix(UInt64(bitPattern: time.milliseconds))
        case .pressure: mix(7)
        case .deadlineReached: mix(8)
        }
    }

    private mutating func mix(_ effect: NodeEffect) {
        switch effect {
        case .send(let bytes, let address, _, let channel):
            mix(address.ip, UInt64(channel.rawValue))
            mix(bytes, 11)
        case .persist(let writes, let ticket):
            mix(ticket.value << 8 | 12)
            for write in writes { mix(write) }
        case .container(let id, let command):
            mix(id)
            mix(code(of: command))
        case .armGuard(let deadline): mix(UInt64(bitPattern: deadline.nanoseconds) << 8 | 16)
        case .readLog(let id, _, _, _): mix(id.value << 8 | 13)
        case .image(let command): mix(code(of: command))
        case .logCopy(let id, _):
            mix(id)
            mix(17)
        case .measure(let id, _): mix(id.value << 8 | 18)
        case .call(let id, _, _, _): mix(id.value << 8 | 19)
        case .reply(let id, let reply):
            mix(id.value << 8 | 14)
            mix(code(of: reply))
        case .observe(let observation): mix(code(of: observation))
        case .stop: mix(17)
        case .keepKey(let key): mix(key.bytes, 20)
        }
    }

    private mutating func mix(_ write: DurableWrite) {
        switch write {
        case .put(let space, let key, let value):
            mix(key, UInt64(space.rawValue))
            mix(value, 1)
        case .delete(let space, let key): mix(key, UInt64(space.rawValue) << 8)
        case .deleteRange(let space, let from, let to):
            mix(from, UInt64(space.rawValue) << 16)
            if let to { mix(to, 2) }
        }
    }

    private mutating func mix(_ bytes: [UInt8], _ basis: UInt64) {
        hash = Digest.mix(hash, Digest.of(bytes, basis: basis))
    }

    private mutating func mix(_ id: ContainerID) {
        mix(id.task.value.low)
        mix(id.token.index)
    }

    private mutating func mix(_ word: UInt64) { hash = Digest.mix(hash, word) }

    private func code(of event: ContainerEvent) -> UInt64 {
        switch event {
        case .created: 21
        case .started: 22
        case .exited(let status): UInt64(bitPattern: Int64(status.code)) << 8 | 23
        case .failed(let failure): UInt64(bitPattern: Int64(failure.code)) << 8 | 24
        case .vanished: 25
        case .noted: 26
        case .used(let usage): usage.cpuMicroseconds << 8 | 27
        }
    }

    private func code(of command: ContainerCommand) -> UInt64 {
        switch command {
        case .create: 31
        case .start: 32
        case .signal(let signal): UInt64(bitPattern: Int64(signal)) << 8 | 33
        case .stop(let signal): UInt64(signal ?? 0) << 8 | 37
        case .kill: 34
        case .remove: 35
        case .removeLog: 36
        }
    }

    private func code(of command: ImageStoreCommand) -> UInt64 {
        switch command {
        case .check(let digest): UInt64(digest.bytes[0]) << 8 | 71
        case .read(let read, _, let offset): (read.value ^ offset) << 8 | 72
        case .write(_, _, let chunk): (chunk.offset ^ UInt64(chunk.bytes.count)) << 8 | 73
        }
    }

    private func code(of reply: NodeReply) -> UInt64 {
        switch reply {
        case .submitted(let id, let copies): id.value.low ^ UInt64(copies)
        case .accepted: 41
        case .log: 42
        case .usage: 46
        case .call: 47
        case .joined: 43
        case .token: 44
        case .evicted(let nodes): UInt64(nodes.count) << 8 | 48
        case .refused: 45
        }
    }

    private func code(of observation: Observation) -> UInt64 {
        switch observation {
        case .taskChanged(let id): id.value.low ^ 51
        case .memberChanged(let id, _): id.value.low ^ 52
        case .dropped: 53
        case .claimsRequested(let count): UInt64(count) << 8 | 54
        case .claimGranted(let id, let token): id.value.low ^ token.index << 8 ^ 55
        case .claimDenied(let id): id.value.low ^ 56
        case .leaseLapsed(let session): session.value ^ 57
        case .leaseExtended(let session, let until):
            session.value ^ UInt64(bitPattern: until.nanoseconds)
        case .lockLeader(let isLeader): isLeader ? 58 : 59
        case .votersChanged(let voters): UInt64(voters.count) << 8 | 60
        case .notice: 61
        }
    }
}

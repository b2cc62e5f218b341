import Model
import Testing

@testable import Cluster

@Suite struct LogCopierTests {
    private let start = Instant(nanoseconds: 1_000_000_000)
    private let peers = [NodeID(Wide128(high: 1, low: 1)), NodeID(Wide128(high: 2, low: 2))]

    private func container(_ number: UInt64) -> ContainerID {
        ContainerID(
            task: TaskID(Wide128(high: 9, low: number)),
            token: FencingToken(generation: 1, index: number))
    }

    private func chunk(
        from begin: UInt64, to end: UInt64, size: Int = 4, isEnd: Bool = false
    ) -> LogChunk {
        let entry = LogEntry(
            stream: .stdout, time: WallTime(milliseconds: 1),
            bytes: Array(repeating: 65, count: size), endOffset: end)
        return LogChunk(
            entries: [entry], begin: LogCursor(segment: 0, offset: begin),
            next: LogCursor(segment: 0, offset: end), isEnd: isEnd)
    }

    @Test func `a log is read, sent, and read on from where everybody is`() {
        var copier = LogCopier(at: start)
        let id = container(1)
        let step1 = copier.add(id, at: start)
        #expect(step1)
        let step2 = copier.add(id, at: start)
        #expect(!step2)
        let step3 = copier.due(id, targets: peers, at: start)
        #expect(step3 == .read(.newest(after: .beginning)))
        let first = chunk(from: 0, to: 50)
        let step4 = copier.read(id, first, targets: peers, at: start)
        #expect(step4 == .send(peers))
        let step5 = copier.kept(id, by: peers[0], upTo: first.next, at: start)
        #expect(step5 == .rest)
        let rested = start + LogCopier.interval
        let step6 = copier.kept(id, by: peers[1], upTo: first.next, at: start)
        #expect(step6 == .wait(until: rested))
        let step7 = copier.due(id, targets: peers, at: start)
        #expect(step7 == .rest)
        let step8 = copier.due(id, targets: peers, at: rested)
        #expect(step8 == .read(.newest(after: first.next)))
        let last = chunk(from: 50, to: 90, isEnd: true)
        let step9 = copier.read(id, last, targets: peers, at: rested)
        #expect(step9 == .send(peers))
        _ = copier.kept(id, by: peers[1], upTo: last.next, at: rested)
        _ = copier.kept(id, by: peers[0], upTo: last.next, at: rested)
        #expect(copier.count == 0)
    }

    @Test func `who has not answered is sent it again, and a new one gets all`() throws {
        var copier = LogCopier(at: start)
        let id = container(1)
        _ = copier.add(id, at: start)
        _ = copier.due(id, targets: peers, at: start)
        let first = chunk(from: 0, to: 50)
        _ = copier.read(id, first, targets: peers, at: start)
        _ = copier.kept(id, by: peers[0], upTo: first.next, at: start)
        let due = try #require(copier.answersDue(id))
        let step10 = copier.due(id, targets: peers, at: due)
        #expect(step10 == .read(.newest(after: .beginning)))
    }

    @Test func `an answer that was not asked for changes nothing`() {
        var copier = LogCopier(at: start)
        let id = container(1)
        _ = copier.add(id, at: start)
        _ = copier.due(id, targets: peers, at: start)
        _ = copier.read(id, chunk(from: 0, to: 50), targets: [peers[0]], at: start)
        let other = LogCursor(segment: 0, offset: 99)
        let step11 = copier.kept(id, by: peers[0], upTo: other, at: start)
        #expect(step11 == .rest)
        let next = LogCursor(segment: 0, offset: 50)
        let step12 = copier.kept(id, by: peers[1], upTo: next, at: start)
        #expect(step12 == .rest)
        let step13 = copier.kept(container(2), by: peers[0], upTo: next, at: start)
        #expect(step13 == .rest)
        #expect(copier.answersDue(id) != nil)
    }

    @Test func `a log whose keepers never answer is given up`() {
        var copier = LogCopier(at: start)
        let id = container(1)
        _ = copier.add(id, at: start)
        var now = start
        for _ in 0..<LogCopier.failuresMax {
            #expect(copier.count == 1)
            guard case .wait(let until) = copier.due(id, targets: [], at: now) else {
                Issue.record("nobody is there to send to")
                return
            }
            now = until
        }
        let step14 = copier.due(id, targets: [], at: now)
        #expect(step14 == .rest)
        #expect(copier.count == 0)
    }

    @Test func `logs at the bound are copied and one past it is not`() {
        var copier = LogCopier(at: start)
        for number in 0..<UInt64(LogCopier.logsMax) {
            let step15 = copier.add(container(number), at: start)
            #expect(step15)
        }
        let step16 = copier.add(container(UInt64(LogCopier.logsMax)), at: start)
        #expect(!step16)
        copier.remove(container(0))
        let step17 = copier.add(container(UInt64(LogCopier.logsMax)), at: start)
        #expect(step17)
    }

    @Test func `many loud logs together stay within the allowance`() {
        var copier = LogCopier(at: start)
        let size = 64 << 10
        var now = start
        var sent = 0
        var place: [UInt64: UInt64] = [:]
        for number in 0..<50 { _ = copier.add(container(UInt64(number)), at: start) }
        // Every log always has a full excerpt, and everybody answers at once.
        for _ in 0..<200 {
            now = now + .milliseconds(100)
            for number in 0..<UInt64(50) {
                let id = container(number)
                guard case .read = copier.due(id, targets: peers, at: now) else { continue }
                let from = place[number] ?? 0
                let part = chunk(from: from, to: from + 70_000, size: size)
                guard case .send(let targets) = copier.read(id, part, targets: peers, at: now)
                else { continue }
                sent += size * targets.count
                place[number] = from + 70_000
                for peer in targets { _ = copier.kept(id, by: peer, upTo: part.next, at: now) }
            }
        }
        let seconds = 20
        let most = LogCopier.burstBytes + seconds * LogCopier.bytesPerSecond + 4 * size
        #expect(sent <= most)
        #expect(sent > most / 2)
        #expect(place.count == 50, "every log has its turn")
    }
}

import Foundation
import Glibc
import Gossip
import Model

/// The members of one program, as processes, and what they have said of each other.
final class MembershipCluster {
    let program: any MembershipProgram
    let ledger = MembershipLedger()
    let count: Int
    private let folder: String
    private var processes: [Int: WatchedProcess] = [:]

    /// How long a change may take until it is given up, in seconds; shown as this long.
    static let patienceSeconds = 90.0

    init(_ program: any MembershipProgram, of count: Int, in folder: String) {
        self.program = program
        self.count = count
        self.folder = folder
    }

    /// The members that run.
    var running: [Int] { processes.keys.sorted() }

    func others(than members: Int...) -> [Int] { running.filter { !members.contains($0) } }

    private func place(_ number: Int) -> MemberPlace {
        MemberPlace(number: number, directory: "\(folder)/n\(number)")
    }

    private var seed: String { place(0).address }

    // MARK: Life

    /// Founds the cluster, and has all others join it at once.
    ///
    /// - Returns: The seconds from the start of their programs until every list is full.
    func form() async throws -> Double {
        try start(0, .founding)
        let ledger = ledger
        guard await wait(until: { ledger.isReady(0) }) else {
            throw BenchFailure("\(program.name): the first member does not start")
        }
        let token = try await program.token(of: place(0))
        let begin = ContinuousClock.now
        for number in 1..<count { try start(number, .joining(seed: seed, token: token)) }
        return try await secondsUntilFull(since: begin)
    }

    private func start(_ number: Int, _ entrance: MemberEntrance) throws {
        let (program, ledger, place) = (program, ledger, place(number))
        ledger.begin(number)
        processes[number] = try WatchedProcess.start(
            MembershipNetwork.entrance(to: number) + program.command(of: place, entrance)
        ) { line in
            if let line = program.read(line, of: place) { ledger.note(line, by: number) }
        }
    }

    /// Starts a member again that was killed or has left.
    func restart(_ number: Int) throws { try start(number, .returning(seed: seed)) }

    func kill(_ number: Int) {
        guard let process = processes.removeValue(forKey: number) else { return }
        process.send(SIGKILL)
        process.reap()
    }

    func send(_ signal: Int32, to number: Int) { processes[number]?.send(signal) }

    func leave(_ number: Int) async throws {
        guard let process = processes[number] else { return }
        try await program.leave(place(number), process)
    }

    /// Waits for the end of a member that has left.
    func reap(_ number: Int) { processes.removeValue(forKey: number)?.reap() }

    /// Ends all members at once.
    func stop() {
        for process in processes.values { process.send(SIGKILL) }
        for process in processes.values { process.reap() }
        processes = [:]
        for number in 0..<count {
            try? FileManager.default.removeItem(atPath: place(number).directory)
        }
    }

    /// How each packet of a member to another one begins; `nil` where packets are no secrets of their
    /// senders anyway.
    func header(ofPacketsFrom member: Int) async throws -> [UInt8]? {
        let text = try await program.token(of: place(0))
        guard let token = JoinToken(text), let key = ledger.key(of: member),
            let node = Wide128(hexadecimal: key)
        else { return nil }
        var writer = ByteWriter()
        writer.byte(1)
        writer.fixed64(token.cluster.value.high)
        writer.fixed64(node.high)
        writer.fixed64(node.low)
        return writer.bytes
    }

    func usage(of member: Int) -> WatchedProcess.Usage {
        processes[member]?.usage ?? WatchedProcess.Usage()
    }

    func usages() -> [WatchedProcess.Usage] { running.compactMap { processes[$0]?.usage } }

    // MARK: Waiting

    /// The seconds since then until all running members list each other.
    func secondsUntilFull(since begin: ContinuousClock.Instant) async throws -> Double {
        let (ledger, members) = (ledger, running)
        guard await wait(until: { ledger.fullSince(among: members) != nil }),
            let end = ledger.fullSince(among: members)
        else { return MembershipCluster.patienceSeconds }
        return (end - begin) / .seconds(1)
    }

    /// The seconds since then until these members show another one so: the first, and the last.
    func secondsUntil(
        _ subject: Int, is state: ShownState, by observers: [Int],
        since begin: ContinuousClock.Instant
    ) async -> (first: Double, all: Double) {
        let ledger = ledger
        guard await wait(until: { ledger.times(when: subject, is: state, by: observers) != nil }),
            let times = ledger.times(when: subject, is: state, by: observers),
            let first = times.min(), let last = times.max()
        else { return (MembershipCluster.patienceSeconds, MembershipCluster.patienceSeconds) }
        return ((first - begin) / .seconds(1), (last - begin) / .seconds(1))
    }

    /// Waits until all is quiet again.
    func settle() async throws {
        _ = try await secondsUntilFull(since: .now)
        try await Task.sleep(for: .seconds(3))
    }

    /// Returns whether the condition has come about in time.
    ///
    /// The ledger knows exactly when; this need not look often.
    func wait(until condition: () -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(MembershipCluster.patienceSeconds)
        while !condition() {
            guard ContinuousClock.now < end else { return false }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return true
    }
}

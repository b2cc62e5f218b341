import Model
import Testing

@testable import Cluster

/// Calls at the node whose client makes them.
@Suite struct CallRuleTests {
    private static let task = TaskID(Wide128(high: 0x0190_0000_0000_7000, low: 1 << 63))
    private static let program = CallTarget.program(CallProgram(command: ["ls"]))

    private func running() throws -> (rig: NodeRig, id: ContainerID) {
        var rig = try NodeRig()
        let made = rig.submit(TaskSpec(command: ["true"]), id: Self.task)
        let id = try #require(made)
        rig.step(.container(id, .created))
        rig.step(.container(id, .started))
        return (rig, id)
    }

    @Test func `a call goes to the task's container, and each has its own key`() throws {
        var (rig, id) = try running()
        let first = rig.ask(.openCall(Self.task, Self.program))
        let second = rig.ask(.openCall(Self.task, .input))
        let called = rig.called
        #expect(called.count == 2 && called.allSatisfy { $0.container == id })
        #expect(called[0].command == .open(Self.program) && called[1].command == .open(.input))
        #expect(called[0].key != called[1].key)
        #expect(rig.replies[first] == nil)
        rig.step(.called(called[0].id, .opened(inputAt: 0)))
        guard case .call(let call, .opened(inputAt: 0))? = rig.replies[first] else {
            Issue.record("it must be answered")
            return
        }
        let read = rig.ask(.call(call, .read(from: 0, waitAtMost: .seconds(10))))
        let last = try #require(rig.called.last)
        #expect(last.key == called[0].key && last.container == id)
        rig.step(.called(last.id, .output([], next: 0, end: .exited(3))))
        guard case .call(_, .output([], next: 0, end: .exited(3)))? = rig.replies[read] else {
            Issue.record("it must be answered")
            return
        }
        #expect(rig.replies[second] == nil)
    }

    @Test func `what does not run can't be called`() throws {
        var (rig, id) = try running()
        let unknown = rig.ask(.openCall(TaskID(Wide128(high: 1, low: 1)), Self.program))
        #expect(rig.refusal(of: unknown)?.code == .notFound)
        let empty = rig.ask(.openCall(Self.task, .program(CallProgram(command: []))))
        #expect(rig.refusal(of: empty)?.code == .invalid)
        rig.step(.container(id, .exited(ExitStatus(code: 0))))
        let late = rig.ask(.openCall(Self.task, Self.program))
        #expect(rig.refusal(of: late)?.code == .conflict)
        #expect(rig.called.isEmpty)
    }

    @Test func `a command that nobody answers is refused once its time is up`() throws {
        var (rig, id) = try running()
        let call = Call(number: 1, container: id, holder: rig.node.id)
        let open = rig.ask(.openCall(Self.task, Self.program))
        let read = rig.ask(.call(call, .read(from: 0, waitAtMost: .seconds(10))))
        rig.run(for: .seconds(4))
        #expect(rig.refusal(of: open)?.code == .unavailable)
        #expect(rig.replies[read] == nil)
        rig.run(for: .seconds(10))
        #expect(rig.refusal(of: read)?.code == .unavailable)
        // Too late for anybody.
        rig.step(.called(try #require(rig.called.last).id, .done))
    }

    @Test func `commands are taken up to their bound, and not one more`() throws {
        var (rig, id) = try running()
        let call = Call(number: 1, container: id, holder: rig.node.id)
        for _ in 0..<Node.callQueriesMax { _ = rig.ask(.call(call, .close)) }
        let one = rig.ask(.call(call, .close))
        #expect(rig.refusal(of: one)?.code == .overloaded)
        #expect(rig.called.count == Node.callQueriesMax)
    }

    @Test func `messages about calls come back from their bytes`() throws {
        let container = ContainerID(
            task: Self.task, token: FencingToken(generation: 1, index: 2))
        let query = PeerMessage.callQuery(
            CallQueryID(5), container, number: 6, .write([1], at: 2, isEnd: true))
        guard
            case .callQuery(let id, container, number: 6, .write([1], at: 2, isEnd: true)) =
                try PeerMessage(decoding: query.encoded)
        else {
            Issue.record("another message")
            return
        }
        #expect(id == CallQueryID(5))
        let answer = PeerMessage.callAnswer(CallQueryID(5), .taken(upTo: 9))
        guard case .callAnswer(id, .taken(upTo: 9)) = try PeerMessage(decoding: answer.encoded)
        else {
            Issue.record("another message")
            return
        }
    }
}

import Model
import SimulationHarness
import Testing

/// What happens to machines during a study.
@Suite struct IncidentTests {
    private func study(_ settings: [(String, String)]) throws -> FairnessStudy {
        var study = FairnessStudy(seed: 4, nodeCount: 5, taskCount: 60, load: 0.5)
        for (name, value) in settings { try study.set(name, to: value) }
        return study
    }

    private func seconds(_ span: StudyRun.Span?) -> Double {
        span.map { Double($0.to - $0.from) / 1e9 } ?? .nan
    }

    @Test func `fast machines need less time, slow ones more`() throws {
        // One task of 10 s, submitted after 20 s.
        var alone = try study([
            ("nodes", "1"), ("cores", "1"), ("tasks", "1"), ("mean", "10"),
            ("service", "constant"), ("arrivals", "regular"), ("warmup", "0"),
        ])
        #expect(abs(seconds(World.study(alone).timeline.first) - 10) < 1e-6)
        try alone.set("incidents", to: "slow(at=25s, share=1, speed=0.5)")
        // Five seconds are done, the other five take ten.
        #expect(abs(seconds(World.study(alone).timeline.first) - 15) < 0.1)
        try alone.set("incidents", to: "slow(at=25s, share=1, speed=0.5, for=4s)")
        #expect(abs(seconds(World.study(alone).timeline.first) - 12) < 0.1)
        try alone.set("incidents", to: "")
        try alone.set("speeds", to: "2")
        try alone.set("load", to: "0.25")
        #expect(abs(seconds(World.study(alone).timeline.first) - 5) < 1e-6)
    }

    @Test func `tasks of lost machines run elsewhere`() throws {
        let study = try study([("incidents", "loss(at=20s, share=0.4)")])
        let result = World.study(study)
        #expect(result.violation == nil)
        #expect(result.timeline.count > 60)
        #expect(result[.reruns] == Double(result.timeline.count - 60))
        #expect(result[.rerunDelayMax] > 1)
        let lost = Set(0..<5).filter { node in
            !result.timeline.contains { $0.node == node && $0.from > 20_000_000_000 }
        }
        #expect(lost.count == 2)
    }

    @Test func `of what a lost machine ran few ask before the lock says that it is free`() throws {
        var study = try study([
            ("nodes", "14"), ("tasks", "90"), ("mean", "60"),
            ("incidents", "loss(at=150s, share=0.3)"),
        ])
        study.seed = 8
        let result = World.study(study)
        #expect(result.violation == nil)
        #expect(result[.reruns] == 10)
        // 1.7; where everybody asks as soon as the machine looks dead, it is 2.5.
        #expect(result[.lockRequests] < 2.1, "\(result[.lockRequests])")
    }

    @Test func `machines come back`() throws {
        let study = try study([
            ("incidents", "loss(at=15s, share=0.4, for=20s)"), ("tasks", "120"),
        ])
        let result = World.study(study)
        #expect(result.violation == nil)
        let working = Set(result.timeline.filter { $0.from > 40_000_000_000 }.map(\.node))
        #expect(working.count == 5)
    }

    @Test func `what is cut off goes on when the cut is mended`() throws {
        let study = try study([("incidents", "partition(at=10s, share=0.4, for=40s)")])
        let result = World.study(study)
        #expect(result.violation == nil)
        #expect(result.waits.count == World.countedTasks(of: study))
        #expect(result.measures[.reruns] != nil)
    }

    @Test func `the same study gives the same result`() throws {
        let study = try study([("incidents", "loss(at=15s,for=10s),slow(at=5s,share=0.4)")])
        let first = World.study(study)
        let second = World.study(study)
        #expect(first.timeline == second.timeline)
        #expect(first.measures == second.measures)
    }

    @Test(arguments: ["loss", "slow(at=5s,share=0.25,for=2s,speed=0.25)", "partition(at=90s)"])
    func `incidents are written as they are read`(text: String) throws {
        #expect(try StudyIncident(text: text).text == text)
    }
}

import SimulationHarness
import Testing

/// The simulator reproduces published figures, and would not if its models were wrong.
///
/// Seeds are fixed, so these either always pass or never.
@Suite struct ValidationTests {
    /// A case, and what is wrong with its model on purpose.
    struct Wrong: Sendable, CustomTestStringConvertible {
        var name: String
        var mutation: ModelMutation
        var testDescription: String { "\(name), \(mutation.rawValue)" }
    }

    @Test(arguments: Validation.cases.map(\.name))
    func `published figures are met at small scale`(name: String) throws {
        let one = try #require(Validation.cases.first { $0.name == name })
        let rows = one.run(.small, nil)
        #expect(rows.isEmpty == (name == "sparrow"), "Sparrow's needs 40,000 slots")
        for row in rows {
            #expect(
                row.verdict == .met,
                "\(row.name): published \(row.published), ours \(row.ours.mean) in \(row.interval)")
        }
    }

    @Test(arguments: [
        Wrong(name: "erlang", mutation: .servesEvenly),
        Wrong(name: "supermarket", mutation: .asksOne),
        Wrong(name: "supermarket-100", mutation: .asksOne),
        Wrong(name: "stealing", mutation: .stealsNothing),
        Wrong(name: "rumours", mutation: .hearsNothing),
        Wrong(name: "table-push", mutation: .losesNothing),
        Wrong(name: "gossip-rounds", mutation: .tellsTwo),
        Wrong(name: "detection", mutation: .probesLate),
        Wrong(name: "erlang", mutation: .bindsEarly),
        Wrong(name: "claims", mutation: .seesLate),
    ])
    func `a wrong model is noticed`(wrong: Wrong) throws {
        let one = try #require(Validation.cases.first { $0.name == wrong.name })
        let verdicts = one.run(.small, wrong.mutation).map(\.verdict)
        #expect(verdicts.contains(.missed), "\(verdicts)")
    }

    @Test func `every way to be wrong is tried`() {
        let tried: Set<ModelMutation> = [
            .servesEvenly, .asksOne, .stealsNothing, .hearsNothing, .losesNothing, .tellsTwo,
            .probesLate, .bindsEarly, .seesLate,
        ]
        #expect(tried == Set(ModelMutation.allCases))
    }

    @Test func `names and sources are told apart`() {
        #expect(Set(Validation.cases.map(\.name)).count == Validation.cases.count)
        for one in Validation.cases {
            #expect(one.drives.hasPrefix("production: ") || one.drives.hasPrefix("harness: "))
        }
    }

    struct Judged: Sendable, CustomTestStringConvertible {
        var published: Double
        var width: Double
        var verdict: ValidationRow.Verdict
        var testDescription: String { "\(published) ± \(width)" }
    }

    @Test(arguments: [
        Judged(published: 10, width: 0.1, verdict: .met),
        Judged(published: 10.125, width: 0.1, verdict: .met),
        Judged(published: 10.2, width: 0.1, verdict: .missed),
        Judged(published: 9.8, width: 0.1, verdict: .missed),
        Judged(published: 10, width: 0.6, verdict: .vague),
        Judged(published: 20, width: 2, verdict: .missed),
        Judged(published: 10, width: .infinity, verdict: .vague),
        Judged(published: 10, width: .nan, verdict: .vague),
    ])
    func `a figure is met, missed, or the interval says nothing`(judged: Judged) {
        let row = ValidationRow(
            "", published: judged.published, tolerance: 0.025,
            ours: Estimate(mean: 10, halfWidth: judged.width, count: 9))
        #expect(row.verdict == judged.verdict)
    }
}

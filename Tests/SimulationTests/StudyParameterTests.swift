import Cluster
import SimulationHarness
import Testing

/// Studies are told by name and in text what they consist of.
@Suite struct StudyParameterTests {
    @Test(arguments: FairnessStudy.parameters.map(\.name))
    func `what a parameter says of itself can be set again`(name: String) throws {
        let parameter = try #require(FairnessStudy.parameters.first { $0.name == name })
        var study = FairnessStudy()
        try study.set(name, to: parameter.usual)
        #expect(parameter.text(study) == parameter.usual)
        #expect(!parameter.meaning.isEmpty && !parameter.unit.isEmpty)
    }

    @Test func `no two parameters have one name`() {
        let names = FairnessStudy.parameters.map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test func `an unknown parameter is told with those that there are`() {
        var study = FairnessStudy()
        #expect {
            try study.set("node", to: "3")
        } throws: {
            "\($0)".hasPrefix("unknown parameter node; there are seed, policy, nodes, ")
        }
    }

    struct Refused: CustomTestStringConvertible {
        var name: String
        var value: String
        var reason: String
        var testDescription: String { "\(name)=\(value)" }
    }

    @Test(arguments: [
        Refused(name: "nodes", value: "many", reason: "parameter nodes: 'many' is no whole number"),
        Refused(
            name: "nodes", value: "0",
            reason: "parameter nodes: must lie between 1 and 10000, and is 0"),
        Refused(
            name: "nodes", value: "10001",
            reason: "parameter nodes: must lie between 1 and 10000, and is 10001"),
        Refused(name: "load", value: "nan", reason: "parameter load: 'nan' is no number"),
        Refused(
            name: "mean", value: "8 parsecs",
            reason: "parameter mean: '8 parsecs' is no duration such as 40ms, 8s or 1h"),
        Refused(
            name: "sizes", value: "1,0",
            reason: "parameter sizes: takes one value or several with commas, each between 0.01 "
                + "and 100"),
        Refused(
            name: "policy", value: "best(",
            reason: "parameter policy: 'best(' lacks its closing bracket"),
        Refused(
            name: "policy", value: "none(slope=1s)",
            reason: "parameter policy: none has no argument slope, or it is given twice; it takes "
                + "none"),
        Refused(
            name: "policy", value: "proportional(slop=1s)",
            reason: "parameter policy: proportional has no argument slop, or it is given twice; "
                + "there are slope, jitter, candidates, rankDelay"),
        Refused(
            name: "policy", value: "random(bound=11s)",
            reason: "parameter policy: bound of random must lie between 0s and 10s, and is 11s"),
        Refused(
            name: "policy", value: "lateBinding(2)",
            reason: "parameter policy: '2' in 'lateBinding(2)' is not of the form name=value"),
    ])
    func `what can't be is refused, and says why`(refused: Refused) {
        var study = FairnessStudy()
        #expect {
            try study.set(refused.name, to: refused.value)
        } throws: {
            "\($0)" == refused.reason
        }
        #expect(study.nodeCount == FairnessStudy().nodeCount)
    }

    @Test(arguments: StealPolicy.all.map(\.name))
    func `every policy can be named`(name: String) throws {
        #expect(try Contender(text: name).text == name)
    }

    @Test func `a policy takes arguments, and tells those that are not the usual ones`() throws {
        let text = "capped(slope=70ms, jitter=2ms, share=0.25)"
        let contender = try Contender(text: text)
        #expect(contender.text == "capped(share=0.25,slope=70ms)")
        guard case .policy(let policy) = contender.kind,
            let rule = policy.rule as? ProportionalWait
        else {
            Issue.record("it is no policy with a wait in proportion")
            return
        }
        #expect(rule.tuning.slope == .milliseconds(70))
        #expect(rule.shape == .capped(at: 0.25))
    }

    @Test func `a reference scheduler takes arguments`() throws {
        let contender = try Contender(text: "lateBinding(ratio=3)")
        guard case .reference(.lateBinding(ratio: 3)) = contender.kind else {
            Issue.record("it is \(contender.kind)")
            return
        }
    }

    @Test(arguments: ["0s", "1ns", "1500us", "40ms", "8s", "90s", "3min", "2h"])
    func `durations are written as they are read`(text: String) throws {
        #expect(try Duration(text: text).text == text)
    }

    @Test(arguments: ["0", "1023", "3K", "64M", "4G", "2T"])
    func `amounts of memory are written as they are read`(text: String) throws {
        #expect(try ByteCount(text: text).text == text)
    }
}

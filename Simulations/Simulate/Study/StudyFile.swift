import Foundation
import SimulationHarness

/// Reads a study file: YAML, as `Docs/Studies.md` describes it.
struct StudyFile {
    /// The file as it was named.
    let path: String

    /// How large a file may be, in bytes.
    static let sizeBytesMax = 1 << 20
    /// How large a file with recorded tasks may be, in bytes.
    static let traceBytesMax = 256 << 20
    /// How many plots a study asks for at most.
    static let plotsMax = 40
    /// How many policies it compares at most.
    static let policiesMax = PlotStyle.seriesMax
    /// How many parameters it sets, or varies, at most.
    static let parametersMax = 32

    private static let keys = [
        "title", "question", "parameters", "sweeps", "policies", "baseline", "seeds", "measures",
        "plots",
    ]

    /// The plan in the file.
    ///
    /// - Throws: A `StudyFileError` that names file, line, subject and what is allowed.
    func plan() throws -> StudyPlan {
        let root = try StudyNode(file: path, text: try content())
        let entries = try root.entries(of: StudyFile.keys)
        guard let title = entries["title"], let question = entries["question"],
            let policies = entries["policies"]
        else { throw root.failure("title, question and policies are needed") }
        var plan = StudyPlan(
            title: try title.text(), question: try question.text(),
            policies: try StudyFile.policies(policies), measures: StudyFile.usualMeasures,
            command: "simulate study \(path)")
        plan.parameters = try entries["parameters"].map(StudyFile.parameters) ?? []
        plan.sweeps = try entries["sweeps"].map(StudyFile.sweeps) ?? []
        let names = plan.policies.map { ($0.name, $0.name) }
        plan.baseline = try entries["baseline"]?.word(of: names)
        if let seeds = entries["seeds"] { try StudyFile.read(seeds: seeds, into: &plan) }
        if let measures = entries["measures"] {
            let bound = Measure.allCases.count
            plan.measures = try measures.list(max: bound).map(StudyFile.measure)
        }
        plan.traces = try traces(of: plan)
        try check(plan, root, entries)
        if let plots = entries["plots"] {
            plan.figures = try plots.list(max: StudyFile.plotsMax).map {
                try StudyPlotReader(node: $0, plan: plan).figure()
            }
        }
        return plan
    }

    private func content() throws -> String {
        try StudyFile.content(of: path, sizeBytesMax: StudyFile.sizeBytesMax)
    }

    /// Recorded tasks, by the paths that name them: below the study's own folder.
    private func traces(of plan: StudyPlan) throws -> [String: String] {
        let named =
            plan.parameters.filter { $0.name == "trace" }.map(\.value)
            + plan.sweeps.filter { $0.name == "trace" }.flatMap(\.values)
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        var traces: [String: String] = [:]
        for name in named where traces[name] == nil {
            let file = URL(fileURLWithPath: name, relativeTo: folder)
            traces[name] = try StudyFile.content(
                of: file.path, sizeBytesMax: StudyFile.traceBytesMax)
        }
        return traces
    }

    private static func content(of path: String, sizeBytesMax: Int) throws -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw StudyFileError(file: path, line: nil, message: "the file can't be read")
        }
        guard data.count <= sizeBytesMax else {
            throw StudyFileError(
                file: path, line: nil,
                message: "has \(data.count) bytes; \(sizeBytesMax) are allowed")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw StudyFileError(file: path, line: nil, message: "is not in UTF-8")
        }
        return text
    }

    // MARK: Parts

    /// What tables show when a file does not say it.
    static let usualMeasures: [Measure] = [
        .jain, .waitMean, .waitP50, .waitP99, .responseP95, .slowdownMean, .slowdownP99,
        .lockRequests, .claimsWasted, .messages,
    ]

    /// Policies: each as it is, or with a name in front that the report uses.
    private static func policies(_ node: StudyNode) throws -> [StudyPlan.Setting] {
        var policies: [StudyPlan.Setting] = []
        for part in try node.list(max: policiesMax) {
            if part.isMapping {
                for (name, value) in try part.entries() {
                    policies.append(StudyPlan.Setting(name: name, value: try value.text()))
                }
            } else {
                let text = try part.text()
                policies.append(StudyPlan.Setting(name: text, value: text))
            }
            guard policies.dropLast().allSatisfy({ $0.name != policies.last?.name }) else {
                throw part.failure("'\(policies.last?.name ?? "")' is there twice")
            }
        }
        return policies
    }

    private static func parameters(_ node: StudyNode) throws -> [StudyPlan.Setting] {
        let entries = try node.entries()
        guard entries.count <= parametersMax else {
            throw node.failure("has more than \(parametersMax) entries")
        }
        return try entries.map { name, value in
            try checkName(name, value)
            // A list in YAML is a list with commas to a parameter.
            let text = try value.texts(max: StudyPlan.valuesMax).joined(separator: ",")
            try check(name, text, value)
            return StudyPlan.Setting(name: name, value: text)
        }
    }

    private static func sweeps(_ node: StudyNode) throws -> [StudyPlan.Sweep] {
        let entries = try node.entries()
        guard entries.count <= parametersMax else {
            throw node.failure("has more than \(parametersMax) entries")
        }
        return try entries.map { name, list in
            let values = try list.list(max: StudyPlan.valuesMax).map { part in
                let text = try part.texts(max: StudyPlan.valuesMax).joined(separator: ",")
                if StudyPlan.isParameter(name) { try check(name, text, part) }
                return text
            }
            guard Set(values).count == values.count else {
                throw list.failure("has a value twice")
            }
            if StudyPlan.isParameter(name) { try checkName(name, list) }
            return StudyPlan.Sweep(name: name, values: values)
        }
    }

    private static func read(seeds node: StudyNode, into plan: inout StudyPlan) throws {
        guard node.isMapping else {
            plan.seedCount = try node.whole(in: 1...StudyPlan.seedsMax)
            return
        }
        let entries = try node.entries(of: ["count", "first"])
        plan.seedCount = try entries["count"]?.whole(in: 1...StudyPlan.seedsMax) ?? 1
        plan.firstSeed = try entries["first"]?.whole(in: 0...UInt64(1) << 62) ?? 1
    }

    static func measure(_ node: StudyNode) throws -> Measure {
        try node.word(of: Measure.allCases.map { ($0.name, $0) })
    }

    // MARK: Checks

    private static func checkName(_ name: String, _ node: StudyNode) throws {
        guard StudyPlan.isParameter(name) else {
            let names = FairnessStudy.parameters.map(\.name).joined(separator: ", ")
            throw node.failure("there is no such parameter; there are \(names)")
        }
        guard !["policy", "seed"].contains(name) else {
            throw node.failure("is set by 'policies' and 'seeds'")
        }
    }

    /// A value without variables is tried at once, so that the failure names its line.
    private static func check(_ name: String, _ value: String, _ node: StudyNode) throws {
        guard !value.contains("$") else { return }
        var study = FairnessStudy()
        do throws(StudyError) { try study.set(name, to: value) } catch {
            throw node.failure(error.description)
        }
    }

    private func check(
        _ plan: StudyPlan, _ root: StudyNode, _ entries: [String: StudyNode]
    ) throws {
        let values = (plan.parameters + plan.policies).map(\.value)
        for sweep in plan.sweeps {
            let node = entries["sweeps"] ?? root
            guard !plan.parameters.contains(where: { $0.name == sweep.name }) else {
                throw node.failure("\(sweep.name) stands in 'parameters', too")
            }
            let isUsed = values.contains { StudyPlan.uses(sweep.name, in: $0) }
            guard StudyPlan.isParameter(sweep.name) || isUsed else {
                let names = FairnessStudy.parameters.map(\.name).joined(separator: ", ")
                throw node.failure(
                    "\(sweep.name) is no parameter, and no value uses it as $\(sweep.name); "
                        + "parameters are \(names)")
            }
        }
        guard plan.runCount <= StudyPlan.runsMax else {
            throw root.failure(
                "makes more than \(StudyPlan.runsMax) runs: fewer values, policies or seeds")
        }
        for cell in plan.cells {
            do throws(StudyError) {
                if let problem = try plan.study(of: cell).problem { throw problem }
            } catch {
                let words = cell.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
                throw (entries["policies"] ?? root).failure("\(error) (with \(words))")
            }
        }
    }
}

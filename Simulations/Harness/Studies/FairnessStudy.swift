import Cluster
import Model

/// What a study of fairness consists of: a cluster, a stream of tasks, and who spreads them.
///
/// Everything in it can be set by name, too: `parameters`.
package struct FairnessStudy: Sendable {
    /// Every random choice descends from it; all contenders see the same tasks at the same times.
    package var seed: UInt64 = 1
    /// Who spreads the tasks.
    package var policy = Contender(.proportional())
    /// How many machines there are.
    package var nodeCount = 50
    /// How many cores a machine of size 1 has.
    package var coresPerNode = 4
    /// How large machines are, in turn: 1 is `coresPerNode`.
    package var sizes: [Double] = [1]
    /// How many tasks are submitted, at random nodes.
    package var taskCount = 1_000
    /// The share of the cluster's cores that the tasks keep busy, 0…1.
    package var load = 0.8
    /// The mean run time of a task.
    package var meanService: Duration = .seconds(8)
    /// The share of the time of submissions, at its beginning, that is not counted: the cluster is
    /// still empty.
    package var warmUpShare = 0.1

    /// Slowdown counts run times below this as this long, so that tiny tasks do not rule it.
    ///
    /// Source: Feitelson et al., "Theory and Practice in Parallel Job Scheduling" (1997).
    package static let serviceFloor: Duration = .seconds(1)

    /// Makes the usual study.
    package init() {}

    /// Makes a study with every other value at its default.
    package init(seed: UInt64, nodeCount: Int, taskCount: Int, load: Double) {
        self.seed = seed
        self.nodeCount = nodeCount
        self.taskCount = taskCount
        self.load = load
    }

    /// How many cores all machines have together.
    package var coreCount: Int { (0..<nodeCount).reduce(0) { $0 + cores(of: $1) } }

    /// How many cores a machine has, 1 or more.
    func cores(of index: Int) -> Int {
        max(1, Int((sizes[index % sizes.count] * Double(coresPerNode)).rounded()))
    }

    /// What a machine gives to tasks.
    func capacity(of index: Int) -> Resources {
        Resources(cpuMillis: UInt32(cores(of: index)) * 1_000, memoryBytes: 64 << 30)
    }

    /// The mean wait, in seconds, if one line stood before all cores: the ideal.
    package var idealWaitSeconds: Double {
        Statistics.idealWait(servers: coreCount, load: load) * meanService.seconds
    }

    /// All that can be set by name.
    package static let parameters: [StudyParameter] = [
        StudyParameter("seed", "number", "every random choice descends from it", \.seed),
        StudyParameter(
            "policy", "name(argument=value,…)",
            "who spreads the tasks: \(Contender.policyNames); or \(Contender.referenceNames)",
            \.policy),
        StudyParameter("nodes", "count", "machines", \.nodeCount, in: 1...10_000),
        StudyParameter(
            "cores", "count", "cores of a machine of size 1", \.coresPerNode, in: 1...1_024),
        StudyParameter("sizes", "list", "sizes of machines, in turn", \.sizes, each: 0.01...100),
        StudyParameter(
            "tasks", "count", "tasks that are submitted", \.taskCount, in: 1...1_000_000),
        StudyParameter(
            "load", "share", "of all cores that the tasks keep busy", \.load, in: 0.001...2),
        StudyParameter(
            "mean", "duration", "mean run time of a task", \.meanService,
            in: .milliseconds(1) ... .seconds(86_400)),
        StudyParameter(
            "warmup", "share", "of the time of submissions that is not counted", \.warmUpShare,
            in: 0...0.9),
    ]
}

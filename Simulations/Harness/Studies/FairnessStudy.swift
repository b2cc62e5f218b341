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
    /// How much memory a machine of size 1 has.
    package var memoryPerNode = ByteCount(64 << 30)
    /// How fast machines are, in turn: a task takes its run time over this.
    package var speeds: [Double] = [1]
    /// How many tasks are submitted, at random nodes.
    package var taskCount = 1_000
    /// The share of the cluster's scarcer resource, cores or memory, that the tasks keep busy.
    package var load = 0.8
    /// How jobs come.
    package var arrivals = Arrivals.poisson
    /// The mean run time of a task.
    package var meanService: Duration = .seconds(8)
    /// How unequal run times are.
    package var service = ServiceShape.exponential
    /// How many tasks a job has; they are submitted together.
    package var tasksPerJob = 1
    /// How many cores a task asks for: one of these, each as often.
    package var cpus: [Double] = [1]
    /// How much memory a task asks for: one of these, each as often.
    package var memory = [ByteCount(64 << 20)]
    /// Who submits.
    package var users = [StudyUser("user")]
    /// The path of a file with tasks, as it was set; empty for none.
    ///
    /// Whoever can read files gives what it holds to `load(trace:)`.
    package var tracePath = ""
    /// Tasks that were recorded, instead of such as are drawn.
    package private(set) var trace: StudyTrace?
    /// What happens to machines meanwhile.
    package var incidents: [StudyIncident] = []
    /// How long nodes keep ended tasks; what they keep, they hold in memory.
    package var retention: Duration = .seconds(3_600)
    /// How long packets are under way.
    package var delay = DelayRange(.microseconds(100), .microseconds(600))
    /// How long it takes to make a container and to start its program: evenly from 0.3 to 1.7 times
    /// this.
    package var startup: Duration = .milliseconds(34)
    /// How often a task's fair time counts before it has starved.
    package var starvationFactor = 5.0
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
        let size = sizes[index % sizes.count]
        return Resources(
            cpuMillis: UInt32(cores(of: index)) * 1_000,
            memoryBytes: UInt64(size * Double(memoryPerNode.bytes)))
    }

    /// How fast a machine is.
    func speed(of index: Int) -> Double { speeds[index % speeds.count] }

    /// Takes in recorded tasks: those of the file that `tracePath` names.
    ///
    /// - Throws: A `StudyError` that names path and line.
    package mutating func load(trace text: String) throws(StudyError) {
        do throws(StudyError) { trace = try StudyTrace(text) } catch {
            throw error.about("trace \(tracePath)")
        }
        taskCount = trace?.taskCount ?? taskCount
    }

    /// What keeps the study from being run, beyond what a single value shows; `nil` when nothing
    /// does.
    package var problem: StudyError? { problem(with: Workload(self)) }

    func problem(with workload: Workload) -> StudyError? {
        if !tracePath.isEmpty, trace == nil {
            return StudyError("trace \(tracePath): it was not read")
        }
        if case .reference = policy.kind, !incidents.isEmpty {
            return StudyError(
                "\(policy.text) knows no incidents: compare policies alone in a study with some")
        }
        if Set(users.map(\.name)).count < users.count {
            return StudyError("users: two of them have the same name")
        }
        let capacities = (0..<nodeCount).map(capacity)
        let large = workload.tasks.first { task in
            !capacities.contains { task.demand.fits(within: $0) }
        }
        if let large {
            return StudyError(
                "a task asks for \(Double(large.demand.cpuMillis) / 1_000) cores and "
                    + "\(ByteCount(large.demand.memoryBytes).text) of memory, and no machine has as "
                    + "much: raise cores, memory or sizes")
        }
        return nil
    }

    /// The mean wait, in seconds, if one line stood before all cores: the ideal.
    package var idealWaitSeconds: Double {
        Statistics.idealWait(servers: coreCount, load: load) * meanService.seconds
    }
}

package import Model

/// What happened in one run of a study, whoever spread the tasks: `FairnessResult` is made of it.
///
/// Times are nanoseconds since the beginning of submissions.
package struct StudyRun: Sendable {
    /// A task, and what became of it.
    package struct Task: Sendable {
        /// The job to which it belongs; its last task ends it.
        package var job: Int
        /// Who submitted it: a place among the study's users.
        package var user: Int
        /// What it reserves.
        package var demand: Resources
        /// When it was submitted.
        package var submitted: Int64
        /// How long it runs on a machine of speed 1.
        package var service: Int64
        /// When a claim on it was first granted, if one was.
        package var claimed: Int64?
        /// When its program first started, if it did.
        package var started: Int64?
        /// When its program ended by itself, if it did.
        package var ended: Int64?

        /// Makes a task of which nothing is known but what was asked for.
        package init(
            job: Int, user: Int = 0, demand: Resources, submitted: Int64, service: Int64
        ) {
            self.job = job
            self.user = user
            self.demand = demand
            self.submitted = submitted
            self.service = service
        }
    }

    /// One execution of a task on a node, to its end or to the node's.
    package struct Span: Hashable, Sendable {
        /// The node.
        package var node: Int
        /// The task.
        package var task: Int
        /// When the program started.
        package var from: Int64
        /// When it ended.
        package var to: Int64

        /// Makes a span.
        package init(node: Int, task: Int, from: Int64, to: Int64) {
            self.node = node
            self.task = task
            self.from = from
            self.to = to
        }
    }

    /// What the run cost.
    package struct Costs: Hashable, Sendable {
        /// Requests to the lock for claims.
        package var claimRequests = 0
        /// Claims that were asked for in them.
        package var claims = 0
        /// Claims that were not granted.
        package var denials = 0
        /// Packets between nodes.
        package var messages = 0
        /// Bytes between nodes.
        package var bytes = 0
        /// Events of the world.
        package var events = 0

        /// Makes costs of nothing.
        package init() {}

        static func - (left: Costs, right: Costs) -> Costs {
            var rest = left
            rest.claimRequests -= right.claimRequests
            rest.claims -= right.claims
            rest.denials -= right.denials
            rest.messages -= right.messages
            rest.bytes -= right.bytes
            rest.events -= right.events
            return rest
        }
    }

    /// A node that was not there for a while.
    package struct Absence: Hashable, Sendable {
        /// The node.
        package var node: Int
        /// Since when.
        package var from: Int64
        /// Until when.
        package var to: Int64

        /// Makes an absence.
        package init(node: Int, from: Int64, to: Int64) {
            self.node = node
            self.from = from
            self.to = to
        }
    }

    /// What each node gives to tasks.
    package var capacities: [Resources]
    /// The users.
    package var users: [StudyUser]
    /// The tasks in the order of their submission.
    package var tasks: [Task]
    /// All executions, in the order of their ends.
    package var spans: [Span] = []
    /// Which nodes were not there when.
    package var absences: [Absence] = []
    /// From the beginning of the first incident to the end of the last, if there was one; to its
    /// beginning when it never ends.
    package var disturbance: ClosedRange<Int64>?
    /// How long each task would have waited in one line before all nodes.
    package var fairWaits: [Int64] = []
    /// How long claims took from the request to the answer, in seconds.
    package var claimLatencies: [Double] = []
    /// The end of the warm-up.
    package var warmUpEnd: Int64
    /// When the last task was submitted.
    package var lastSubmission: Int64
    /// When the run was over.
    package var end: Int64 = 0
    /// What it cost from the end of the warm-up on.
    package var costs = Costs()
    /// What went wrong, if anything: nothing may.
    package var violation: Violation?

    /// Makes a run in which nothing has happened yet.
    package init(
        capacities: [Resources], users: [StudyUser] = [StudyUser("user")], tasks: [Task],
        warmUpEnd: Int64, lastSubmission: Int64
    ) {
        self.capacities = capacities
        self.users = users
        self.tasks = tasks
        self.warmUpEnd = warmUpEnd
        self.lastSubmission = lastSubmission
    }
}

extension StudyRun {
    /// The machines and tasks of a study, to which nothing has happened yet.
    init(_ study: FairnessStudy, _ workload: Workload) {
        let last = workload.lastSubmission
        self.init(
            capacities: (0..<study.nodeCount).map(study.capacity), users: workload.users,
            tasks: workload.tasks, warmUpEnd: Int64(Double(last) * study.warmUpShare),
            lastSubmission: last)
        let times = study.incidents.flatMap { incident in
            [incident.start.nanoseconds, incident.end ?? incident.start.nanoseconds]
        }
        if let first = times.min(), let last = times.max() { disturbance = first...last }
        for (incident, nodes) in zip(study.incidents, study.incidentNodes)
        where incident.kind == .loss {
            absences += nodes.map {
                Absence(node: $0, from: incident.start.nanoseconds, to: incident.end ?? .max)
            }
        }
    }

    /// How long after the last submission all tasks must have ended: long after they should have.
    func finishingLimit(_ study: FairnessStudy) -> Duration {
        let work = tasks.reduce(0.0) { $0 + Double($1.service) * Double($1.demand.cpuMillis) }
        let cores = capacities.reduce(0.0) { $0 + Double($1.cpuMillis) }
        let longest = tasks.map(\.service).max() ?? 0
        let slowest = study.speeds.min() ?? 1
        return .nanoseconds(Int64(10 * (work / cores + Double(longest)) / slowest))
            + .seconds(600)
    }
}

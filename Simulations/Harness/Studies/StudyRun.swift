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

    /// What each node gives to tasks.
    package var capacities: [Resources]
    /// The tasks in the order of their submission.
    package var tasks: [Task]
    /// All executions, in the order of their ends.
    package var spans: [Span] = []
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
        capacities: [Resources], tasks: [Task], warmUpEnd: Int64, lastSubmission: Int64
    ) {
        self.capacities = capacities
        self.tasks = tasks
        self.warmUpEnd = warmUpEnd
        self.lastSubmission = lastSubmission
    }
}

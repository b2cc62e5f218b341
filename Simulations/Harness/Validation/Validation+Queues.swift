/// Queues in their steady state: the event queue, the generators, and the reference schedulers.
extension Validation {
    /// How much of a system is looked at.
    private struct Effort {
        var runs: Int
        /// Jobs per run that are not counted, since the system was empty at first.
        var warmUp: Int
        var counted: Int
    }

    /// From arrival to end, on average over the jobs of one run.
    private static func meanResponse(
        _ setting: QueueingSetting, by scheduler: some ReferenceScheduler, _ effort: Effort
    ) -> Double {
        var scheduler = scheduler
        var sum = 0.0
        var left = effort.counted
        let counted = effort.warmUp..<effort.warmUp + effort.counted
        QueueingSystem(setting).run(by: &scheduler) { job in
            guard counted.contains(job.number) else { return true }
            sum += job.response
            left -= 1
            return left > 0
        }
        return sum / Double(effort.counted)
    }

    private static func setting(
        _ workers: Int, _ load: Double, _ seed: UInt64, _ mutation: ModelMutation?
    ) -> QueueingSetting {
        var setting = QueueingSetting(workerCount: workers, load: load, seed: seed)
        if mutation == .servesEvenly { setting.service = .constant(setting.service.mean) }
        return setting
    }

    // MARK: M/M/n

    /// A scheduler whose system is M/M/n, or n times M/M/1.
    private struct ErlangRow: Sendable {
        var name: String
        var workers: Int
        var load: Double
        var published: Double
        var tolerance = 0.0
        var measure: @Sendable (QueueingSetting, Effort, ModelMutation?) -> Double
    }

    private static let fewServers = [
        ErlangRow(name: "M/M/2, one line", workers: 2, load: 0.7, published: 1 / (1 - 0.49)) {
            setting, effort, _ in meanResponse(setting, by: CentralQueue(), effort)
        },
        // A place in every line: whoever is free first takes the job that came first.
        ErlangRow(
            name: "M/M/2, late binding to all", workers: 2, load: 0.7, published: 1 / (1 - 0.49)
        ) { setting, effort, mutation in
            mutation == .bindsEarly
                ? meanResponse(setting, by: SampledPlacement(choices: 1), effort)
                : meanResponse(setting, by: LateBinding(ratio: 2), effort)
        },
        ErlangRow(name: "M/M/1, by chance", workers: 40, load: 0.5, published: 2) {
            setting, effort, _ in
            meanResponse(setting, by: SampledPlacement(choices: 1), effort)
        },
    ]

    private static let manyServers = [
        ErlangRow(
            name: "M/M/10, one line", workers: 10, load: 0.9, published: 1.66873,
            tolerance: 0.000_005
        ) { setting, effort, _ in meanResponse(setting, by: CentralQueue(), effort) },
        ErlangRow(
            name: "M/M/100, one line", workers: 100, load: 0.95, published: 1.10129,
            tolerance: 0.000_005
        ) { setting, effort, _ in meanResponse(setting, by: CentralQueue(), effort) },
    ]

    static let erlang = ValidationCase(
        name: "erlang", source: "Erlang 1917, M/M/n: mean time in the system",
        drives: "harness: CentralQueue, LateBinding, SampledPlacement"
    ) { scale, mutation in
        let effort =
            scale == .small
            ? Effort(runs: 16, warmUp: 500, counted: 3_000)
            : Effort(runs: 30, warmUp: 100_000, counted: 1_000_000)
        let rows = scale == .small ? fewServers : fewServers + manyServers
        return rows.map { row in
            ValidationRow(
                "\(row.name), load \(row.load)", published: row.published,
                tolerance: row.tolerance,
                ours: replicate(effort.runs, seed: 11) {
                    row.measure(setting(row.workers, row.load, $0, mutation), effort, mutation)
                }, widthMax: scale == .small ? 0.12 : 0.03)
        }
    }

    // MARK: Systems of endless size

    private struct EndlessRow {
        var load: Double
        var published: Double
    }

    /// Looks at a system of one size, or extrapolates from that and its double.
    private static func endless(
        _ rows: [EndlessRow], _ scale: ValidationScale, seed: UInt64, name: String,
        _ measure: (_ workers: Int, _ load: Double, _ seed: UInt64, Effort) -> Double
    ) -> [ValidationRow] {
        let chosen = scale == .small ? rows.filter { $0.load == 0.7 } : rows
        return chosen.map { row in
            let ours: Estimate
            if scale == .small {
                let effort = Effort(runs: 10, warmUp: 3_000, counted: 8_000)
                ours = replicate(effort.runs, seed: seed) { measure(400, row.load, $0, effort) }
            } else {
                // So long that the slowest of these systems forgets how it began, and again.
                let span = row.load < 0.97 ? 600.0 : 3_000.0
                let sizes = [500, 1_000].map { workers in
                    let jobs = Int(span * Double(workers))
                    let effort = Effort(runs: 12, warmUp: jobs, counted: jobs)
                    return replicate(effort.runs, seed: seed &+ UInt64(workers)) {
                        measure(workers, row.load, $0, effort)
                    }
                }
                ours = .extrapolated(single: sizes[0], double: sizes[1])
            }
            return ValidationRow(
                "\(name), load \(row.load)", published: row.published, tolerance: 0.000_05,
                ours: ours, widthMax: scale == .small ? 0.08 : 0.03)
        }
    }

    static let supermarket = ValidationCase(
        name: "supermarket",
        source: "Mitzenmacher 1996, two choices, endless system: mean time in the system",
        drives: "harness: SampledPlacement"
    ) { scale, mutation in
        let rows = [
            EndlessRow(load: 0.5, published: 1.2657), EndlessRow(load: 0.7, published: 1.6145),
            EndlessRow(load: 0.8, published: 1.9474), EndlessRow(load: 0.9, published: 2.6141),
            EndlessRow(load: 0.95, published: 3.3830), EndlessRow(load: 0.99, published: 5.4320),
        ]
        return endless(rows, scale, seed: 21, name: "d = 2") { workers, load, seed, effort in
            meanResponse(
                setting(workers, load, seed, mutation), by: twoChoices(mutation), effort)
        }
    }

    /// Of a finite system the published figures fit only choices of different queues: with
    /// repetitions a job takes 0.4 % longer at n = 100 and load 0.5.
    private static func twoChoices(_ mutation: ModelMutation?) -> SampledPlacement {
        SampledPlacement(choices: mutation == .asksOne ? 1 : 2)
    }

    static let finiteSupermarket = ValidationCase(
        name: "supermarket-100",
        source: "Mitzenmacher 1996, two choices, simulation of 100 queues: mean time in the system",
        drives: "harness: SampledPlacement"
    ) { scale, mutation in
        let rows = [
            (load: 0.5, published: 1.2671, tolerance: 0.000_05, jobs: 1_000_000),
            (load: 0.99, published: 5.936, tolerance: 0.000_5, jobs: 4_000_000),
        ]
        return rows.filter { scale == .full || $0.load == 0.5 }.map { row in
            let effort =
                scale == .small
                ? Effort(runs: 8, warmUp: 500, counted: 5_000)
                : Effort(runs: 12, warmUp: row.jobs / 4, counted: row.jobs)
            return ValidationRow(
                "d = 2, n = 100, load \(row.load)", published: row.published,
                tolerance: row.tolerance,
                ours: replicate(effort.runs, seed: 31) {
                    meanResponse(
                        setting(100, row.load, $0, mutation), by: twoChoices(mutation), effort)
                })
        }
    }

    static let stealing = ValidationCase(
        name: "stealing",
        source: "Mitzenmacher 1998, stealing when empty, endless system: mean time in the system",
        drives: "harness: WorkStealing"
    ) { scale, mutation in
        let rows = [
            EndlessRow(load: 0.5, published: 1.6180), EndlessRow(load: 0.7, published: 2.1073),
            EndlessRow(load: 0.8, published: 2.5616), EndlessRow(load: 0.9, published: 3.5414),
            EndlessRow(load: 0.95, published: 4.8875), EndlessRow(load: 0.99, published: 10.4624),
        ]
        return endless(rows, scale, seed: 41, name: "threshold 2") { workers, load, seed, effort in
            meanResponse(
                setting(workers, load, seed, mutation),
                by: WorkStealing(threshold: mutation == .stealsNothing ? .max : 2), effort)
        }
    }

    // MARK: Sparrow

    /// One of the compared schedulers, and its job response times in milliseconds.
    private struct SparrowRow: Sendable {
        var name: String
        var mean: Double
        var p95: Double
        var measure: @Sendable (QueueingSetting, ModelMutation?) -> [Double]
    }

    private static let sparrowRows = [
        SparrowRow(name: "random", mean: 527, p95: 809) { setting, _ in
            firstJobs(setting, by: SampledPlacement(choices: 1))
        },
        SparrowRow(name: "per-task sampling", mean: 198, p95: 403) { setting, mutation in
            firstJobs(setting, by: SampledPlacement(choices: mutation == .asksOne ? 1 : 2))
        },
        SparrowRow(name: "batch sampling", mean: 143, p95: 350) { setting, _ in
            firstJobs(setting, by: SampledPlacement(choices: 2, isBatched: true))
        },
        SparrowRow(name: "late binding", mean: 106, p95: 306) { setting, mutation in
            mutation == .bindsEarly
                ? firstJobs(setting, by: SampledPlacement(choices: 2, isBatched: true))
                : firstJobs(setting, by: LateBinding(ratio: 2))
        },
        SparrowRow(name: "central queue", mean: 102, p95: 308) { setting, _ in
            firstJobs(setting, by: CentralQueue())
        },
    ]

    /// As Sparrow's authors counted: the system is empty at first, the run ends when the tasks of
    /// as many jobs as there are workers have all started, and of these the jobs count that
    /// arrived after half a second.
    private static func firstJobs(
        _ setting: QueueingSetting, by scheduler: some ReferenceScheduler
    ) -> [Double] {
        var scheduler = scheduler
        var responses: [Double] = []
        var left = setting.workerCount
        QueueingSystem(setting).run(by: &scheduler) { job in
            if job.arrived > 0.5 { responses.append(1_000 * job.response) }
            left -= 1
            return left > 0
        }
        return responses
    }

    static let sparrow = ValidationCase(
        name: "sparrow",
        source: "Ousterhout et al. 2013, 10,000 workers of 4 slots, load 0.8, jobs of 100 tasks of "
            + "100 ms: response in ms",
        drives: "harness: SampledPlacement, LateBinding, CentralQueue"
    ) { scale, mutation in
        // Smaller systems give other figures: a job's burst is a larger part of their load.
        guard scale == .full else { return [] }
        return sparrowRows.flatMap { row in
            // The published figures are one run.
            let ours = replicateAll(20, seed: 51, runsCompared: 1) { seed in
                var setting = QueueingSetting(workerCount: 10_000, load: 0.8, seed: seed)
                setting.slotsPerWorker = 4
                setting.tasksPerJob = 100
                setting.networkDelay = 0.000_5
                setting.service =
                    mutation == .servesEvenly ? .constant(0.1) : .exponential(mean: 0.1)
                let responses = row.measure(setting, mutation).sorted()
                return [
                    Statistics.mean(responses), Statistics.quantile(0.95, of: responses),
                ]
            }
            return zip(["mean", "p95"], zip([row.mean, row.p95], ours)).map { what, figures in
                ValidationRow(
                    "\(row.name), \(what)", published: figures.0, tolerance: 0.5,
                    ours: figures.1, widthMax: 0.25)
            }
        }
    }
}

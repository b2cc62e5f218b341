import Model

/// The tasks of a study: they follow from its seed alone, so that all contenders see the same.
package struct Workload: Sendable {
    /// The tasks in the order of their submission; nothing has become of them yet.
    package var tasks: [StudyRun.Task] = []

    /// Draws the tasks.
    package init(_ study: FairnessStudy) {
        var seeds = SeededGenerator(seed: study.seed)
        var arrivals = seeds.split()
        var services = seeds.split()
        let interval = study.meanService.seconds / (study.load * Double(study.coreCount))
        let gaps = Distribution.exponential(mean: interval)
        let lengths = Distribution.exponential(mean: study.meanService.seconds)
        var due: Int64 = 0
        for number in 0..<study.taskCount {
            due += Int64(gaps.draw(using: &arrivals) * 1e9)
            tasks.append(
                StudyRun.Task(
                    job: number, demand: Resources(cpuMillis: 1_000, memoryBytes: 64 << 20),
                    submitted: due, service: Int64(lengths.draw(using: &services) * 1e9)))
        }
    }

    /// When the last task is submitted.
    package var lastSubmission: Int64 { tasks.last?.submitted ?? 0 }
}

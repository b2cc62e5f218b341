import Model

/// One line before all workers, and perfect knowledge of what is free: what no scheduler that
/// doesn't know run times in advance can beat on average.
///
/// A task goes to the fastest worker that has room, and among equals to the least loaded. Who comes
/// first in the line comes first, but a task that fits nowhere lets smaller ones pass.
package struct CentralQueue: ReferenceScheduler {
    /// Tasks that ask for the same, in the order of their arrival: a job as often as it has tasks.
    private struct Line {
        var demand: Resources
        var jobs = Fifo()
        var numbers = Fifo()
    }

    private var lines: [Line] = []
    private var arrivals = 0
    private var workers: Tournament<Place>?

    /// What makes a worker better than another one.
    private struct Place: Comparable {
        var slowness: Double
        var load: Double
        /// How many tasks it was given, so that equals take turns.
        var tasks: Double

        static func < (left: Place, right: Place) -> Bool {
            (left.slowness, left.load, left.tasks) < (right.slowness, right.load, right.tasks)
        }
    }

    /// Makes the scheduler.
    package init() {}

    /// The job's tasks are started, or join the one line.
    package mutating func arrived(_ job: Int, in system: QueueingSystem) {
        if workers == nil {
            workers = Tournament(
                (0..<system.setting.workerCount).map {
                    Place(slowness: 1 / system.speed(of: $0), load: 0, tasks: 0)
                })
        }
        for _ in 0..<system.unstarted(of: job) {
            if let worker = best(for: job, in: system) {
                start(job, on: worker, in: system)
            } else {
                join(job, system.demand(of: job))
            }
        }
    }

    /// The worker takes what waits first and fits, wherever it came from.
    package mutating func slotFreed(at worker: Int, in system: QueueingSystem) {
        update(worker, tasks: 0, in: system)
        while let job = popFirst(for: worker, in: system) {
            start(job, on: worker, in: system)
        }
    }

    /// A task travels to its worker, and word of its end travels back, before the room is known to
    /// be free.
    private mutating func start(_ job: Int, on worker: Int, in system: QueueingSystem) {
        system.start(job, on: worker, lead: system.delay, trail: system.delay)
        update(worker, tasks: 1, in: system)
    }

    private mutating func update(_ worker: Int, tasks: Double, in system: QueueingSystem) {
        guard var place = workers?[worker] else { return }
        place.load = system.load(of: worker)
        place.tasks += tasks
        workers?[worker] = place
    }

    /// Nobody has room for what asks for as much as somebody who waits.
    private func best(for job: Int, in system: QueueingSystem) -> Int? {
        let demand = system.demand(of: job)
        guard let workers, !lines.contains(where: { $0.demand.fits(within: demand) }) else {
            return nil
        }
        if system.hasRoom(for: job, at: workers.first) { return workers.first }
        return workers.indices.filter { system.hasRoom(for: job, at: $0) }
            .min { workers[$0] < workers[$1] }
    }

    // MARK: The line

    private mutating func join(_ job: Int, _ demand: Resources) {
        arrivals += 1
        let place = lines.firstIndex { $0.demand == demand } ?? lines.endIndex
        if place == lines.endIndex { lines.append(Line(demand: demand)) }
        lines[place].jobs.append(job)
        lines[place].numbers.append(arrivals)
    }

    private mutating func popFirst(for worker: Int, in system: QueueingSystem) -> Int? {
        var found: (place: Int, number: Int)?
        for (place, line) in lines.enumerated() {
            guard let job = line.jobs.first, let number = line.numbers.first,
                system.hasRoom(for: job, at: worker), number < found?.number ?? .max
            else { continue }
            found = (place, number)
        }
        guard let found else { return nil }
        _ = lines[found.place].numbers.popFirst()
        let job = lines[found.place].jobs.popFirst()
        if lines[found.place].jobs.isEmpty { lines.remove(at: found.place) }
        return job
    }
}

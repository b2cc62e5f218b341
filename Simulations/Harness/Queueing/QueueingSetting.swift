package import Model

/// What a queueing system consists of; with the seed it fixes every step.
package struct QueueingSetting: Sendable {
    /// How many workers there are.
    package var workerCount: Int
    /// How many tasks a worker runs at a time.
    package var slotsPerWorker = 1
    /// What all slots together are given to do, as a share of what they can: above 0, below 1.
    package var load: Double
    /// How long a task runs, in seconds.
    package var service = Distribution.exponential(mean: 1)
    /// How many tasks a job has; it has ended when all of them have.
    package var tasksPerJob = 1
    /// Whether all tasks of a job run equally long.
    package var isServiceShared = true
    /// How long a message takes, in seconds.
    package var networkDelay = 0.0
    /// The jobs, when they are not to be drawn; then the system runs until all have ended.
    package var plan: [PlannedJob]?
    /// What each worker has, where that is not `slotsPerWorker` cores.
    package var capacities: [Resources] = []
    /// How fast workers are, in turn.
    package var speeds: [Double] = [1]
    /// How long it takes from a worker's taking a task to the start of its program, in seconds.
    package var startup = Distribution.constant(0)
    /// Messages about jobs that arrived before this time, in nanoseconds, are not counted.
    package var uncountedUntil: Int64 = 0
    /// Every random choice descends from it.
    package var seed: UInt64

    /// Makes a setting with every other value at its default.
    package init(workerCount: Int, load: Double, seed: UInt64) {
        self.workerCount = workerCount
        self.load = load
        self.seed = seed
    }

    /// The mean time between two jobs, in seconds.
    package var interval: Double {
        service.mean * Double(tasksPerJob)
            / (load * Double(workerCount) * Double(slotsPerWorker))
    }
}

/// A job of a plan: its tasks come together, and each asks for the same.
package struct PlannedJob: Sendable {
    /// When it arrives, in nanoseconds.
    package var arrived: Int64
    /// What each of its tasks asks for.
    package var demand: Resources
    /// How long its tasks run on a worker of speed 1, in nanoseconds.
    package var services: ArraySlice<Int64>

    /// Makes a job; the indices of `services` are the numbers of its tasks.
    package init(arrived: Int64, demand: Resources, services: ArraySlice<Int64>) {
        self.arrived = arrived
        self.demand = demand
        self.services = services
    }
}

/// A job whose last task has started, so that its end is known: nothing stops what runs.
package struct JobRecord: Sendable {
    /// Its place among all jobs, in the order of their arrival, from 0.
    package var number: Int
    /// When it arrived, in seconds.
    package var arrived: Double
    /// From its arrival to the end of its last task, in seconds.
    package var response: Double
}

/// What the core asks of the container runtime, for one container.
package enum ContainerCommand: Hashable, Sendable {
    /// Make the container, without starting the program. Answered by `created` or `failed`.
    case create(TaskSpec)
    /// Start the program of a created container. Answered by `started` or `failed`.
    case start
    /// Send a signal to the program's first process; ignored when it has ended.
    case signal(Int32)
    /// Ask the program to end, by the task's own stop signal, else by that of its image, else by
    /// SIGTERM; ignored when it has ended.
    case stop(Int32?)
    /// End every process of the container with SIGKILL, a created one's too. Answered by
    /// `exited`, or `failed` when it never ran.
    case kill
    /// Remove what is left of an ended container, except its log. Repeating it is harmless.
    case remove
    /// Remove the container's log.
    case removeLog
}

/// What the container runtime tells about one container.
package enum ContainerEvent: Hashable, Sendable {
    /// The container is made and waits for `start`.
    case created
    /// The program runs.
    case started
    /// Something that a person should know about it, while it goes on: limits that don't hold here.
    case noted(String)
    /// What its processes have used up; comes before its end, when that much is known.
    case used(ResourceUsage)
    /// The program has ended, and no process of the container is left.
    case exited(ExitStatus)
    /// The container could not be made or started, and nothing of it runs.
    case failed(ContainerFailure)
    /// The exit status is lost, and no process of the container is left: its monitor or guard died, or
    /// there was no guard under which to make it. Says which, in words for a person.
    case vanished(String)
}

/// Why a container could not be made or started.
package struct ContainerFailure: Error, Hashable, Sendable {
    /// The exit code shown for it, as in `docker run`: 125 our error, 126 the command can't be
    /// invoked, 127 the command was not found.
    package var code: Int32
    /// What was tried, on what, and why it failed, in words for a person.
    package var message: String

    /// Makes a failure.
    package init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }
}

/// A container of an earlier life of the daemon, found when the daemon starts.
package struct AdoptedContainer: Hashable, Sendable {
    /// Which attempt it runs.
    package var id: ContainerID
    /// What it is found doing: `created`, `started`, `exited`, `failed` or `vanished`.
    package var state: ContainerEvent
    /// What its processes have used up, when they have ended and that much is known.
    package var usage: ResourceUsage?

    /// Makes a report on a found container.
    package init(id: ContainerID, state: ContainerEvent, usage: ResourceUsage? = nil) {
        self.id = id
        self.state = state
        self.usage = usage
    }
}

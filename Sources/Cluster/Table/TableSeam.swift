package import Model

/// Everything that can happen to a node's copy of the task table.
package enum TableEvent: Sendable {
    /// Take in a new task; its copies are reported by `stored`.
    case submit(TaskSpec, id: TaskID, wall: WallTime, wantedCopies: Int)
    /// A known task is submitted once more: report how many disks hold it.
    case secure(TaskID, wantedCopies: Int)
    /// Raise a task's wish to end.
    case cancel(TaskID)
    /// Join an attempt's row into its task.
    case writeAttempt(TaskID, AttemptRow)
    /// Write down the end that the lock committed.
    case close(TaskID, TaskOutcome, token: FencingToken?, wall: WallTime)
    /// The lock says that the task was collected: it goes, with the births that are known here.
    case collectedElsewhere(TaskID)
    /// A message of another node's table arrived; the sender is verified, the content is not.
    case received([UInt8], from: NodeID)
    /// Who can be reached now.
    case peers([NodeID])
    /// The write that the ticket names is on disk.
    case persisted(TableTicket)
    /// The write that the ticket names did not happen.
    case persistFailed(TableTicket)
    /// The time that `nextDeadline` named has come.
    case deadlineReached
}

/// Everything that a node's copy of the table can ask of its surroundings, or tell.
package enum TableEffect: Sendable {
    /// Send a message to another node's table; it may be lost.
    case send([UInt8], to: NodeID, via: Channel)
    /// Write to disk, then answer `persisted` or `persistFailed`.
    case persist([DurableWrite], TableTicket)
    /// A task's record has grown, or is gone.
    case changed(TaskID)
    /// This many disks are known to hold the submission.
    case stored(TaskID, copies: Int)
    /// This node's own change of the task is on its disk.
    case storedLocally(TaskID)
    /// The submission could not be written; it is not taken in.
    case submitFailed(TaskID, reason: String)
    /// The task has ended, and everybody knows: its record was dropped.
    case collected(TaskID, births: [BirthDot], attempts: [FencingToken])
    /// Another process draws dots under this node's boot ID.
    case cloneSuspected
}

/// Names a write of the table; counts from 1.
package struct TableTicket: Hashable, Comparable, Sendable {
    /// The count.
    package var value: UInt64

    /// Makes a ticket.
    package init(_ value: UInt64) {
        self.value = value
    }

    /// Orders by time of issue.
    package static func < (left: TableTicket, right: TableTicket) -> Bool {
        left.value < right.value
    }
}

/// The numbers of the table.
package struct TableConfiguration: Hashable, Sendable {
    /// How long an ended task is kept before it may be collected.
    package var retention: Duration
    /// How often a random peer is asked whether it knows the same.
    package var repairInterval: Duration = .seconds(1)
    /// How long changes gather after the last push before they are pushed together.
    package var pushInterval: Duration = .milliseconds(2)
    /// How long a submission waits for a peer's disk before it is pushed again.
    package var resendInterval: Duration = .milliseconds(250)
    /// How often a submission is pushed again; anti-entropy does the rest.
    package var resendsMax = 8

    /// How often ranges are compared with a random peer, whatever the contexts say.
    package var rangesInterval: Duration = .seconds(30)
    /// The most tasks that have not been collected: one more is refused at submission, and a quarter
    /// more when it comes from a peer.
    package var tasksMax = 1_000_000
    /// The most intervals in the context, and in the set of collected births.
    ///
    /// Each life of a node leaves one in either, and gaps close by themselves: as many are made up.
    /// A context without room claims less, and its peers send again what it does not claim; births
    /// without room are not collected.
    package var intervalsMax = 1 << 20

    /// Up to so many peers get every change from its origin; with more, some tell the others.
    package static let directPeersMax = 8
    /// Among how many peers a change's origin divides all others, and each of those its span, about.
    package static let spanFanout = 4
    /// How many peers each node tells, besides, what was news to it: whoever a lost packet, or a
    /// peer that has just failed, would leave out.
    package static let rumourFanout = 1
    /// How far a rumour travels.
    package static let hopsMax: UInt8 = 6
    /// About how many bytes of deltas one message carries.
    package static let messageSizeBytesMax = 512 << 10
    /// The most messages in answer to one page; the peer asks for more.
    package static let repairMessagesMax = 8
    /// The most pages sent at once.
    package static let pagesAtOnceMax = 16
    /// The most buckets of a large set that are compared at once.
    package static let bucketsAtOnceMax = 16
    /// How many pushes wait for answers; those before them count only when they are repeated.
    package static let acksMax = 16_384
    /// The most submissions that are pushed again at once.
    package static let resentAtOnceMax = 4_096
    /// Payloads up to so many bytes travel in one datagram.
    package static let datagramSizeBytesMax = 1_100

    /// What a later version would add to a submission and its record, for simulations of upgrades.
    package var newerFields: [UInt8] = []
    /// A rule that is broken on purpose, for tests that must notice.
    package var mutation: TableMutation?

    /// Makes a configuration.
    package init(retention: Duration) {
        self.retention = retention
    }
}

import Model
import Runner
import Testing

/// What becomes of an image's defaults and a task's wishes.
@Suite struct ImageProcessTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var entrypoint: [String] = []
        var command: [String] = []
        var wantedEntrypoint: [String]?
        var wantedCommand: [String] = []
        /// `nil` when there is no process.
        let expected: [String]?
    }

    static let rows = [
        Row(testDescription: "the image's command", command: ["sh"], expected: ["sh"]),
        Row(
            testDescription: "entrypoint and command of the image",
            entrypoint: ["tini", "--"], command: ["sh"], expected: ["tini", "--", "sh"]),
        Row(
            testDescription: "a task's command leaves the entrypoint",
            entrypoint: ["tini", "--"], command: ["sh"], wantedCommand: ["ls", "-l"],
            expected: ["tini", "--", "ls", "-l"]),
        Row(
            testDescription: "a task's entrypoint drops both",
            entrypoint: ["tini", "--"], command: ["sh"], wantedEntrypoint: ["env"],
            expected: ["env"]),
        Row(
            testDescription: "a task's entrypoint with its command",
            entrypoint: ["tini"], command: ["sh"], wantedEntrypoint: ["env"],
            wantedCommand: ["-i"], expected: ["env", "-i"]),
        Row(
            testDescription: "an empty entrypoint is none",
            entrypoint: ["tini"], command: ["sh"], wantedEntrypoint: [""],
            wantedCommand: ["ls"], expected: ["ls"]),
        Row(
            testDescription: "none alone is no process", entrypoint: ["tini"], command: ["sh"],
            wantedEntrypoint: [], expected: nil),
        Row(testDescription: "nothing is no process", expected: nil),
        Row(testDescription: "an empty program is none", command: [""], expected: nil),
    ]

    @Test(arguments: rows) func `entrypoint and command go together`(row: Row) {
        var image = ImageConfiguration()
        image.entrypoint = row.entrypoint
        image.command = row.command
        var task = ProcessWishes(command: row.wantedCommand)
        task.entrypoint = row.wantedEntrypoint
        let process = try? ProcessDefaults(image, task)
        #expect(process?.arguments == row.expected)
    }

    @Test func `each setting of the environment stands once, the task's last word`() throws {
        var image = ImageConfiguration()
        image.environment = ["A=1", "PATH=/opt", "B=2", "=odd"]
        var task = ProcessWishes(command: ["x"])
        task.environment = ["B=3", "C=4=5", "A", "C=6", "NONE", "EMPTY="]
        let merged = try ProcessDefaults(image, task).environment
        #expect(merged == ["PATH=/opt", "B=3", "C=6", "EMPTY="])
        task.environment = []
        image.environment = []
        #expect(try ProcessDefaults(image, task).environment == ["PATH=\(ProcessDefaults.path)"])
    }

    @Test func `directory, user and signal are the task's, else the image's, else the usual`()
        throws
    {
        var image = ImageConfiguration()
        var task = ProcessWishes(command: ["x"])
        let usual = try ProcessDefaults(image, task)
        #expect(usual.workingDirectory == "/" && usual.user.isEmpty && usual.stopSignal == 15)
        image.workingDirectory = "/srv"
        image.user = "app"
        image.stopSignal = "SIGQUIT"
        let images = try ProcessDefaults(image, task)
        #expect(images.workingDirectory == "/srv")
        #expect(images.user == "app" && images.stopSignal == 3)
        task.workingDirectory = "/tmp"
        task.user = "0"
        task.stopSignal = "usr1"
        let tasks = try ProcessDefaults(image, task)
        #expect(tasks.workingDirectory == "/tmp" && tasks.user == "0" && tasks.stopSignal == 10)
        task.workingDirectory = "srv"
        #expect(throws: ProcessDefaults.Failure.relativeWorkingDirectory("srv")) {
            try ProcessDefaults(image, task)
        }
        task.workingDirectory = nil
        task.stopSignal = "SIGNO"
        #expect(throws: ProcessDefaults.Failure.unknownSignal("SIGNO")) {
            try ProcessDefaults(image, task)
        }
    }

    @Test(arguments: [
        ("SIGTERM", 15), ("term", 15), ("9", 9), ("64", 64), ("SIGRTMIN", 34), ("RTMIN+3", 37),
        ("SIGRTMAX-1", 63), ("0", nil), ("65", nil), ("-9", nil), ("", nil), ("RTMIN+31", nil),
        ("RTMAX-99", nil), ("RTMIN+-1", nil), ("SIGSIGTERM", nil),
    ]) func `signals have names and numbers`(name: String, number: Int32?) {
        #expect(SignalName.number(name) == number)
    }
}

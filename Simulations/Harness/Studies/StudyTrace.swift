package import Model

/// Tasks that somebody has recorded, as text.
///
/// Two formats are known. CSV: `submit,cpu,memory,duration,user`, a task each line: seconds, cores,
/// bytes (or with K, M, G, T), seconds, a name; a first line with these words may stand before them.
/// Sparrow's: `submit n mean t1 … tn`, a job each line: seconds, how many tasks, seconds on average,
/// seconds each. Empty lines and lines that begin with `#` are passed over.
package struct StudyTrace: Sendable {
    /// A line: tasks that are submitted together.
    package struct Job: Hashable, Sendable {
        /// When it is submitted, in nanoseconds since the first one was.
        package var submitted: Int64
        /// How long its tasks run, in nanoseconds.
        package var services: [Int64]
        /// What each of its tasks asks for; `nil` for what the study says.
        package var demand: Resources?
        /// Who submits it; empty when nobody is named.
        package var user: String

        /// Makes a job.
        package init(submitted: Int64, services: [Int64], demand: Resources?, user: String) {
            self.submitted = submitted
            self.services = services
            self.demand = demand
            self.user = user
        }
    }

    /// The jobs in the order of their submission.
    package private(set) var jobs: [Job] = []
    /// How many tasks they have together.
    package private(set) var taskCount = 0

    /// How many tasks a trace may have.
    package static let taskCountMax = 1_000_000
    /// The latest submission and the longest run time, in seconds.
    package static let secondsMax = 1e8

    /// Reads a trace.
    ///
    /// - Throws: A `StudyError` that names the first line which is wrong.
    package init(
        _ text: String, taskCountMax: Int = StudyTrace.taskCountMax
    ) throws(StudyError) {
        var isTable: Bool?
        for (number, row) in text.split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline
        ).enumerated() {
            let words = row.split(separator: " ")
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            do throws(StudyError) {
                if isTable == nil {
                    isTable = row.contains(",")
                    if isTable == true, first.hasPrefix("submit") { continue }
                }
                let job = isTable == true ? try StudyTrace.row(row) : try StudyTrace.job(words)
                taskCount += job.services.count
                guard taskCount <= taskCountMax else {
                    throw StudyError("more than \(taskCountMax) tasks")
                }
                jobs.append(job)
            } catch {
                throw error.about("line \(number + 1)")
            }
        }
        guard !jobs.isEmpty else { throw StudyError("the trace holds no tasks") }
        // Stable, so that what is submitted at one time keeps its order.
        jobs = jobs.enumerated().sorted {
            ($0.element.submitted, $0.offset) < ($1.element.submitted, $1.offset)
        }.map(\.element)
        let first = jobs[0].submitted
        for place in jobs.indices { jobs[place].submitted -= first }
    }

    private static func row(_ line: Substring) throws(StudyError) -> Job {
        let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            .map { $0.split(separator: " ").joined(separator: " ") }
        guard fields.count == 5 else {
            throw StudyError(
                "\(fields.count) fields, of five: submit,cpu,memory,duration,user")
        }
        let cpus = try number(fields[1], "cpu", in: 0.001...1_024)
        let memory: ByteCount
        do throws(StudyError) { memory = try ByteCount(text: fields[2]) } catch {
            throw error.about("memory")
        }
        return Job(
            submitted: try time(fields[0], "submit"),
            services: [try time(fields[3], "duration")],
            demand: Resources(
                cpuMillis: UInt32((cpus * 1_000).rounded()), memoryBytes: memory.bytes),
            user: fields[4])
    }

    private static func job(_ words: [Substring]) throws(StudyError) -> Job {
        guard words.count >= 3 else {
            throw StudyError("\(words.count) numbers; a job is submit n mean t1 … tn")
        }
        guard let count = Int(words[1]), (1...taskCountMax).contains(count) else {
            throw StudyError("'\(words[1])' is no number of tasks from 1 to \(taskCountMax)")
        }
        guard words.count == 3 + count else {
            throw StudyError("\(words.count - 3) run times of \(count) tasks")
        }
        _ = try time(String(words[2]), "mean")
        var services: [Int64] = []
        services.reserveCapacity(count)
        for word in words.dropFirst(3) { services.append(try time(String(word), "run time")) }
        return Job(
            submitted: try time(String(words[0]), "submit"), services: services, demand: nil,
            user: "")
    }

    private static func time(_ text: String, _ name: String) throws(StudyError) -> Int64 {
        Int64((try number(text, name, in: 0...secondsMax) * 1e9).rounded())
    }

    private static func number(
        _ text: String, _ name: String, in range: ClosedRange<Double>
    ) throws(StudyError) -> Double {
        guard let value = Double(text) else { throw StudyError("\(name): '\(text)' is no number") }
        guard range.contains(value) else {
            throw StudyError(
                "\(name) must lie between \(range.lowerBound.text) and "
                    + "\(range.upperBound.text), and is \(text)")
        }
        return value
    }
}

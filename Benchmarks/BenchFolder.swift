import Foundation

/// A folder for the time of a benchmark, and the report that comes of it.
enum BenchFolder {
    /// Makes a folder of this name, hands it to `body`, and removes it whatever comes.
    static func use(
        _ name: String, below parent: String? = nil,
        _ body: (String) async throws -> Void
    ) async throws {
        let parent = parent ?? FileManager.default.temporaryDirectory.path
        let folder = "\(parent)/magpie-\(name)-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    /// Prints figures as one JSON object.
    static func print(_ report: [String: Any]) throws {
        let data = try JSONSerialization.data(
            withJSONObject: report, options: [.prettyPrinted, .sortedKeys])
        Swift.print(String(decoding: data, as: UTF8.self))
    }
}

import Foundation
import SimulationHarness
import Testing

@testable import Simulate

/// The results file: what is in it after whatever may happen to it.
@Suite final class StudyStoreTests {
    private let path: String
    private let record: StudyRecord

    init() throws {
        path =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-\(UUID().uuidString).jsonl").path
        record = try #require(StudyReportTests.report.outcome.cells[0].records.first)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    private func append(_ text: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    @Test func `what was added is there when it is opened again`() throws {
        var other = record
        other.key = "other"
        do {
            let store = try StudyStore(path: path)
            #expect(store.records.isEmpty)
            try store.append(record)
            try store.append(other)
        }
        let again = try StudyStore(path: path).records
        #expect(Set(again.keys) == [record.key, "other"])
        #expect(again[record.key]?.measures == record.measures)
        #expect(again[record.key]?.spans == record.spans)
    }

    @Test func `half a line at the end is dropped, and the next one stands on its own`() throws {
        try StudyStore(path: path).append(record)
        let whole = try String(contentsOfFile: path, encoding: .utf8)
        try append(String(whole.dropLast(9)))
        do {
            let store = try StudyStore(path: path)
            #expect(store.records.count == 1)
            var other = record
            other.key = "other"
            try store.append(other)
        }
        #expect(try StudyStore(path: path).records.count == 2)
        #expect(try String(contentsOfFile: path, encoding: .utf8).hasPrefix(whole))
    }

    @Test func `a line that is none of ours is refused, and left alone`() throws {
        try StudyStore(path: path).append(record)
        try append("{\"key\": 1}\n")
        let before = try String(contentsOfFile: path, encoding: .utf8)
        let error = #expect(throws: StudyFileError.self) { _ = try StudyStore(path: path) }
        #expect(error?.description.hasPrefix("\(path):2: is no run of a study") == true)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == before)
    }

    @Test func `two can't have it at a time`() throws {
        let store = try StudyStore(path: path)
        let error = #expect(throws: StudyFileError.self) { _ = try StudyStore(path: path) }
        #expect(error?.description.contains("is in use by another") == true)
        try store.append(record)
    }
}

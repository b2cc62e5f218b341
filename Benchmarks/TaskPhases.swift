import AsyncHTTPClient
import ControlAPI
import Foundation
import NIOCore

/// Where the time of a task goes, as one node's event stream shows it.
actor TaskPhases {
    /// When a task first showed each of its states.
    private var seen: [String: [String: ContinuousClock.Instant]] = [:]
    private var reader: Task<Void, Never>?

    /// Follows the node's events until `stop`.
    func follow(_ node: BenchNode) async throws {
        let request = HTTPClientRequest(url: node.url(APIPaths.events))
        let response = try await HTTPClient.shared.execute(request, timeout: .hours(1))
        reader = Task {
            var rest: [UInt8] = []
            do {
                for try await chunk in response.body {
                    rest += chunk.readableBytesView
                    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                        note(rest[..<end])
                        rest.removeFirst(end + 1)
                    }
                }
            } catch {
                // The stream ends with the node.
            }
        }
    }

    func stop() { reader?.cancel() }

    private func note(_ line: ArraySlice<UInt8>) {
        let mark = Array("data: ".utf8)
        guard line.starts(with: mark),
            let view = try? JSONDecoder().decode(
                TaskView.self, from: Data(line.dropFirst(mark.count)))
        else { return }
        let state = view.isTerminal ? "ended" : view.state
        if seen[view.id]?[state] == nil { seen[view.id, default: [:]][state] = .now }
    }

    /// Medians, in milliseconds, from each state to the next.
    func report() -> [String: Double] {
        func median(_ from: String, _ to: String) -> Double {
            let spans = seen.values.compactMap { states -> Double? in
                guard let begin = states[from], let end = states[to] else { return nil }
                return (end - begin) / .milliseconds(1)
            }
            return tenth(Sample(spans).quantile(0.5))
        }
        return [
            "queued_to_claimed_ms": median("queued", "claimed"),
            "claimed_to_running_ms": median("claimed", "running"),
            "running_to_ended_ms": median("running", "ended"),
            "queued_to_ended_ms": median("queued", "ended"),
        ]
    }
}

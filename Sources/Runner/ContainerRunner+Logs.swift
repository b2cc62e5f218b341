import CShims
import Dispatch
import Foundation
import Glibc
package import Model

/// Logs: read while they are written, and kept within their bound.
extension ContainerRunner {
    /// Reads a container's log, and waits for output when there is none yet.
    ///
    /// - Returns: `nil` when there is no such log.
    package func readLog(
        _ id: ContainerID, from start: LogStart, waitAtMost: Duration
    ) async -> LogChunk? {
        let reader = LogReader(directory: ContainerPaths(id, configuration).log)
        let clock = ContinuousClock()
        let end = clock.now + waitAtMost
        var start = start
        var begin: LogCursor?
        while true {
            let seen = logChanges.count(of: id)
            // A container that is being made will have a log.
            guard reader.exists || entry(id) != nil else { return nil }
            let place = start
            var chunk = await onThread { reader.read(from: place) }
            // Several looks are one excerpt, as long as nothing is missing between them.
            if let begin, chunk.begin == start.fallback { chunk.begin = begin }
            begin = chunk.begin
            if !chunk.entries.isEmpty || chunk.isEnd || clock.now >= end { return chunk }
            // What was counted from the end is settled by the first look.
            if case .newest = start {
                start = .newest(after: chunk.next)
            } else {
                start = .at(chunk.next)
            }
            await logChanges.wait(for: id, since: seen, atMost: end - clock.now)
        }
    }

    /// Files are read on threads that may block.
    private func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            pool.async { continuation.resume(returning: body()) }
        }
    }

    /// A log has grown; on the watcher's thread.
    func logChanged(_ id: ContainerID) {
        logChanges.tell(id)
        guard let size = LogReader.size(of: "\(ContainerPaths(id, configuration).log)/log"),
            size > configuration.logSegmentSizeBytesMax
        else { return }
        rotation.async { [self] in rotateIfLarge(id) }
    }

    // MARK: Rotation

    /// Looks after all logs now and then: whatever was missed is made up for.
    func startRotating() {
        let timer = DispatchSource.makeTimerSource(queue: rotation)
        timer.schedule(deadline: .now() + 1, repeating: 1)
        timer.setEventHandler { [weak self] in self?.rotateLogs() }
        timer.resume()
        rotationTimer = timer
    }

    private func rotateLogs() {
        let running = lock.withLock { entries.filter { $0.value.isStarted && !$0.value.hasEnded } }
        for id in running.keys.sorted() { rotateIfLarge(id) }
    }

    /// Rotates a log that has grown too large; the monitor opens a new file on request.
    private func rotateIfLarge(_ id: ContainerID) {
        let paths = ContainerPaths(id, configuration)
        guard entry(id)?.hasEnded == false, let size = LogReader.size(of: "\(paths.log)/log"),
            size > configuration.logSegmentSizeBytesMax
        else { return }
        let control = open("\(paths.bundle)/ctl", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
        guard control >= 0 else { return }
        defer { close(control) }
        let segment = LogReader(directory: paths.log).segments.current
        let rotated = "\(paths.log)/log.\(segment)"
        guard rename("\(paths.log)/log", rotated) == 0 else { return }
        let request = Array("2 0 0\n".utf8)
        guard write(control, request, request.count) == request.count else {
            // The monitor was not told, and writes on into the old file.
            rename(rotated, "\(paths.log)/log")
            return
        }
        trim(paths.log)
    }

    /// Removes what is more than a log may hold, oldest first.
    private func trim(_ log: String) {
        let reader = LogReader(directory: log)
        let segments = reader.segments
        trim(
            segments.rotated.map { reader.path(of: $0, in: segments) },
            to: configuration.logSizeBytesMax - configuration.logSegmentSizeBytesMax)
    }

    /// The same for a log that nobody writes any more.
    func trimEnded(_ log: String) {
        let reader = LogReader(directory: log)
        let segments = reader.segments
        trim(
            (segments.rotated + [segments.current]).map { reader.path(of: $0, in: segments) },
            to: configuration.logSizeBytesMax)
    }

    private func trim(_ paths: [String], to sizeBytes: UInt64) {
        var left = sizeBytes
        for path in paths.reversed() {
            let size = LogReader.size(of: path) ?? 0
            if left == 0 {
                Files.remove(path)
            } else if size > left {
                // One that grew while nobody rotated it: its head becomes a hole.
                magpie_punch_hole(path, size - left)
                left = 0
            } else {
                left -= size
            }
        }
    }
}

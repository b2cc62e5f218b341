import ControlAPI
import Foundation

/// What tasks use, in words for a person.
enum UsageText {
    /// One line about a task that has ended.
    static func line(_ usage: UsageView) -> String {
        let peak = usage.memoryPeak > 0 ? ", \(bytes(usage.memoryPeak)) of memory at most" : ""
        return "used \(seconds(usage.cpuSeconds)) of processor time\(peak), read "
            + "\(bytes(usage.read)), wrote \(bytes(usage.written))"
    }

    static func seconds(_ seconds: Double) -> String {
        String(format: seconds < 10 ? "%.2f s" : "%.0f s", seconds)
    }

    /// A size in the unit that suits it, powers of 1,024.
    static func bytes(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var number = Double(bytes)
        var unit = 0
        while number >= 1_000, unit < units.count - 1 {
            number /= 1_024
            unit += 1
        }
        return String(
            format: unit == 0 || number >= 10 ? "%.0f %@" : "%.1f %@", number, units[unit])
    }
}

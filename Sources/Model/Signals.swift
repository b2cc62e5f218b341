/// The signals of Linux by name.
package enum SignalName {
    /// The largest number.
    package static let numberMax: Int32 = 64
    /// The first real-time signal as the C library counts them.
    private static let firstRealTime: Int32 = 34

    private static let names: [String] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ]
    private static let others: [String: Int32] = [
        "IOT": 6, "CLD": 17, "POLL": 29, "RTMIN": firstRealTime, "RTMAX": numberMax,
    ]

    /// The number of `SIGTERM`, `term`, `15` or `RTMIN+3`; `nil` for what is no signal.
    package static func number(_ text: some StringProtocol) -> Int32? {
        if let number = Int32(text) { return (1...numberMax).contains(number) ? number : nil }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if let index = names.firstIndex(of: name) { return Int32(index) + 1 }
        if let number = others[name] { return number }
        let isFromBelow = name.hasPrefix("RTMIN+")
        guard isFromBelow || name.hasPrefix("RTMAX-"), let step = Int32(name.dropFirst(6)),
            (0...numberMax - firstRealTime).contains(step)
        else { return nil }
        return isFromBelow ? firstRealTime + step : numberMax - step
    }
}

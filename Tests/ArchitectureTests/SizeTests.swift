import Testing

/// Files and functions stay small enough to be read in one go.
@Suite struct SizeTests {
    static let folders = ["Sources", "Simulations", "Benchmarks", "Tests"]
    static let fileLinesMax = 500
    static let functionLinesMax = 70

    @Test(arguments: folders)
    func `no file has more than 500 lines`(folder: String) {
        for file in SourceTree.files(below: folder) {
            #expect(
                file.lines.count <= SizeTests.fileLinesMax,
                "\(file.path) has \(file.lines.count) lines: is it one concept?")
        }
    }

    @Test(arguments: ["Sources", "Simulations", "Benchmarks"])
    func `no function has more than 70 lines`(folder: String) {
        for file in SourceTree.files(below: folder) {
            for function in FunctionScan.functions(in: file.lines) {
                #expect(
                    function.length <= SizeTests.functionLinesMax,
                    "\(file.path):\(function.line) has \(function.length) lines")
            }
        }
    }

    @Test func `the scan measures a function by its closing brace`() {
        let lines = ["    func a() {", "        b {", "        }", "    }", "    var c = 1"]
        #expect(FunctionScan.functions(in: lines).map(\.length) == [4])
    }
}

/// Finds functions by the layout that the formatter guarantees: the closing brace stands alone,
/// indented like the line on which the declaration begins.
enum FunctionScan {
    struct Function {
        let line: Int
        let length: Int
    }

    static func functions(in lines: [String]) -> [Function] {
        var found: [Function] = []
        for (index, line) in lines.enumerated() {
            let indent = line.prefix { $0 == " " }
            let words = line.split(separator: " ")
            let isFunction = words.contains { $0 == "func" || $0.hasPrefix("init(") }
            guard isFunction, !words[0].hasPrefix("//"), !words[0].hasPrefix("case") else {
                continue
            }
            let end = lines[index...].firstIndex { $0 == indent + "}" }
            guard let end, bodyBegins(in: lines[index..<end], indent: String(indent)) else {
                continue
            }
            found.append(Function(line: index + 1, length: end - index + 1))
        }
        return found
    }

    /// A protocol requirement has no body: the next brace is not its own.
    private static func bodyBegins(in lines: ArraySlice<String>, indent: String) -> Bool {
        for line in lines {
            if line.hasSuffix("{") { return true }
            let isSignature =
                line.hasPrefix(indent + " ") || line == lines.first || line.hasPrefix(indent + ")")
                || line.hasPrefix(indent + "{")
            if !isSignature { return false }
        }
        return false
    }
}

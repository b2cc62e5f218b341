import Testing

/// The linter asks documentation of `public` declarations only; most of ours are `package`.
@Suite struct DocumentationTests {
    @Test(arguments: ["Sources", "Simulations"])
    func `every declaration that another target can see is documented`(folder: String) {
        for file in SourceTree.files(below: folder) {
            for line in undocumented(in: file.lines) {
                Issue.record("\(file.path):\(line) has no documentation")
            }
        }
    }

    @Test func `the check finds a declaration without a comment`() {
        let lines = ["/// Fine.", "package var a = 1", "package var b = 2"]
        #expect(undocumented(in: lines) == [3])
    }

    private func undocumented(in lines: [String]) -> [Int] {
        let declarations: Set<Substring> = [
            "var", "let", "func", "struct", "enum", "class", "actor", "protocol", "typealias",
        ]
        return lines.indices.filter { index in
            let words = lines[index].split(separator: " ")
            guard words.first == "package" || words.first == "public", words.count > 1,
                words[1] != "import",
                words.contains(where: { declarations.contains($0) || $0.hasPrefix("init") }),
                !words.contains("extension")
            else { return false }
            return !isDocumented(lines, before: index)
        }.map { $0 + 1 }
    }

    private func isDocumented(_ lines: [String], before index: Int) -> Bool {
        var above = index - 1
        while above >= 0 {
            let line = lines[above].drop { $0 == " " }
            if line.hasPrefix("///") { return true }
            guard line.hasPrefix("@") || line.hasPrefix("#") else { return false }
            above -= 1
        }
        return false
    }
}

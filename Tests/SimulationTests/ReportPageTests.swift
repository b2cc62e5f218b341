import Foundation
import SimulationHarness
import Subprocess
import SystemPackage
import Testing

/// A browser without a window.
enum Chromium {
    static let path: String? = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// How long it may take; longer than any page needs, so that a hang ends.
    private static let secondsMax = 120

    /// The page after its scripts have run, and what the console said.
    static func open(_ page: URL) async throws -> (document: String, console: [String]) {
        let profile = page.deletingLastPathComponent().appendingPathComponent("profile")
        let result = try await Subprocess.run(
            .path(FilePath("/usr/bin/timeout")),
            arguments: [
                "--kill-after=5", "\(secondsMax)", try #require(path), "--headless",
                "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--user-data-dir=\(profile.path)",
                "--window-size=1100,1400", "--enable-logging=stderr", "--v=0", "--dump-dom",
                page.absoluteString,
            ], output: .string(limit: 64 << 20), error: .string(limit: 16 << 20))
        try #require(result.terminationStatus.isSuccess, "\(result.standardError)")
        let console = result.standardError.split(separator: "\n").filter {
            $0.contains("CONSOLE")
        }
        return (result.standardOutput, console.map(String.init))
    }
}

/// What a browser makes of a report.
@Suite(
    .enabled(
        if: Chromium.path != nil,
        "chromium is not installed: NOBODY HAS LOOKED AT THE REPORTS' PAGES"))
struct ReportPageTests {
    /// Measures boxes, and says in an attribute of the page what is not where it should be.
    private static let check = """
        <script>
        const problems = [];
        const apart = (a, b) => a.right <= b.left + 0.5 || b.right <= a.left + 0.5
            || a.bottom <= b.top + 0.5 || b.bottom <= a.top + 0.5;
        const within = (a, b, slack) => a.left >= b.left - slack && a.right <= b.right + slack
            && a.top >= b.top - slack && a.bottom <= b.bottom + slack;
        document.querySelectorAll("svg").forEach((svg, number) => {
            const say = words => problems.push(`plot ${number + 1}: ${words}`);
            const box = svg.getBoundingClientRect();
            if (box.width < 300 || box.height < 60) say("is not to be seen");
            const marks = [...svg.querySelectorAll(".marks *")]
                .filter(mark => mark.tagName !== "title");
            if (marks.length === 0) say("has no marks");
            for (const mark of marks)
                if (!within(mark.getBoundingClientRect(), box, 1)) say(`${mark.outerHTML} is outside`);
            const base = svg.querySelector(".base").getBoundingClientRect();
            const tops = [...svg.querySelectorAll(".grid")].map(l => l.getBoundingClientRect().top);
            const area = { left: base.left, right: base.right, bottom: base.bottom,
                top: Math.min(base.top, ...tops) };
            const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent !== "");
            texts.forEach((text, index) => {
                const own = text.getBoundingClientRect();
                if (!within(own, box, 1)) say(`"${text.textContent}" is outside`);
                if (!apart(own, area)) say(`"${text.textContent}" lies on the plot`);
                for (const other of texts.slice(index + 1))
                    if (!apart(own, other.getBoundingClientRect()))
                        say(`"${text.textContent}" and "${other.textContent}" overlap`);
            });
        });
        if (document.documentElement.scrollWidth > innerWidth) problems.push("scrolls sideways");
        document.body.setAttribute("data-plots", document.querySelectorAll("svg").length);
        document.body.setAttribute("data-problems", problems.join(" | "));
        </script>
        """

    private func look(at page: String) async throws -> (
        plots: String, problems: String, console: [String]
    ) {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("magpie-page-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("report.html")
        let parts = page.components(separatedBy: "</body>")
        try #require(parts.count == 2)
        try Data((parts[0] + ReportPageTests.check + "</body>" + parts[1]).utf8).write(to: file)
        let (document, console) = try await Chromium.open(file)
        let value = { (name: String) throws in
            let rest = try #require(
                document.components(separatedBy: "\(name)=\"").dropFirst().first)
            return rest.components(separatedBy: "\"")[0]
        }
        return (try value("data-plots"), try value("data-problems"), console)
    }

    @Test func `a browser shows every plot whole, and says nothing`() async throws {
        let page = StudyReportTests.report.html
        let seen = try await look(at: page)
        #expect(seen.plots == "11")
        #expect(seen.problems == "")
        #expect(seen.console.isEmpty, "\(seen.console)")
    }

    @Test func `a label on the plot, a mark outside and a failing script would be noticed`()
        async throws
    {
        let page = StudyReportTests.report.html
            .replacingOccurrences(of: "class=\"tick\" x=\"", with: "class=\"tick\" x=\"2")
            .replacingOccurrences(of: "<circle class=\"dot s1\" cx=\"", with: "<circle cx=\"9")
            .replacingOccurrences(of: "</main>", with: "</main><script>none();</script>")
        let seen = try await look(at: page)
        #expect(seen.problems.contains("lies on the plot") || seen.problems.contains("overlap"))
        #expect(seen.problems.contains("is outside"))
        #expect(seen.console.contains { $0.contains("none is not defined") })
    }
}

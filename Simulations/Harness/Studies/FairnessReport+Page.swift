import Model

extension FairnessReport {
    /// One self-contained page: the main numbers, and what they look like.
    package var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Magpie: fairness of stealing</title>
        <style>\(FairnessReport.style)</style>
        </head>
        <body>
        <main>
        <h1>How fairly do magpies steal?</h1>
        <p class="lead">\(Format.count(study.nodeCount)) nodes with \(Format.count(study.coreCount))
        cores together, kept busy to \(Format.fixed(100 * study.load, 0)) % by
        \(Format.count(study.taskCount)) tasks of \(Format.seconds(study.meanService.seconds)) on
        average, submitted at random nodes. All policies see the same tasks. One line before all
        cores (M/M/\(study.coreCount)) would wait \(Format.seconds(study.idealWaitSeconds)) on
        average.</p>
        \(table)
        \(figures)
        <footer>\(command)</footer>
        </main>
        </body>
        </html>

        """
    }

    // MARK: Plots

    /// How many points a line has at most: more than that can't be seen.
    private static let pointsMax = 240

    private var waitPlot: Plot {
        var plot = Plot(
            distributions { $0.waits.map { 1_000 * $0 } }, xTitle: "wait in ms (logarithmic)",
            yTitle: "% of tasks")
        plot.xScale = .logarithmic
        plot.yMax = 100
        return plot
    }

    private var slowdownPlot: Plot {
        var plot = Plot(
            distributions(\.slowdowns), xTitle: "slowdown (logarithmic)", yTitle: "% of tasks")
        plot.xScale = .logarithmic
        plot.yMax = 100
        return plot
    }

    /// For each policy, how many tasks in a hundred have at most a value.
    private func distributions(_ values: (FairnessResult) -> [Double]) -> [Plot.Series] {
        results.map { result in
            let sorted = values(result).sorted()
            let points = (0...FairnessReport.pointsMax).map { step in
                let share = Double(step) / Double(FairnessReport.pointsMax)
                return (x: Statistics.quantile(share, of: sorted), y: 100 * share)
            }
            return Plot.Series(name: result.name, points: points)
        }
    }

    private var busyPlot: Plot {
        Plot(
            results.map { result in
                let points = result.busyShares.sorted().enumerated().map { place, share in
                    (x: Double(place + 1), y: 100 * share)
                }
                return Plot.Series(name: result.name, points: points)
            }, xTitle: "node, by rank", yTitle: "% of time busy")
    }

    private var imbalancePlot: Plot {
        Plot(
            results.map { result in
                let stride = max(1, result.imbalance.count / FairnessReport.pointsMax)
                let points = result.imbalance.enumerated().filter { $0.offset % stride == 0 }
                    .map { (x: $0.element.seconds, y: 100 * $0.element.deviation) }
                return Plot.Series(name: result.name, points: points)
            }, xTitle: "seconds since the first submission",
            yTitle: "deviation, % of a node's cores")
    }

    // MARK: Parts

    private var figures: String {
        [
            figure(
                "Wait", waitPlot,
                "From submission to the start of the program: how many tasks wait no longer than "
                    + "that. Further up and left is better."),
            figure(
                "Slowdown", slowdownPlot,
                "From submission to the end, over the task's own run time: how many tasks are "
                    + "slowed down by no more than that. Further up and left is better."),
            figure(
                "Busy time per node", busyPlot,
                "Share of its cores' time for which each node ran tasks, nodes in rising order. "
                    + "A level line is fair."),
            figure(
                "Imbalance over time", imbalancePlot,
                "Standard deviation, over all nodes, of the share of cores in use. Lower is "
                    + "better."),
        ].joined(separator: "\n")
    }

    private func figure(_ title: String, _ plot: Plot, _ caption: String) -> String {
        "<figure><h2>\(title)</h2>\n\(plot.svg)\n<figcaption>\(caption)</figcaption></figure>"
    }

    private var table: String {
        let rows = results.enumerated().map { number, result in
            let wait = Spread(result.waits)
            let slowdown = Spread(result.slowdowns)
            let times = [wait.mean, wait.median, wait.p95, wait.p99].map(Format.seconds)
            let factors = [slowdown.mean, slowdown.median, slowdown.p95, slowdown.p99].map {
                Format.fixed($0, 2)
            }
            let cells =
                [Format.fixed(result[.jain], 4)] + times + factors + [
                    Format.fixed(result[.lockRequests], 2),
                    "\(Format.fixed(100 * result[.claimsWasted], 1)) %",
                ]
            return "<tr><th scope=\"row\"><i class=\"s\(number)\"></i>\(result.name)</th>"
                + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
        }
        return "<div class=\"wide\"><table>\(FairnessReport.tableHead)<tbody>"
            + rows.joined(separator: "\n")
            + "</tbody></table></div>"
    }

    private static var tableHead: String {
        let spread = ["mean", "p50", "p95", "p99"]
        let groups = [
            "<th scope=\"col\" rowspan=\"2\">Policy</th>",
            "<th scope=\"col\" rowspan=\"2\">Jain's<br>index</th>",
            "<th scope=\"colgroup\" colspan=\"4\">Wait</th>",
            "<th scope=\"colgroup\" colspan=\"4\">Slowdown</th>",
            "<th scope=\"col\" rowspan=\"2\">Lock requests<br>per task</th>",
            "<th scope=\"col\" rowspan=\"2\">Claims<br>wasted</th>",
        ]
        return "<thead><tr>" + groups.joined() + "</tr>\n<tr>"
            + (spread + spread).map { "<th scope=\"col\">\($0)</th>" }.joined()
            + "</tr></thead>"
    }

    private static let style = """
        :root { --ink: #1c2430; --soft: #5b6675; --line: #e3e7ec; --paper: #ffffff;
          --c0: #0b6fb8; --c1: #d1495b; --c2: #2e8b57; --c3: #b07d12; --c4: #7a4fb5; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #9aa5b3;
          --line: #2a323c; --paper: #14181d; --c0: #5db3ee; --c1: #f2808e; --c2: #6fce98;
          --c3: #e2b64f; --c4: #b795ea; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink);
          font: 16px/1.5 system-ui, sans-serif; }
        main { max-width: 54rem; margin: 0 auto; padding: 3rem 1.25rem; }
        h1 { font-size: 2rem; line-height: 1.15; margin: 0 0 .5rem; letter-spacing: -.01em; }
        h2 { font-size: 1.15rem; margin: 0 0 .25rem; }
        .lead { color: var(--soft); margin: 0 0 2rem; max-width: 44rem; }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
          font-size: .85rem; }
        th, td { text-align: right; padding: .45rem .4rem; white-space: nowrap;
          border-bottom: 1px solid var(--line); }
        thead th[colspan] { text-align: center; }
        th[rowspan]:first-child, th[scope=row] { text-align: left; }
        thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
        th i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%;
          margin-right: .5rem; background: currentColor; }
        figure { margin: 2.75rem 0 0; }
        figcaption { color: var(--soft); font-size: .9rem; max-width: 44rem; }
        svg { width: 100%; height: auto; display: block; }
        .grid { stroke: var(--line); } .tick { fill: var(--soft); font-size: 11px; }
        .axis { fill: var(--soft); font-size: 12px; } .name { fill: var(--ink); font-size: 12px; }
        .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
        .s0 { color: var(--c0); } .s1 { color: var(--c1); } .s2 { color: var(--c2); }
        .s3 { color: var(--c3); } .s4 { color: var(--c4); }
        .line.s1 { stroke-dasharray: 8 4; } .line.s2 { stroke-dasharray: 2 3; }
        .line.s3 { stroke-dasharray: 10 3 2 3; } .line.s4 { stroke-dasharray: 14 3; }
        .wide { overflow-x: auto; }
        @media print { html { font-size: 11px; } .wide { overflow: visible; } :root { --ink: #000; --soft: #333; --line: #bbb; --paper: #fff;
          --c0: #0b6fb8; --c1: #d1495b; --c2: #2e8b57; --c3: #b07d12; --c4: #7a4fb5; }
          main { padding: 0; max-width: none; } figure { break-inside: avoid; }
          body { font-size: 12px; print-color-adjust: exact; } }
        footer { margin-top: 3rem; color: var(--soft); font: .85rem ui-monospace, monospace; }
        """
}

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
        <p class="lead">\(study.nodeCount) nodes with \(study.coreCount) cores together, kept busy to
        \(Format.fixed(100 * study.load, 0)) % by \(study.taskCount) tasks of
        \(Format.seconds(study.meanService.seconds)) on average, submitted at random nodes. All
        policies see the same tasks. One line before all cores (M/M/\(study.coreCount)) would wait
        \(Format.seconds(study.idealWaitSeconds)) on average.</p>
        \(table)
        \(figures)
        <footer>simulate fairness --nodes \(study.nodeCount) --tasks \(study.taskCount) --load
        \(Format.fixed(study.load, 2)) --seed \(study.seed)</footer>
        </main>
        </body>
        </html>

        """
    }

    // MARK: Plots

    /// How many points a line has at most: more than that can't be seen.
    private static let pointsMax = 240

    private var slowdownPlot: Plot {
        var plot = Plot(
            results.map { result in
                let sorted = result.slowdowns.sorted()
                let points = (0...FairnessReport.pointsMax).map { step in
                    let share = Double(step) / Double(FairnessReport.pointsMax)
                    return (x: Statistics.quantile(share, of: sorted), y: 100 * share)
                }
                return Plot.Series(name: result.name, points: points)
            }, xTitle: "slowdown (logarithmic)", yTitle: "% of tasks")
        plot.xScale = .logarithmic
        plot.yMax = 100
        return plot
    }

    private var busyPlot: Plot {
        Plot(
            results.map { result in
                let points = result.busyShares.sorted().enumerated().map { place, share in
                    (x: Double(place + 1), y: 100 * share)
                }
                return Plot.Series(name: result.name, points: points)
            }, xTitle: "node, by rank", yTitle: "% busy")
    }

    private var imbalancePlot: Plot {
        Plot(
            results.map { result in
                let stride = max(1, result.imbalance.count / FairnessReport.pointsMax)
                let points = result.imbalance.enumerated().filter { $0.offset % stride == 0 }
                    .map { (x: $0.element.seconds, y: 100 * $0.element.deviation) }
                return Plot.Series(name: result.name, points: points)
            }, xTitle: "seconds since the first submission", yTitle: "deviation, % of cores")
    }

    // MARK: Parts

    private var figures: String {
        [
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
            let cells = [
                Format.fixed(result.jain, 4), Format.seconds(wait.mean),
                Format.seconds(wait.p99), Format.fixed(slowdown.mean, 2),
                Format.fixed(slowdown.p99, 2), Format.fixed(result.requestsPerTask, 2),
                "\(Format.fixed(100 * result.wastedShare, 1)) %",
            ]
            return "<tr><th scope=\"row\"><i class=\"s\(number)\"></i>\(result.name)</th>"
                + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
        }
        let heads = [
            "Policy", "Jain's index", "Wait, mean", "Wait, p99", "Slowdown, mean",
            "Slowdown, p99", "Lock requests per task", "Claims wasted",
        ]
        return "<table><thead><tr>" + heads.map { "<th scope=\"col\">\($0)</th>" }.joined()
            + "</tr></thead><tbody>" + rows.joined(separator: "\n") + "</tbody></table>"
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
          font-size: .9rem; }
        th, td { text-align: right; padding: .45rem .5rem; border-bottom: 1px solid var(--line); }
        th:first-child { text-align: left; white-space: nowrap; }
        thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
        th i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%;
          margin-right: .5rem; background: currentColor; }
        figure { margin: 2.75rem 0 0; }
        figcaption { color: var(--soft); font-size: .9rem; max-width: 44rem; }
        svg { width: 100%; height: auto; display: block; }
        .grid { stroke: var(--line); } .tick { fill: var(--soft); font-size: 11px; }
        .axis { fill: var(--soft); font-size: 12px; } .name { fill: var(--ink); font-size: 12px; }
        .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
        .key { fill: currentColor; }
        .s0 { color: var(--c0); } .s1 { color: var(--c1); } .s2 { color: var(--c2); }
        .s3 { color: var(--c3); } .s4 { color: var(--c4); }
        footer { margin-top: 3rem; color: var(--soft); font: .85rem ui-monospace, monospace; }
        """
}

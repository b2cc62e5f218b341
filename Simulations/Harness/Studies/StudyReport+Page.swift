extension StudyReport {
    /// One self-contained page: the question, what was run, the plots, and all numbers.
    package var html: String {
        let plan = outcome.plan
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(Markup.escaped(plan.title))</title>
            <style>
            \(PlotStyle.variables)
            \(PlotStyle.rules)
            \(StudyReport.style)
            </style>
            </head>
            <body>
            <main>
            <header>
            <p class="kicker">Magpie · study of fairness</p>
            <h1>\(Markup.escaped(plan.title))</h1>
            \(StudyReport.paragraphs(plan.question, style: "lead"))
            \(facts)
            </header>
            \(figures.map(section).joined(separator: "\n"))
            \(tables)
            <footer><p>\(settings)</p><p class="command">\(Markup.escaped(plan.command))</p></footer>
            </main>
            </body>
            </html>

            """
    }

    // MARK: Parts

    /// What was run, in a few numbers.
    private var facts: String {
        let plan = outcome.plan
        let last = plan.firstSeed &+ UInt64(plan.seedCount - 1)
        var facts = [
            ("runs", Format.count(outcome.cells.reduce(0) { $0 + $1.records.count })),
            (
                plan.seedCount == 1 ? "seed" : "seeds",
                plan.seedCount == 1 ? "\(last)" : "\(plan.firstSeed) – \(last)"
            ),
            ("policies", "\(plan.policies.count)"),
        ]
        facts += plan.sweeps.map { sweep in
            let isLong = sweep.values.count > 3
            return (
                sweep.name,
                isLong
                    ? "\(sweep.values[0]) … \(sweep.values[sweep.values.count - 1])"
                    : sweep.values.joined(separator: ", ")
            )
        }
        let events = outcome.cells.flatMap(\.records).reduce(0) { $0 + $1.events }
        if events > 0 { facts.append(("simulated events", Format.count(events))) }
        let items = facts.map {
            "<div><dt>\(Markup.escaped($0.0))</dt><dd>\(Markup.escaped($0.1))</dd></div>"
        }
        return "<dl class=\"facts\">\(items.joined())</dl>"
    }

    private func section(_ figure: Figure) -> String {
        let drawings = figure.drawings.map { drawing in
            let heading =
                drawing.facet.isEmpty ? "" : "<h3>\(Markup.escaped(drawing.facet))</h3>\n"
            return "<div class=\"plot\">\(heading)\(drawing.drawing.inline)</div>"
        }
        return """
            <figure><h2>\(Markup.escaped(figure.plan.title))</h2>
            \(drawings.joined(separator: "\n"))
            <figcaption>\(Markup.escaped(figure.plan.caption))</figcaption></figure>
            """
    }

    /// What all runs shared, and which program it was.
    private var settings: String {
        let shared = outcome.plan.parameters.map { "\($0.name) \($0.value)" }
        let policies = outcome.plan.policies.filter { $0.name != $0.value }
            .map { "\($0.name) = \($0.value)" }
        let words = (shared + policies).joined(separator: " · ")
        return Markup.escaped(
            (words.isEmpty ? "" : "All runs: \(words) · ") + "other parameters as usual · "
                + "behaviour \(StudyTrial.hexadecimal(outcome.behaviour))")
    }

    private static func paragraphs(_ text: String, style: String) -> String {
        text.split(separator: "\n").map {
            "<p class=\"\(style)\">\(Markup.escaped(String($0)))</p>"
        }
        .joined(separator: "\n")
    }

    private static let style = """
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink);
          font: 16px/1.55 system-ui, 'DejaVu Sans', sans-serif; }
        main { max-width: 58rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
        .kicker { margin: 0 0 .6rem; color: var(--soft); font-size: .85rem; letter-spacing: .06em; }
        h1 { font-size: 2.1rem; line-height: 1.15; margin: 0 0 1rem; letter-spacing: -.015em;
          text-wrap: balance; }
        h2 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 .5rem; }
        h3 { font-size: .9rem; font-weight: 600; color: var(--soft); margin: .75rem 0 .25rem; }
        .lead { margin: 0 0 .75rem; max-width: 46rem; font-size: 1.05rem; }
        .facts { display: flex; flex-wrap: wrap; gap: .5rem 2.25rem; margin: 1.75rem 0 0;
          padding: 1rem 1.25rem; background: var(--raised); border-radius: .5rem; }
        .facts dt { color: var(--soft); font-size: .8rem; }
        .facts dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
        figure, section { margin: 3.25rem 0 0; }
        figcaption, .note { color: var(--soft); font-size: .9rem; max-width: 46rem; margin: .5rem 0 0; }
        svg { width: 100%; height: auto; display: block; overflow: visible; }
        svg text { font-family: system-ui, 'DejaVu Sans', sans-serif; }
        h2.next { margin-top: 2.5rem; }
        .wide { overflow-x: auto; margin: 1rem 0 0; }
        table { border-collapse: collapse; width: 100%; font-size: .85rem;
          font-variant-numeric: tabular-nums; }
        th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
          white-space: nowrap; }
        thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; white-space: normal;
          border-color: var(--base); }
        th:first-child { text-align: left; padding-left: 0; } th:last-child, td:last-child { padding-right: 0; }
        tbody th { font-weight: 500; }
        tbody th.point { padding-top: 1.1rem; color: var(--soft); font-weight: 600; }
        td small { color: var(--soft); font-size: .85em; }
        th i { display: inline-block; width: .65rem; height: .65rem; border-radius: 50%;
          margin-right: .5rem; background: currentColor; }
        .meanings { margin: 1.25rem 0 0; font-size: .85rem; color: var(--soft); }
        .meanings dt { display: inline; color: var(--ink); font-weight: 500; }
        .meanings dd { display: inline; margin: 0; } .meanings div { margin: .15rem 0; }
        footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line);
          color: var(--soft); font-size: .8rem; } footer p { margin: 0 0 .4rem; }
        .command { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; }
        @page { margin: 16mm 14mm; }
        @media print { body { font-size: 11px; print-color-adjust: exact; }
          main { padding: 0; max-width: none; } .wide { overflow: visible; }
          figure { margin-top: 1.75rem; } .plot, figcaption { break-inside: avoid; }
          h2, h3 { break-after: avoid; } tr { break-inside: avoid; } thead { display: table-header-group; }
          table { font-size: 9px; } th, td { padding: .25rem .35rem; }
          .facts { border: 1px solid var(--line); } }
        """
}

extension StudyFigure.Kind {
    /// What stands above a figure unless it is said.
    var title: String {
        switch self {
        case .lines(let x, let y):
            "\(y.title) against \(x.name)" + (x.divisor.map { " over \($0)" } ?? "")
        case .dots(_, let measure): measure.title
        case .distribution(let kind): "Distribution of the \(kind.rawValue)"
        case .imbalance: "Imbalance over time"
        case .nodes: "Busy time per node"
        case .timeline: "Timeline of one run"
        }
    }

    /// What stands below it unless it is said.
    var caption: String {
        switch self {
        case .lines(_, let measure), .dots(_, let measure):
            "\(measure.title): \(measure.meaning). Bands and bars are 95 % intervals of the mean "
                + "over seeds."
        case .distribution(.wait):
            "From submission to the start of the program: how many tasks wait no longer than that. "
                + "Further up and left is better."
        case .distribution(.slowdown):
            "From submission to the end, over the task's own run time: how many tasks are slowed "
                + "down by no more than that. Further up and left is better."
        case .distribution(.response):
            "From the submission of a job to the end of its last task. Further up and left is "
                + "better."
        case .imbalance:
            "Standard deviation, over all nodes, of the share of cores in use. Lower is better."
        case .nodes:
            "Share of its cores' time for which each node ran tasks, nodes in rising order. A "
                + "level line is fair."
        case .timeline:
            "Which task ran where and when, in the run with the first seed, on the first nodes. "
                + "Colours tell neighbours apart."
        }
    }
}

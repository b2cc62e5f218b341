/// Somebody who submits tasks in a study.
///
/// The production core knows no users: it takes tasks in the order in which its nodes hear of them.
/// A study labels tasks with their users and says what shares these got.
package struct StudyUser: Hashable, Sendable, StudyValue {
    /// What the user is called.
    package var name: String
    /// How much the user is entitled to, beside the others.
    package var weight: Double
    /// How many tasks come from the user, beside the others.
    package var share: Double
    /// How many cores the user's tasks ask for; 0 for what the study says.
    package var cpus: Double
    /// How much memory they ask for; 0 for what the study says.
    package var memory: ByteCount

    /// A user of whom nothing in particular is known.
    package init(_ name: String, weight: Double = 1, share: Double = 1) {
        self.name = name
        self.weight = weight
        self.share = share
        cpus = 0
        memory = ByteCount(0)
    }

    /// `NAME(weight=1, share=1, cpus=0, memory=0)`.
    package init(text: String) throws(StudyError) {
        var call = try CallText(text)
        guard !call.name.isEmpty else { throw StudyError("a user needs a name") }
        name = call.name
        weight = try call.take("weight", 1, in: 1e-6...1e6)
        share = try call.take("share", 1, in: 1e-6...1e6)
        cpus = try call.take("cpus", 0, in: 0.0...1_024)
        memory = try call.take("memory", ByteCount(0))
        try call.finish()
    }

    /// With the arguments that are not the usual ones.
    package var text: String {
        CallText.text(
            name,
            [
                ("weight", weight.text, "1"), ("share", share.text, "1"),
                ("cpus", cpus.text, "0"), ("memory", memory.text, "0"),
            ])
    }
}

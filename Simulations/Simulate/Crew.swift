/// Spreads independent pieces of work over all cores.
enum Crew {
    /// Performs `work` on every item; hands each result to `take` as it comes, one at a time.
    static func perform<Item: Sendable, Output: Sendable>(
        _ items: [Item], _ work: @escaping @Sendable (Item) -> Output,
        _ take: (Output) -> Void
    ) async {
        // The group runs no more pieces at a time than there are cores.
        await withTaskGroup(of: Output.self) { group in
            for item in items { group.addTask { work(item) } }
            for await output in group { take(output) }
        }
    }
}

/// Spreads independent pieces of work over all cores.
enum Crew {
    /// Performs `work` on every item; hands each result to `take` as it comes, one at a time.
    ///
    /// `jobs` pieces are worked on at a time; never more than there are cores.
    static func perform<Item: Sendable, Output: Sendable>(
        _ items: [Item], jobs: Int = .max, _ work: @escaping @Sendable (Item) -> Output,
        _ take: (Output) -> Void
    ) async {
        await withTaskGroup(of: Output.self) { group in
            for item in items.prefix(jobs) { group.addTask { work(item) } }
            var rest = items.dropFirst(jobs).makeIterator()
            for await output in group {
                take(output)
                if let item = rest.next() { group.addTask { work(item) } }
            }
        }
    }
}

import LatticeLaws
import Testing

@testable import CRDT

/// The ordered map agrees with a plain dictionary, whatever is done to it.
@Suite struct RangedMapTests {
    private struct Word: Fingerprinted, Equatable {
        var fingerprint: UInt64
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `it agrees with a dictionary`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        var map = RangedMap<Int, Word>(chunkCountMax: Int.random(in: 2...9, using: &generator))
        var plain: [Int: Word] = [:]
        for step in 0..<400 {
            let key = Int.random(in: 0..<90, using: &generator)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<6:
                let word = Word(fingerprint: generator.next())
                #expect(map.set(word, for: key) == plain.updateValue(word, forKey: key))
            case 6..<9:
                #expect(map.remove(key) == plain.removeValue(forKey: key))
            default:
                if let position = map.position(of: key) {
                    map.modify(position) { $0.fingerprint &+= 1 }
                    plain[key]?.fingerprint &+= 1
                }
            }
            if step % 16 == 0 { map.checkInvariants() }
        }
        map.checkInvariants()
        #expect(map.keys == plain.keys.sorted())
        #expect(map.values == plain.keys.sorted().compactMap { plain[$0] })
        for key in 0..<90 { #expect(map[key] == plain[key]) }
        for _ in 0..<40 { checkRange(of: map, plain, &generator) }
    }

    private func checkRange(
        of map: RangedMap<Int, Word>, _ plain: [Int: Word], _ generator: inout Splitmix
    ) {
        let lower = Int.random(in: 0..<90, using: &generator)
        let upper = Bool.random(using: &generator) ? nil : lower + Int(generator.next() % 60)
        let inside = plain.keys.sorted().filter { lower <= $0 && $0 < (upper ?? .max) }
        let summary = map.summary(from: lower, to: upper)
        #expect(summary.count == inside.count)
        let words = inside.compactMap { plain[$0]?.fingerprint }
        #expect(summary.fingerprint == words.reduce(0, &+))
        var visited: [Int] = []
        map.forEach(from: lower, to: upper) { key, _ in
            visited.append(key)
            return true
        }
        #expect(visited == inside)
        let parts = Int.random(in: 1...8, using: &generator)
        let bounds = map.boundaries(from: lower, to: upper, parts: parts)
        #expect(bounds.count == max(0, min(parts, inside.count) - 1))
        for (below, above) in bounds {
            let position = inside.firstIndex(of: above) ?? 0
            #expect(position > 0 && inside[position - 1] == below)
        }
    }

    @Test func `keys that rise almost always leave few holes`() {
        var generator = Splitmix(state: 3)
        var map = RangedMap<Int, Word>(chunkCountMax: 64)
        for block in 0..<1_000 {
            for key in (4 * block..<4 * block + 4).shuffled(using: &generator) {
                map.set(Word(fingerprint: 1), for: key)
            }
        }
        map.checkInvariants()
        #expect(map.chunks.count * 64 * 4 / 5 <= map.count)
    }

    @Test func `rising keys fill their chunks`() {
        var map = RangedMap<Int, Word>(chunkCountMax: 4)
        for key in 0..<40 { map.set(Word(fingerprint: 1), for: key) }
        #expect(map.chunks.allSatisfy { $0.keys.count == 4 })
        #expect(map.fingerprint == 40)
    }
}

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

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `guesses find what a search finds, whatever is done in between`(seed: UInt64) {
        var generator = Splitmix(state: seed)
        var map = RangedMap<Int, Word>(chunkCountMax: Int.random(in: 2...9, using: &generator))
        var guesses = RangedMap<Int, Word>.Guesses()
        // Of few hashes, or of one alone: keys that take each other's place are found all the same.
        let hashesCount = [.max, 5, 1][Int(seed % 3)] as UInt64
        for _ in 0..<100 {
            for _ in 0..<Int.random(in: 0..<6, using: &generator) {
                let key = Int.random(in: 0..<90, using: &generator)
                if Int.random(in: 0..<3, using: &generator) == 0 {
                    map.remove(key)
                } else {
                    map.set(Word(fingerprint: UInt64(key)), for: key)
                }
            }
            let keys = (0..<20).map { _ in Int.random(in: 0..<90, using: &generator) }
            let places = map.positions(of: keys, guesses: &guesses) {
                Fingerprint.mix(UInt64($0)) % hashesCount &* (.max / hashesCount)
            }
            for (key, place) in zip(keys, places) {
                #expect(place.map { map[$0] } == map[key], "key \(key)")
                if let place { #expect(map.position(of: key, before: place) != nil) }
            }
        }
    }

    @Test func `guesses take a bounded room, and grow when one key more needs it`() {
        var map = RangedMap<Int, Word>()
        var guesses = RangedMap<Int, Word>.Guesses()
        func look(at key: Int) { _ = map.positions(of: [key], guesses: &guesses) { UInt64($0) } }
        look(at: 1)
        #expect(guesses.places.isEmpty, "there is nothing to be found")
        for key in 0..<1_000 { map.set(Word(fingerprint: 1), for: key) }
        look(at: 1)
        #expect(guesses.places.count == 3_000)
        for key in 1_000..<1_500 { map.set(Word(fingerprint: 1), for: key) }
        look(at: 1)
        #expect(guesses.places.count == 3_000)
        map.set(Word(fingerprint: 1), for: 1_500)
        look(at: 1)
        #expect(guesses.places.count == 4_503)
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

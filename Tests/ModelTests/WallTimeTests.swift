import Model
import Testing

@Suite struct WallTimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01 00:00:00 UTC"), (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_798_761_599_999, "2026-12-31 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (-2_203_891_200_001, "1900-02-28 23:59:59 UTC"),
        ] as [(Int64, String)])
    func `times are shown as people write them`(milliseconds: Int64, text: String) {
        #expect(WallTime(milliseconds: milliseconds).description == text)
    }

    @Test func `the earliest and the latest time can be shown`() {
        for milliseconds in [Int64.min, .max] {
            #expect(WallTime(milliseconds: milliseconds).description.hasSuffix("UTC"))
        }
    }
}

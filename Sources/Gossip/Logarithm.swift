/// Logarithms of small whole numbers; the standard library has none of its own.
enum Logarithm {
    /// ln(n) for n ≥ 1, to about twelve digits.
    static func natural(_ n: Int) -> Double {
        // n = m · 2^e with m in 1 ..< 2; ln m by the series of artanh.
        let value = Double(max(n, 1))
        let m = value.significand
        let z = (m - 1) / (m + 1)
        var power = z
        var sum = 0.0
        for k in stride(from: 1, through: 31, by: 2) {
            sum += power / Double(k)
            power *= z * z
        }
        return 2 * sum + Double(value.exponent) * 0.693_147_180_559_945_3
    }

    /// log₁₀(n), at least 1: by how much spreading takes longer in larger clusters.
    static func scale(_ n: Int) -> Double { max(1, natural(n) / natural(10)) }
}

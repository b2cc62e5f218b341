/// The natural logarithm: the standard library has none, and the harness imports no C library.
///
/// Source: the series of artanh for the mantissa; exact to about 15 digits.
package func logarithm(_ value: Double) -> Double {
    guard value > 0 else { return -.infinity }
    let fraction = (value.significand - 1) / (value.significand + 1)
    let square = fraction * fraction
    var term = fraction
    var sum = 0.0
    for power in stride(from: 1.0, to: 60, by: 2) {
        sum += term / power
        term *= square
        if term < 1e-17 { break }
    }
    return 2 * sum + Double(value.exponent) * 0.693_147_180_559_945_3
}

/// The sine of an angle, exact to about 15 digits for angles of a few turns.
///
/// Source: reduction to −π/2…π/2, then the series.
package func sine(_ angle: Double) -> Double {
    let halfTurns = (angle / .pi).rounded()
    let rest = angle - halfTurns * .pi
    var term = rest
    var sum = rest
    for number in stride(from: 2.0, to: 30, by: 2) {
        term *= -rest * rest / (number * (number + 1))
        sum += term
    }
    return halfTurns.truncatingRemainder(dividingBy: 2) == 0 ? sum : -sum
}

/// e to the power of a number, exact to about 15 digits; saturates where a `Double` does.
///
/// Source: reduction to |x| ≤ ln 2 / 2, then the series.
package func exponential(_ value: Double) -> Double {
    guard value > -745 else { return 0 }
    guard value < 710 else { return .infinity }
    let shift = (value / 0.693_147_180_559_945_3).rounded()
    let rest = value - shift * 0.693_147_180_559_945_3
    var term = 1.0
    var sum = 1.0
    for power in 1...20 {
        term *= rest / Double(power)
        sum += term
    }
    return Double(sign: .plus, exponent: Int(shift), significand: sum)
}

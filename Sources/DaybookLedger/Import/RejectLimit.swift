import DaybookIntake

/// How many rejected rows an import may have: a number, or a share of the rows judged.
public enum RejectLimit: Sendable, Equatable {
    /// At most so many rows.
    case count(Int64)
    /// At most so many millionths of the rows: `2.5%` is 25,000.
    case millionths(Int64)

    /// Before so many rows a share says too little to stop at; at a file's end it is held to
    /// whatever their number.
    static let shareRowCount: Int64 = 1_000

    /// Reads `10`, `0` or `2.5%` (up to four digits behind the point, at most 100 %); nil if the
    /// text is anything else.
    public init?(_ text: String) {
        let isShare = text.hasSuffix("%")
        let parts = text.dropLast(isShare ? 1 : 0)
            .split(separator: ".", omittingEmptySubsequences: false)
        let areDigits = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.allSatisfy { (UInt8(ascii: "0")...57).contains($0) }
        }
        guard areDigits, let whole = Int64(parts[0]) else { return nil }
        if !isShare {
            guard parts.count == 1 else { return nil }
            self = .count(whole)
            return
        }
        var millionths: Int64 = 0
        if parts.count == 2 {
            let digits = parts[1].count
            guard digits <= 4, let fraction = Int64(parts[1]) else { return nil }
            millionths = (digits..<4).reduce(fraction) { value, _ in value * 10 }
        }
        guard parts.count <= 2, whole <= 100, whole < 100 || millionths == 0 else { return nil }
        self = .millionths(whole * 10_000 + millionths)
    }

    /// The text that `init` reads as this limit.
    public var text: String {
        switch self {
        case .count(let count): return "\(count)"
        case .millionths(let millionths):
            var fraction = String(String(10_000 + millionths % 10_000).dropFirst())
            while fraction.last == "0" { fraction.removeLast() }
            return "\(millionths / 10_000)" + (fraction.isEmpty ? "%" : ".\(fraction)%")
        }
    }

    /// Whether `rejected` of `rows` rows are more than it allows.
    public func isExceeded(rejected: Int64, of rows: Int64) -> Bool {
        rejected > count(of: rows)
    }

    /// The limit as a number, once it is known how many rows there are.
    public func whole(of rows: Int64) -> RejectLimit { .count(count(of: rows)) }

    private func count(of rows: Int64) -> Int64 {
        switch self {
        case .count(let count): count
        // At most all of the rows, so it fits.
        case .millionths(let millionths): Int64(Int128(rows) * Int128(millionths) / 1_000_000)
        }
    }
}

import Avro
import TestSupport

/// A table with every type, the aggregates over it, and what SQL says that they are.
enum Sales {
    /// An aggregate's definition, and the query that it must equal.
    struct Definition {
        let name: String
        let yaml: String
        /// The columns that are compared.
        let columns: String
        let query: String

        /// Counts the rows that either has and the other has not.
        var difference: String {
            let kept = "SELECT \(columns) FROM \(name)"
            return """
                SELECT (SELECT count(*) FROM (\(kept) EXCEPT ALL \(query)) AS a)
                     + (SELECT count(*) FROM (\(query) EXCEPT ALL \(kept)) AS b)
                """
        }
    }

    static let table = """
        table: sales
        key: []
        columns:
          - {name: moment, type: timestamp, optional: true}
          - {name: day, type: date}
          - {name: amount, type: "decimal(12,2)", optional: true}
          - {name: weight, type: number, optional: true}
          - {name: units, type: integer, optional: true}
          - {name: shop, type: string, optional: true}
          - {name: paid, type: boolean}
          - {name: reference, type: uuid, optional: true}
        """

    static let aggregates = [
        Definition(
            name: "by_shop",
            yaml: """
                aggregate: by_shop
                from: sales
                groupBy: {year: year(moment), quarter: quarter(moment), shop: shop}
                measures:
                  rows: count
                  total: sum(amount)
                  least: min(amount)
                  greatest: max(amount)
                  latest: max(moment)
                  first: min(day)
                  mean: avg(amount)
                  units: sum(units)
                  mean_units: avg(units)
                  weight: sum(weight)
                  lightest: min(weight)
                  mean_weight: avg(weight)
                """,
            columns:
                "year, quarter, shop, rows, total, least, greatest, latest, first, mean, units,"
                + " mean_units, weight, lightest, mean_weight",
            query: """
                SELECT extract(year FROM moment AT TIME ZONE 'UTC')::bigint,
                       extract(quarter FROM moment AT TIME ZONE 'UTC')::bigint, shop, count(*),
                       sum(amount), min(amount), max(amount), max(moment), min(day), avg(amount),
                       sum(units), avg(units), sum(weight), min(weight), avg(weight)
                  FROM sales GROUP BY 1, 2, 3
                """),
        Definition(
            name: "by_slot",
            yaml: """
                aggregate: by_slot
                from: sales
                groupBy:
                  day: date(moment)
                  month: month(moment)
                  monthday: day(moment)
                  hour: hour(moment)
                  minute: minute(moment)
                  slot: bucket(moment, 15m)
                measures: {rows: count, units: max(units)}
                where: {left: units, op: ">", right: 3}
                timeZone: Europe/Paris
                """,
            columns: "day, month, monthday, hour, minute, slot, rows, units",
            query: """
                SELECT (local)::date, extract(month FROM local)::bigint,
                       extract(day FROM local)::bigint, extract(hour FROM local)::bigint,
                       extract(minute FROM local)::bigint,
                       date_bin('15 minutes', moment, '1970-01-01Z'), count(*), max(units)
                  FROM (SELECT *, moment AT TIME ZONE 'Europe/Paris' AS local FROM sales) AS s
                 WHERE units > 3 GROUP BY 1, 2, 3, 4, 5, 6
                """),
        Definition(
            name: "by_value",
            yaml: """
                aggregate: by_value
                from: sales
                groupBy:
                  paid: paid
                  day: day
                  year: year(day)
                  weight: weight
                  amount: amount
                  reference: reference
                measures: {rows: count, greatest: max(weight), last: max(day)}
                """,
            columns: "paid, day, year, weight, amount, reference, rows, greatest, last",
            query: """
                SELECT paid, day, extract(year FROM day)::bigint, weight, amount, reference,
                       count(*), max(weight), max(day)
                  FROM sales GROUP BY 1, 2, 3, 4, 5, 6
                """),
    ]

    /// A row of few different values, so that groups meet, and of numbers whose sums are exact.
    static func row(using random: inout SeededGenerator) -> World.Row {
        var sink = ByteSink()
        func optional(_ body: (inout ByteSink) -> Void) {
            let isPresent = Int.random(in: 0..<5, using: &random) > 0
            sink.append(long: isPresent ? 1 : 0)
            if isPresent { body(&sink) }
        }
        let second = Int64.random(in: -2_000_000_000...2_000_000_000, using: &random)
        let hour = Int64.random(in: 0...400, using: &random)
        let isNear = Bool.random(using: &random)
        // Around the night of 2021-10-31, when Paris has an hour twice; or anywhere.
        let moment = isNear ? (1_635_600_000 + hour * 437) * 1_000_000 : second * 1_000_000 - 1
        optional { $0.append(long: moment) }
        sink.append(long: Int64.random(in: -800_000...30_000, using: &random) / 9_000 * 9_000)
        let cents = Int128.random(in: -300...300, using: &random) * 12_345
        optional { append(unscaled: cents, to: &$0) }
        let eighths = Double(Int.random(in: -4...4, using: &random)) / 8
        optional { $0.append(double: Bool.random(using: &random) ? eighths : -0.0) }
        optional { $0.append(long: Int64.random(in: -10...10, using: &random)) }
        optional { $0.append(string: ["", "Zürich", "Oslo"].randomElement(using: &random) ?? "") }
        sink.append(boolean: Bool.random(using: &random))
        let digit = Int.random(in: 0...3, using: &random)
        optional { $0.append(string: "0190a000-0000-7000-8000-00000000000\(digit)") }
        let bytes = Array(sink.unsafeBytes)
        return .accepted { $0.append(raw: bytes) }
    }

    /// Appends a decimal's unscaled value as Avro's bytes: two's complement, the shortest.
    static func append(unscaled: Int128, to sink: inout ByteSink) {
        var bytes = withUnsafeBytes(of: unscaled.bigEndian) { [UInt8]($0) }
        while bytes.count > 1, bytes[0] == (bytes[1] < 0x80 ? 0 : 0xFF) { bytes.removeFirst() }
        sink.append(bytes: bytes)
    }
}

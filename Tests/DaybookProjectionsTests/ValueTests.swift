import Avro
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// Values of every type through a real COPY, judged by Postgres.
@Suite struct ValueTests {
    @Test("A decimal of any size, sign and scale is in Postgres the number that was sent")
    func decimals() async throws {
        let scales = [0, 1, 2, 3, 4, 5, 7, 8, 18, 19, 37, 38]
        let columns = scales.map { "  - {name: d\($0), type: \"decimal(38,\($0))\"}" }
        let world = try await World([
            "table: t\nkey: [unscaled]\ncolumns:\n  - {name: unscaled, type: string}\n"
                + columns.joined(separator: "\n")
        ])
        var generator = SeededGenerator()
        let largest = (0..<38).reduce(Int128(0)) { sum, _ in sum * 10 + 9 }
        var values: Set<Int128> = [0, largest, -largest]
        for power in 0..<38 {
            let value = (0..<power).reduce(Int128(1)) { product, _ in product * 10 }
            values.formUnion([value, -value, value - 1, 1 - value, value * 9])
        }
        for bits in 0..<126 {
            let random = Int128.random(in: -(1 << bits)...(1 << bits), using: &generator)
            if random.magnitude <= largest.magnitude { values.insert(random) }
        }
        try world.append([
            (
                "t",
                values.map { value in
                    .accepted { sink in
                        sink.append(string: "\(value)")
                        for _ in scales { sink.append(bytes: twosComplement(value)) }
                    }
                }
            )
        ])
        await world.projectAll()
        #expect(try world.psql("SELECT count(*) FROM t") == "\(values.count)")
        for scale in scales {
            // As text too: the display scale is part of the value that people see.
            let wrong = try world.psql(
                "SELECT unscaled, d\(scale) FROM t"
                    + " WHERE (unscaled::numeric * '1e-\(scale)'::numeric)"
                    + "::numeric(38,\(scale))::text IS DISTINCT FROM d\(scale)::text")
            #expect(wrong == "", "seed \(generator.seed)")
        }
    }

    @Test("Times, dates, numbers, integers, booleans and UUIDs are those that were sent")
    func otherTypes() async throws {
        let world = try await World([
            """
            table: t
            key: [id]
            columns:
              - {name: id, type: integer}
              - {name: at, type: timestamp}
              - {name: days, type: integer}
              - {name: on, type: date}
              - {name: rate_text, type: string}
              - {name: rate, type: number}
              - {name: tag_text, type: string}
              - {name: tag, type: uuid}
            """
        ])
        var generator = SeededGenerator()
        // The years 1 to 9999.
        let days = Int64(-719_162)...2_932_896
        var moments: Set<Int64> = [0, -1, 1, 946_684_800_000_000, 946_684_799_999_999]
        moments.insert(days.lowerBound * 86_400_000_000)
        moments.insert(days.upperBound * 86_400_000_000 + 86_399_999_999)
        while moments.count < 2000 {
            moments.insert(
                Int64.random(
                    in: -62_135_596_800_000_000...253_402_300_799_999_999,
                    using: &generator))
        }
        try world.append([
            (
                "t",
                moments.map { moment in
                    let day = Int64.random(in: days, using: &generator)
                    let rate = Double(bitPattern: generator.next())
                    let tag = WorldUUID.text(generator.next(), generator.next())
                    return .accepted { sink in
                        sink.append(long: moment)
                        sink.append(long: moment)
                        sink.append(long: day)
                        sink.append(long: day)
                        sink.append(string: "\(rate.isNaN ? .nan : rate)")
                        sink.append(double: rate)
                        sink.append(string: tag)
                        sink.append(string: tag)
                    }
                }
            )
        ])
        await world.projectAll()
        #expect(try world.psql("SELECT count(*) FROM t") == "\(moments.count)")
        let differences = [
            "extract(epoch FROM at) * 1000000 <> id", "\"on\" - date '1970-01-01' <> days",
            "rate_text::float8 <> rate", "tag_text::uuid <> tag", "tag_text <> tag::text",
        ]
        for difference in differences {
            #expect(
                try world.psql("SELECT * FROM t WHERE \(difference)") == "",
                "seed \(generator.seed)")
        }
    }

    @Test("psql prints every type as it was sent, nulls included")
    func printed() async throws {
        let world = try await World([
            """
            table: t
            key: [id]
            columns:
              - {name: id, type: integer}
              - {name: name, type: string}
              - {name: amount, type: "decimal(12,2)"}
              - {name: on, type: date}
              - {name: at, type: timestamp}
              - {name: tag, type: uuid}
              - {name: ok, type: boolean}
              - {name: rate, type: number}
              - {name: note, type: string, optional: true}
              - {name: paid, type: "decimal(5,1)", optional: true}
            """
        ])
        try world.append([
            (
                "t",
                [
                    .accepted { sink in
                        sink.append(long: .min)
                        sink.append(string: "Zoë \u{1F98A} \"x\"\n|")
                        sink.append(bytes: twosComplement(-123_456))
                        sink.append(long: -1)
                        sink.append(long: 1_636_253_363_000_001)
                        sink.append(string: "0190a000-0000-7000-8000-00000000abcd")
                        sink.append(boolean: false)
                        sink.append(double: 0.1)
                        sink.append(long: 0)
                        sink.append(long: 1)
                        sink.append(bytes: twosComplement(-5))
                    }
                ]
            )
        ])
        await world.projectAll()
        #expect(
            try world.psql("SET timezone = 'UTC'; SELECT * FROM t") == """
                -9223372036854775808|Zoë \u{1F98A} "x"
                ||-1234.56|1969-12-31|2021-11-07 02:49:23.000001+00|\
                0190a000-0000-7000-8000-00000000abcd|f|0.1||-0.5|0
                """)
    }
}

/// The shortest two's complement, most significant byte first, as Avro has it.
private func twosComplement(_ value: Int128) -> [UInt8] {
    var bytes = withUnsafeBytes(of: value.bigEndian) { Array($0) }
    while bytes.count > 1, bytes[0] == (bytes[1] < 0x80 ? 0 : 0xFF) { bytes.removeFirst() }
    return bytes
}

private enum WorldUUID {
    static func text(_ high: UInt64, _ low: UInt64) -> String {
        let digits = [high, low].map { half in
            let text = String(half, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text += "-" }
            text.append(digit)
        }
        return text
    }
}

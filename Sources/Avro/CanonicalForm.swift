extension AvroSchema {
    /// Parsing Canonical Form: equal texts mean that data are read alike.
    ///
    /// Source: Apache Avro 1.11 specification, "Transforming into Parsing Canonical Form".
    public var canonicalForm: String { canonicalJSON.text }

    /// The CRC-64-AVRO of the canonical form.
    ///
    /// Source: Apache Avro 1.11 specification, "Schema Fingerprints".
    public var fingerprint: UInt64 {
        var crc = Self.fingerprintOfNothing
        for byte in canonicalForm.utf8 {
            crc = (crc >> 8) ^ Self.fingerprintTable[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
        }
        return crc
    }

    private static let fingerprintOfNothing: UInt64 = 0xC15D_213A_A4D7_A795

    private static let fingerprintTable: [UInt64] = (0..<256).map { index in
        (0..<8).reduce(UInt64(index)) { crc, _ in
            (crc >> 1) ^ (crc & 1 == 1 ? fingerprintOfNothing : 0)
        }
    }

    private var canonicalJSON: AvroJSON {
        switch self {
        case .null, .boolean, .int, .long, .float, .double, .bytes, .string, .reference:
            return .string(kind)
        case .union(let branches): return .array(branches.map(\.canonicalJSON))
        case .array(let item):
            return .object([.init("type", .string("array")), .init("items", item.canonicalJSON)])
        case .map(let value):
            return .object([.init("type", .string("map")), .init("values", value.canonicalJSON)])
        case .record(let record):
            let fields = record.fields.map { field in
                AvroJSON.object([
                    .init("name", .string(field.name)), .init("type", field.schema.canonicalJSON),
                ])
            }
            return named(record.name, .init("fields", .array(fields)))
        case .enumeration(let enumeration):
            let symbols = enumeration.symbols.map(AvroJSON.string)
            return named(enumeration.name, .init("symbols", .array(symbols)))
        case .fixed(let fixed):
            return named(fixed.name, .init("size", .integer(fixed.byteCount)))
        }
    }

    private func named(_ name: AvroName, _ member: AvroJSON.Member) -> AvroJSON {
        .object([
            .init("name", .string(name.fullName)), .init("type", .string(kind)), member,
        ])
    }
}

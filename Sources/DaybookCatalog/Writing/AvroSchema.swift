extension Table {
    /// The Avro schema of one row, as JSON: a record `daybook.rows.<table>`, columns in order.
    ///
    /// An optional column is a union with null first, and null by default. A column with a default
    /// has it here too, so that rows written before the column was added are read with it. The text
    /// is made anew at every call.
    ///
    /// Source: Apache Avro 1.11 specification, "Schema Declaration" and "Logical Types".
    public var avroSchema: String {
        var json = "{\"type\":\"record\",\"name\":\(JSONText.string(name)),"
        json += "\"namespace\":\"daybook.rows\","
        if !doc.isEmpty { json += "\"doc\":\(JSONText.string(doc))," }
        return json + "\"fields\":[\(columns.map(\.avroField).joined(separator: ","))]}"
    }
}

extension Column {
    fileprivate var avroField: String {
        var json = "{\"name\":\(JSONText.string(name)),"
        if !doc.isEmpty { json += "\"doc\":\(JSONText.string(doc))," }
        if isOptional { return json + "\"type\":[\"null\",\(type.avroType)],\"default\":null}" }
        json += "\"type\":\(type.avroType)"
        if let defaultValue { json += ",\"default\":\(defaultValue.avroDefault(of: type))" }
        return json + "}"
    }
}

extension ColumnType {
    fileprivate var avroType: String {
        switch self {
        case .integer: "\"long\""
        case .number: "\"double\""
        case .decimal(let precision, let scale):
            "{\"type\":\"bytes\",\"logicalType\":\"decimal\","
                + "\"precision\":\(precision),\"scale\":\(scale)}"
        case .boolean: "\"boolean\""
        case .string: "\"string\""
        case .date: "{\"type\":\"int\",\"logicalType\":\"date\"}"
        case .timestamp: "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"
        case .uuid: "{\"type\":\"string\",\"logicalType\":\"uuid\"}"
        }
    }
}

extension ScalarValue {
    /// The JSON of a field's default: logical types have that of the type below them.
    fileprivate func avroDefault(of type: ColumnType) -> String {
        switch self {
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .decimal(let unscaled): JSONText.bytes(Self.shortestBytes(unscaled))
        case .boolean(let value): "\(value)"
        case .string(let value): JSONText.string(value)
        case .date(let days): "\(days)"
        case .timestamp(let microseconds): "\(microseconds)"
        case .uuid: JSONText.string(text(type: type))
        }
    }

    /// Two's complement, most significant byte first, without needless bytes in front.
    private static func shortestBytes(_ value: Int128) -> [UInt8] {
        var bytes = (0..<16).map { UInt8(truncatingIfNeeded: value >> (120 - 8 * $0)) }
        while bytes.count > 1,
            (bytes[0] == 0x00 && bytes[1] < 0x80) || (bytes[0] == 0xFF && bytes[1] >= 0x80)
        {
            bytes.removeFirst()
        }
        return bytes
    }
}

/// JSON strings, in ASCII, so that the same schema is the same bytes everywhere.
private enum JSONText {
    static func string(_ value: String) -> String {
        var json = "\""
        for unit in value.utf16 {
            switch unit {
            case 0x22: json += "\\\""
            case 0x5C: json += "\\\\"
            case 0x20..<0x7F: json.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
            default: json += "\\u" + FixedWidthHex.text(UInt32(unit), digitCount: 4)
            }
        }
        return json + "\""
    }

    /// Avro's default for bytes: a string whose code points 0 to 255 are the bytes.
    static func bytes(_ bytes: [UInt8]) -> String {
        string(String(String.UnicodeScalarView(bytes.map(Unicode.Scalar.init))))
    }
}

import Avro
import Foundation
import TestSupport
import Testing

/// Other programs' view of Avro files.
enum Oracle {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static let scripts = packageRoot + "/Tests/AvroTests/scripts"

    /// The JSON of the schema that uses every type.
    static func everythingText() throws -> String {
        try String(contentsOfFile: scripts + "/everything.avsc", encoding: .utf8)
    }

    /// The schema that uses every type.
    static func everything() throws -> AvroSchema {
        try AvroSchema(json: everythingText())
    }

    /// Standard output of `scripts/oracle.py`.
    @discardableResult
    static func python(_ arguments: [String], input: Data = Data()) throws -> Data {
        try run(pythonPath, [scripts + "/oracle.py"] + arguments, input: input)
    }

    /// The JSON that `scripts/oracle.py` prints.
    static func python<T: Decodable>(
        _ arguments: [String], input: Data = Data(), as type: T.Type
    ) throws -> T {
        try JSONDecoder().decode(type, from: python(arguments, input: input))
    }

    /// Standard output of a program that must end well.
    static func run(_ tool: String, _ arguments: [String], input: Data = Data()) throws -> Data {
        let result = try runTool(tool, arguments, input: input)
        guard result.status == 0 else {
            throw Failure(description: "\(tool) \(arguments) failed: \(result.errorText)")
        }
        return result.output
    }
}

/// A value in the text of `scripts/oracle.py`.
struct Rendering {
    let definitions: [AvroName: AvroSchema]
    /// Whether local timestamps are times; to the official Python package they are numbers.
    var hasLocalTimestamps = true

    func show(_ value: AvroValue, _ schema: AvroSchema) throws -> String {
        switch (schema, value) {
        case (.reference(let name), _): return try show(value, #require(definitions[name]))
        case (.null, .null): return "n"
        case (.boolean, .boolean(let flag)): return flag ? "t" : "f"
        case (.int, .int(let number)): return show(Int64(number), schema.logicalType)
        case (.long, .long(let number)): return show(number, schema.logicalType)
        case (.float, .float(let number)): return show(Double(number))
        case (.double, .double(let number)): return show(number)
        case (.string, .string(let text)): return "s" + hex(text.utf8)
        case (.enumeration, .enumeration(let symbol)): return "s" + hex(symbol.utf8)
        case (.bytes, .bytes(let bytes)), (.fixed, .fixed(let bytes)):
            guard case .decimal(_, let scale) = schema.logicalType else { return "b" + hex(bytes) }
            let unscaled = bytes.dropFirst().reduce(Int64(Int8(bitPattern: bytes.first ?? 0))) {
                $0 << 8 | Int64($1)
            }
            return "D\(unscaled)e\(scale == 0 ? 0 : -scale)"
        case (.array(let item), .array(let values)):
            return "[" + (try values.map { try show($0, item) }).joined(separator: ",") + "]"
        case (.map(let schema), .map(let entries)):
            return entries.isEmpty ? "{}" : try braces(entries.map { ($0.key, $0.value, schema) })
        case (.record(let record), .record(let values)):
            return try braces(zip(record.fields, values).map { ($0.name, $1, $0.schema) })
        case (.union(let branches), .union(let branch, let value)):
            return try show(value, branches[branch])
        default:
            throw Oracle.Failure(description: "\(value) is no \(schema)")
        }
    }

    private func braces(_ members: [(String, AvroValue, AvroSchema)]) throws -> String {
        let parts = try members.map { "s" + hex($0.0.utf8) + ":" + (try show($0.1, $0.2)) }
        return "{" + parts.sorted().joined(separator: ",") + "}"
    }

    private func show(_ number: Int64, _ logicalType: AvroLogicalType?) -> String {
        switch logicalType {
        case .date: "A\(number)"
        case .timeMillis: "C\(number * 1000)"
        case .timeMicros: "C\(number)"
        case .timestampMillis: "T\(number * 1000)"
        case .timestampMicros: "T\(number)"
        case .localTimestampMillis where hasLocalTimestamps: "L\(number * 1000)"
        case .localTimestampMicros where hasLocalTimestamps: "L\(number)"
        default: "i\(number)"
        }
    }

    private func show(_ number: Double) -> String {
        if number.isNaN { return "dnan" }
        let digits = String(number.bitPattern, radix: 16)
        return "d" + String(repeating: "0", count: 16 - digits.count) + digits
    }

    private func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// Whole files, in memory.
enum File {
    /// Puts a file into a folder, and gives its path.
    static func save(
        _ file: [UInt8], as name: String, in folder: TemporaryFolder
    ) throws -> String {
        let path = folder.path(name)
        try Data(file).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// A container file of `values`.
    static func write(
        _ values: [AvroValue], _ schema: AvroSchema, codec: ContainerCodec = .null,
        blockByteCount: Int = 1024
    ) throws -> [UInt8] {
        var file: [UInt8] = []
        let header = ContainerHeader(schema: schema, codec: codec, syncMarker: .random())
        try withUnsafeMutablePointer(to: &file) { file in
            var writer = ContainerWriter(header: header, blockByteCount: blockByteCount) {
                file.pointee.append(contentsOf: $0)
            }
            for value in values { try writer.append(value) }
            writer.finish()
        }
        return file
    }

    /// A container file's values, as those of `reader`'s schema or of its own.
    static func read(
        _ file: [UInt8], as reader: AvroSchema? = nil
    ) throws -> (header: ContainerHeader, values: [AvroValue]) {
        var blocks = try ContainerReader(Bytes(file))
        let decoder = try ResolvingDecoder(
            writer: blocks.header.schema, reader: reader ?? blocks.header.schema)
        var values: [AvroValue] = []
        while let block = try blocks.nextBlock() { values += try block.decode(with: decoder) }
        return (blocks.header, values)
    }
}

import Avro
import Foundation
import Testing

/// Runs other programs on Avro files.
enum Oracle {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let scripts = root.appendingPathComponent("Tests/AvroTests/scripts")

    /// The schema that uses every type.
    static func everything() throws -> AvroSchema {
        let file = scripts.appendingPathComponent("everything.avsc")
        return try AvroSchema(json: String(contentsOf: file, encoding: .utf8))
    }

    /// What `scripts/oracle.py` prints, as JSON.
    @discardableResult
    static func python<T: Decodable>(
        _ arguments: [String], input: Data = Data(), as type: T.Type
    ) throws -> T {
        let script = scripts.appendingPathComponent("oracle.py").path
        let python = root.appendingPathComponent(".venv/bin/python").path
        let output = try run(python, [script] + arguments, input: input)
        return try JSONDecoder().decode(type, from: output)
    }

    /// Has another library write its file of every type.
    static func make(_ library: String, _ codec: String, _ file: URL) throws {
        let script = scripts.appendingPathComponent("oracle.py").path
        let python = root.appendingPathComponent(".venv/bin/python").path
        _ = try run(python, [script, "make", library, codec, file.path])
    }

    /// Standard output of a program that must end well.
    static func run(_ path: String, _ arguments: [String], input: Data = Data()) throws -> Data {
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw Failure(description: "\(path) is missing: run script/bootstrap")
        }
        return try withFolder { folder in
            let files = ["in", "out", "err"].map { folder.appendingPathComponent($0) }
            try input.write(to: files[0])
            try Data().write(to: files[1])
            try Data().write(to: files[2])
            let process = Process()
            process.executableURL = URL(fileURLWithPath: path)
            process.arguments = arguments
            process.standardInput = try FileHandle(forReadingFrom: files[0])
            process.standardOutput = try FileHandle(forWritingTo: files[1])
            process.standardError = try FileHandle(forWritingTo: files[2])
            try process.run()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                let said = try String(contentsOf: files[2], encoding: .utf8)
                throw Failure(description: "\(path) \(arguments) failed: \(said)")
            }
            return try Data(contentsOf: files[1])
        }
    }

    /// A folder for the time of `body`.
    static func withFolder<R>(_ body: (URL) throws -> R) throws -> R {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("avro-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder)
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

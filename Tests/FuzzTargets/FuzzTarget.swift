/// What can be fuzzed: each takes any bytes at all, as a hostile disk, file or client gives them.
///
/// A target does what the server does with such bytes and checks what must hold whatever they are.
/// Bytes that are refused are fine; a trap, a fault thrown from here, unbounded memory or time are
/// findings. `daybook-fuzz` (Tests/Fuzz) puts libFuzzer in front of it, and `FuzzCorpusTests` runs
/// the kept inputs again.
public enum FuzzTarget: String, CaseIterable, Sendable {
    /// Segments, frames, LZ4 and records: what `DaybookLog` and `DaybookSegments` read from a disk.
    case block
    /// The same target, from a corpus of small pieces: frames, LZ4, records, schemas. Beside whole
    /// logs, which take a hundred times as long, they would hardly be tried.
    case frame
    /// A body of JSON, and files of NDJSON.
    case json
    /// CSV files and bodies.
    case csv
    /// Avro object container files, as an import reads them.
    case avro
    /// Dictionaries in YAML, and reports in SQL.
    case dictionary

    /// Runs the target once.
    ///
    /// - Throws: `FuzzFault` if something does not hold that must hold for all bytes.
    public func run(_ bytes: UnsafeRawBufferPointer) throws {
        var input = FuzzInput(bytes)
        switch self {
        case .block, .frame: try BlockTarget.run(&input)
        case .json: try JSONTarget.run(&input)
        case .csv: try CSVTarget.run(&input)
        case .avro: try AvroTarget.run(&input)
        case .dictionary: try DictionaryTarget.run(&input)
        }
    }
}

/// Something that must hold for all bytes, and does not hold for these.
public struct FuzzFault: Error, CustomStringConvertible {
    /// What does not hold.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Throws a `FuzzFault` unless `holds`.
func require(_ holds: Bool, _ what: @autoclosure () -> String) throws {
    guard holds else { throw FuzzFault(what()) }
}

/// What a target reads its choices from; the rest is the bytes it tries.
struct FuzzInput {
    private var bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var rest: UnsafeRawBufferPointer { bytes }

    /// The next byte, or 0 where there is none.
    mutating func byte() -> UInt8 {
        guard let first = bytes.first else { return 0 }
        bytes = UnsafeRawBufferPointer(rebasing: bytes[1...])
        return first
    }

    mutating func twoBytes() -> Int {
        let low = Int(byte())
        return low | Int(byte()) << 8
    }

    /// Up to `count` bytes.
    mutating func take(_ count: Int) -> [UInt8] {
        let taken = Array(bytes.prefix(count))
        bytes = UnsafeRawBufferPointer(rebasing: bytes[taken.count...])
        return taken
    }
}

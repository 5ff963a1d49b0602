import Avro
import Crypto
import DaybookBackup
import DaybookLedger
import Foundation
import TestSupport

/// One change to a backup in a folder, of the kinds that accidents and people make.
struct Tampering {
    enum Kind: CaseIterable {
        case byteFlipped, blocksSwapped, fileCut, fileGone, fileAdded
        /// The file is written again without a fault of form, and the manifest says so.
        case valueChanged, rowRemoved, rowDoubled
        /// The same, and signed by the ledger's own key: somebody has that too.
        case valueChangedAndSigned, rowRemovedAndSigned, rowDoubledAndSigned
    }

    let kind: Kind
    let path: String
    let manifest: BackupManifest
    let key: SigningKey
    /// The position of the row that was changed, if it was one.
    private(set) var position: Int64?
    /// What was done, for a failing test.
    private(set) var text = ""

    init(_ kind: Kind, path: String, manifest: BackupManifest, key: SigningKey) {
        self.kind = kind
        self.path = path
        self.manifest = manifest
        self.key = key
    }

    mutating func run(_ random: inout SeededGenerator) throws {
        let files = manifest.tables.map(\.file)
        let file = files.randomElement(using: &random) ?? ""
        text = "\(kind) of \(file)"
        switch kind {
        case .byteFlipped:
            let all = files + ["manifest.json", "manifest.sig"]
            try flip(all.randomElement(using: &random) ?? "", &random)
        case .blocksSwapped: try swapBlocks("sales.avro", &random)
        case .fileCut:
            var bytes = try read(file)
            bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random))
            try write(bytes, file)
        case .fileGone: try FileManager.default.removeItem(atPath: "\(path)/\(file)")
        case .fileAdded: try write(try read(file), "more.avro")
        default: try rewrite(file, &random)
        }
    }

    /// The rows are not as backups have them.
    private struct NoRow: Error {}

    private func read(_ file: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(file)")))
    }

    private func write(_ bytes: [UInt8], _ file: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(file)"))
    }

    private mutating func flip(_ file: String, _ random: inout SeededGenerator) throws {
        var bytes = try read(file)
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let bit = Int.random(in: 0..<8, using: &random)
        bytes[place] ^= 1 << UInt8(bit)
        text = "byte \(place), bit \(bit) of \(file)"
        try write(bytes, file)
    }

    private mutating func swapBlocks(_ file: String, _ random: inout SeededGenerator) throws {
        let bytes = try read(file)
        var reader = try ContainerReader(Bytes(bytes))
        var offsets: [Int] = []
        while let block = try reader.nextBlock() { offsets.append(block.offset) }
        offsets.append(bytes.count)
        let first = Int.random(in: 0..<offsets.count - 2, using: &random)
        let second = Int.random(in: first + 1..<offsets.count - 1, using: &random)
        let (a, b) = (offsets[first]..<offsets[first + 1], offsets[second]..<offsets[second + 1])
        text = "blocks \(first) and \(second) of \(file)"
        let front = Array(bytes[..<a.lowerBound]) + bytes[b]
        let back = bytes[a.upperBound..<b.lowerBound] + bytes[a] + bytes[b.upperBound...]
        try write(front + back, file)
    }

    /// Writes a file again with one row other than it was, and the manifest to match.
    private mutating func rewrite(_ file: String, _ random: inout SeededGenerator) throws {
        var reader = try ContainerReader(Bytes(try read(file)))
        let header = reader.header
        let decoder = ResolvingDecoder(header.schema)
        var rows: [AvroValue] = []
        while let block = try reader.nextBlock() { rows += try block.decode(with: decoder) }
        let place = Int.random(in: 0..<rows.count, using: &random)
        guard case .record(var fields) = rows[place], case .long(let position)? = fields.last
        else { throw NoRow() }
        self.position = position
        switch kind {
        case .rowRemoved, .rowRemovedAndSigned: rows.remove(at: place)
        case .rowDoubled, .rowDoubledAndSigned: rows.insert(rows[place], at: place)
        default:
            // A null has no other value without another type.
            let changeable = fields.indices.filter { Tampering.other(fields[$0]) != fields[$0] }
            guard let index = changeable.randomElement(using: &random) else { throw NoRow() }
            fields[index] = Tampering.other(fields[index])
            rows[place] = .record(fields)
            text += ", field \(index)"
        }
        text += ", row \(place)"
        var sink = ByteSink()
        var writer = ContainerWriter(
            header: ContainerHeader(
                schema: header.schema, codec: header.codec, metadata: header.metadata,
                syncMarker: header.syncMarker), blockByteCount: 1024
        ) { sink.append(raw: $0) }
        for row in rows { try writer.append(row) }
        writer.finish()
        let bytes = Array(sink.unsafeBytes)
        try write(bytes, file)
        try rewriteManifest(file, bytes, rowCount: rows.count)
    }

    private func rewriteManifest(_ file: String, _ bytes: [UInt8], rowCount: Int) throws {
        var text = String(decoding: try read("manifest.json"), as: UTF8.self)
        guard let entry = manifest.tables.first(where: { $0.file == file }) else { return }
        let digest = SHA256.hash(data: bytes).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
        text = text.replacingOccurrences(of: entry.sha256, with: digest)
        text = text.replacingOccurrences(
            of: "\"bytes\" : \(entry.bytes),", with: "\"bytes\" : \(bytes.count),")
        text = text.replacingOccurrences(
            of: "\"rows\" : \(entry.rows),", with: "\"rows\" : \(rowCount),")
        try write(Array(text.utf8), "manifest.json")
        if [.valueChangedAndSigned, .rowRemovedAndSigned, .rowDoubledAndSigned].contains(kind) {
            try write(key.signature(of: Array(text.utf8)), "manifest.sig")
        }
    }

    /// Another value of the same type.
    private static func other(_ value: AvroValue) -> AvroValue {
        switch value {
        case .long(let number): .long(number == 7 ? 8 : 7)
        case .int(let number): .int(number == 7 ? 8 : 7)
        case .double(let number): .double(number + 1)
        case .boolean(let flag): .boolean(!flag)
        case .string(let text):
            // A UUID stays one.
            text.utf8.count == 36 && text.hasPrefix("0190")
                ? .string(text.dropLast() + "f") : .string(text + "x")
        case .bytes(let bytes): .bytes(bytes == [1] ? [2] : [1])
        case .union(_, .null): value
        case .union(let branch, let inner): .union(branch, other(inner))
        default: value
        }
    }
}

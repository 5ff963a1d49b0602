import Avro
import DaybookCatalog
import DaybookLedger

/// A key as it stands in a path: its values, percent-encoded, with commas between them.
enum PathKey {
    /// Why a text is no such key.
    struct Fault: Error {
        /// What is wrong, and what would be right.
        let description: String
    }

    /// The text from which `values` makes these again. All of it may stand in a path, a query or a
    /// header as it is. (RFC 3986, 2.3 and 3.3)
    static func text(_ values: [String]) -> String {
        values.map(encoded).joined(separator: ",")
    }

    /// The values of a key of `table` as its columns have them: a time in UTC, say.
    static func values(
        _ text: String, of table: Table, in catalog: Catalog
    ) throws(Fault) -> [String] {
        guard let texts = HistoryRoute.values(text, count: table.key.count) else {
            throw Fault(
                description: "the key is not percent-encoded UTF-8: a % in it is %25, a comma %2C")
        }
        // Postgres has no such text, so there is no such row.
        guard !texts.contains(where: { $0.utf8.contains(0) }) else {
            throw Fault(description: "the key holds a zero byte")
        }
        do throws(KeyFault) {
            return try AskedKey(texts, of: table.name, in: catalog).values
        } catch {
            throw Fault(description: error.description)
        }
    }

    private static func encoded(_ value: String) -> String {
        var sink = ByteSink(capacity: value.utf8.count)
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: ":"), UInt8(ascii: "@"):
                sink.append(byte: byte)
            default:
                sink.append(raw: [
                    UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)],
                ])
            }
        }
        return String(decoding: sink.unsafeBytes, as: UTF8.self)
    }
}

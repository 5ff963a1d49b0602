import Avro
import DaybookCatalog
import FoundationEssentials
import Hummingbird

/// What `POST /v1/backups` asks for.
struct BackupRequest {
    /// How many bytes a body may have.
    static let bodyByteLimit = 64 << 10
    private static let members = ["tables", "codec", "with_log"]

    var order = BackupOrder()
    /// How long the client waits for the backup to be made.
    var waitSeconds = 0.0

    /// Reads the query and the body; an empty body asks for everything.
    ///
    /// - Throws: a problem that names what is not understood.
    init(_ request: Request, body: Bytes, catalog: Catalog) throws(Problem) {
        for (name, value) in request.uri.queryParameters {
            guard name == "wait" else {
                throw .badRequest("bad-option", "there is no option \(name); there is wait")
            }
            guard let seconds = Double(value), (0...ReadOptions.waitSecondsMax).contains(seconds)
            else {
                throw .badRequest("bad-option", "wait is a number of seconds, at most 60")
            }
            waitSeconds = seconds
        }
        let data = body.withUnsafeBytes { Data($0) }
        guard !data.allSatisfy({ $0 == 0x20 || (0x09...0x0D).contains($0) }) else { return }
        let found: Body
        do {
            found = try JSONDecoder().decode(Body.self, from: data)
        } catch let error as Body.Unknown {
            throw .badRequest(
                "bad-body", "there is no member \(error.member); there are "
                    + BackupRequest.members.joined(separator: ", "))
        } catch {
            throw .badRequest(
                "bad-body", #"the body is like {"tables":["jobs"],"codec":"zstandard","#
                    + #""with_log":true}, each member may be left out"#)
        }
        order = try found.order(catalog)
    }

    /// The body; a member that nobody knows is a slip, not something to pass over.
    private struct Body: Decodable {
        struct Unknown: Error { let member: String }

        private struct Member: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init(_ name: String) { stringValue = name }
            init?(intValue: Int) { nil }
        }

        let tables: [String]?
        let codec: String?
        let withLog: Bool?

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Member.self)
            let known = BackupRequest.members
            if let key = container.allKeys.first(where: { !known.contains($0.stringValue) }) {
                throw Unknown(member: key.stringValue)
            }
            tables = try container.decodeIfPresent([String].self, forKey: .init(known[0]))
            codec = try container.decodeIfPresent(String.self, forKey: .init(known[1]))
            withLog = try container.decodeIfPresent(Bool.self, forKey: .init(known[2]))
        }

        func order(_ catalog: Catalog) throws(Problem) -> BackupOrder {
            var order = BackupOrder()
            if let tables {
                guard !tables.isEmpty else {
                    throw .badRequest("bad-body", "tables names one at least")
                }
                for name in tables where catalog.table(named: name) == nil {
                    throw .badRequest(
                        "unknown-table", "the dictionary has no table \(name); it has "
                            + catalog.tables.map(\.name).joined(separator: ", "))
                }
                order.tables = tables
            }
            if let codec {
                guard let known = ContainerCodec(rawValue: codec) else {
                    throw .badRequest("bad-body", "codec is deflate, zstandard or null")
                }
                order.codec = known
            }
            order.includesLog = withLog
            return order
        }
    }
}

import Avro
import HTTPTypes
import Hummingbird

extension Response {
    /// An answer in CSV whose first line names the columns, where JSON might have been asked for.
    init(csv: Bytes, headers: HTTPFields = [:]) {
        var headers = headers
        headers[.contentType] = "text/csv; charset=utf-8; header=present"
        headers[.vary] = "accept"
        self.init(
            status: .ok, headers: headers,
            body: ResponseBody(byteBuffer: csv.withUnsafeBytes { ByteBuffer(bytes: $0) }))
    }
}

extension String? {
    /// Whether an `Accept` names CSV before JSON.
    var prefersCSV: Bool {
        for type in (self ?? "").lowercased().split(separator: ",") {
            let name = type.prefix { $0 != ";" }.filter { $0 != " " }
            if name == "text/csv" { return true }
            if name == "application/json" { return false }
        }
        return false
    }
}

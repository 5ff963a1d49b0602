import Avro
import Hummingbird

/// `GET /openapi.json`: the interface, as it is now.
struct OpenAPIRoute: Sendable {
    private let text: Bytes

    init(_ document: OpenAPIDocument) {
        var json = JSONWriter(capacity: 64 << 10)
        json.write(document.json)
        text = json.finish()
    }

    func respond(to request: Request, context: ServerContext) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: text.withUnsafeBytes { ByteBuffer(bytes: $0) }))
    }
}

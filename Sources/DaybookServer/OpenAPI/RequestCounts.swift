import Hummingbird
import Synchronization

/// Counts requests by endpoint and status, since the server began.
final class RequestCounts: Sendable {
    /// The counts of one endpoint.
    final class Counter: Sendable {
        let method: String
        let path: String
        private let counts = Mutex<[Int: Int]>([:])

        fileprivate init(_ endpoint: Endpoint) {
            method = endpoint.method.rawValue
            path = endpoint.path
        }

        /// Counts what `body` answers, a problem by its status.
        func counting(_ body: () async throws -> Response) async throws -> Response {
            do {
                let response = try await body()
                count(response.status.code)
                return response
            } catch {
                count((error as? Problem)?.status.code ?? 500)
                throw error
            }
        }

        private func count(_ status: Int) { counts.withLock { $0[status, default: 0] += 1 } }

        /// How often a status was answered, in order of status.
        var answered: [(status: Int, count: Int)] {
            counts.withLock { counts in
                counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            }
        }
    }

    private let list = Mutex<[Counter]>([])

    /// A new counter for an endpoint.
    func counter(_ endpoint: Endpoint) -> Counter {
        let counter = Counter(endpoint)
        list.withLock { $0.append(counter) }
        return counter
    }

    /// All counters, in the order in which they were made.
    var counters: [Counter] { list.withLock(\.self) }
}

import DaybookCatalog
import Hummingbird

/// The reports that a server answers, and what answers them.
public struct ServedReports: Sendable {
    let reports: [Report]
    let source: any ReportSource

    /// Reports that `source` answers.
    public init(_ reports: [Report], source: any ReportSource) {
        self.reports = reports
        self.source = source
    }
}

/// `GET /v1/reports/{name}`: runs a report with parameters from the query.
struct ReportRoute: Sendable {
    let served: ServedReports
    let projections: any ProjectionStatusSource

    func respond(to request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.read)
        guard caller.tables == nil else {
            throw Problem.forbidden(
                "a report may read any table, and the key \(caller.principal) is for some only")
        }
        let name = try context.parameters.require("name")
        guard let report = served.reports.first(where: { $0.name == name }) else {
            let names = served.reports.map(\.name).joined(separator: ", ")
            throw Problem.notFound(
                "there is no report \(name)" + (names.isEmpty ? "" : "; there are \(names)"))
        }
        let options = try ReadOptions(request)
        let arguments: [ScalarValue]
        do throws(ReportArgumentError) {
            arguments = try report.arguments(options.others)
        } catch {
            throw Problem.badRequest("bad-parameter", error.description)
        }
        // Asked before the query begins: it sees at least this much.
        let position = try await options.wait(for: projections)
        let answer: ReportAnswer
        do throws(ReportError) {
            answer = ReportAnswer(
                report: report, arguments: arguments,
                table: try await served.source.run(report, arguments: arguments))
        } catch {
            throw Problem(error, of: report)
        }
        var response = response(answer, asCSV: request.headers[.accept].prefersCSV)
        response.headers[.daybookPosition] = String(position)
        return response
    }

    private func response(_ answer: ReportAnswer, asCSV isCSV: Bool) -> Response {
        guard isCSV else {
            var json = JSONWriter(capacity: 16 << 10)
            answer.write(to: &json)
            return Response(status: .ok, json: json, headers: [.vary: "accept"])
        }
        return Response(csv: answer.csv())
    }
}

extension Problem {
    /// What it means to a client that a report has no answer.
    fileprivate init(_ error: ReportError, of report: Report) {
        switch error {
        case .unavailable:
            self = Problem(
                .serviceUnavailable, "postgres-unavailable", title: "Postgres is not there",
                detail: "appends go on, reports do not; `daybook status` says more"
            ).retrying(afterSeconds: 5)
        case .busy:
            self = Problem(
                .serviceUnavailable, "reports-busy", title: "Too many reports wait",
                detail: "ask again later"
            ).retrying(afterSeconds: 2)
        case .timedOut(let seconds):
            self = Problem(
                .gatewayTimeout, "report-timeout", title: "The report takes too long",
                detail: "the query of \(report.name) ran longer than \(seconds) s and was ended")
        case .tooLarge(let rowLimit):
            self = Problem(
                .unprocessableContent, "report-too-large", title: "The report has too many rows",
                detail: "\(report.name) gives more than \(rowLimit) rows: narrow it")
        case .failed(let why):
            self = Problem(
                .internalServerError, "report-failed", title: "Postgres refused the query",
                detail: why)
        }
    }
}

import DaybookLedger
import DaybookLog
import Hummingbird

/// `GET /metrics`: how the ledger does, in numbers. Needs no key and holds no row.
struct MetricsRoute: Sendable {
    let ledger: any LedgerService
    let projections: any ProjectionStatusSource
    let backups: any BackupKeeper
    let feeds: Places
    let connections: OpenConnections
    let budgets: ServerBudgets
    let requests: RequestCounts
    let logSize: @Sendable () -> LogSize

    func respond(to request: Request, context: ServerContext) -> Response {
        var metrics = MetricsText()
        let status = ledger.status
        writeLedger(status, to: &metrics)
        writeProjections(end: status.head.position, to: &metrics)
        writeBackups(backups.status, to: &metrics)
        metrics.metric(
            "daybook_open_followers", .gauge, "Clients that follow the event feed.", feeds.count)
        writeDoor(to: &metrics)
        return Response(
            status: .ok, headers: [.contentType: MetricsText.contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.text)))
    }

    private func writeDoor(to metrics: inout MetricsText) {
        metrics.metric(
            "daybook_http_connections", .gauge, "Open connections.", connections.count)
        metrics.metric(
            "daybook_http_connections_refused_total", .counter,
            "Connections refused because there were too many.", connections.refusedCount)
        metrics.metric(
            "daybook_http_timeouts_total", .counter,
            "Connections ended because a request came, or an answer was taken, too slowly.",
            connections.timedOutCount)
        metrics.metric(
            "daybook_http_body_bytes", .gauge, "Bytes of bodies that are received or judged.",
            budgets.bodies.usedByteCount)
        metrics.metric(
            "daybook_http_unsent_bytes", .gauge,
            "Bytes of large answers that clients have not taken yet.",
            budgets.answers.usedByteCount)
        metrics.metric(
            "daybook_http_requests_total", .counter,
            "Requests by route, method and status; those without a key or a route are left out.",
            requests.counters.flatMap { counter in
                counter.answered.map { answered in
                    (
                        [
                            ("route", counter.path), ("method", counter.method),
                            ("status", String(answered.status)),
                        ], answered.count
                    )
                }
            })
    }

    private func writeLedger(_ status: LedgerStatus, to metrics: inout MetricsText) {
        let size = logSize()
        metrics.metric(
            "daybook_durable_position", .gauge, "Position after the last durable event.",
            status.head.position)
        metrics.metric("daybook_segments", .gauge, "Segments of the log.", size.segmentCount)
        metrics.metric("daybook_log_bytes", .gauge, "Bytes of the log's segments.", size.byteCount)
        metrics.metric(
            "daybook_ready", .gauge, "Whether batches are taken.", status.hold == nil ? 1 : 0)
        metrics.metric(
            "daybook_groups_total", .counter, "Groups written, each with one sync.",
            status.groupCount)
        metrics.metric("daybook_batches_total", .counter, "Batches written.", status.batchCount)
        metrics.metric(
            "daybook_replays_total", .counter, "Retries answered from the log.",
            status.replayCount)
        metrics.metric(
            "daybook_queue_batches", .gauge, "Batches taken and not yet answered.",
            status.queuedBatchCount)
        metrics.metric("daybook_queue_bytes", .gauge, "Their bytes.", status.queuedByteCount)
        metrics.metric(
            "daybook_snapshot_position", .gauge, "Position up to which the keys are kept on disk.",
            status.snapshotPosition)
    }

    private func writeProjections(end: Position, to metrics: inout MetricsText) {
        let statuses = projections.projections
        metrics.metric(
            "daybook_postgres_connected", .gauge, "Whether the projector has a connection.",
            projections.postgresState == "connected" ? 1 : 0)
        metrics.metric(
            "daybook_projection_position", .gauge, "Position below which everything is applied.",
            statuses.map { ([("projection", $0.name)], $0.position) })
        metrics.metric(
            "daybook_projection_lag_events", .gauge, "Durable events that are not applied yet.",
            statuses.map { ([("projection", $0.name)], max(0, end - $0.position)) })
        metrics.metric(
            "daybook_projection_state", .gauge, "1 for the state that a projection is in.",
            statuses.map { ([("projection", $0.name), ("state", $0.state)], 1) })
    }

    /// What there has not been yet is left out: an age of 0 would be the best of all.
    private func writeBackups(_ status: BackupStatus, to metrics: inout MetricsText) {
        if let age = status.ageSeconds {
            metrics.metric(
                "daybook_backup_age_seconds", .gauge,
                "Seconds since the last backup of all tables was made.", age)
        }
        if let age = status.provenAgeSeconds {
            metrics.metric(
                "daybook_backup_proven_age_seconds", .gauge,
                "Seconds since the last backup was made that was proven by a verification "
                    + "against the log or by a drill.", age)
        }
        metrics.metric(
            "daybook_backup_running", .gauge, "Whether a backup is being made.",
            status.running?.kind == .backup ? 1 : 0)
        metrics.metric(
            "daybook_backup_failures_total", .counter,
            "Backups and drills that could not be done, and old backups not taken away.",
            status.failureCount)
        if let isSound = status.isLastDrillSound {
            metrics.metric(
                "daybook_drill_last_ok", .gauge, "Whether the last drill found all equal.",
                isSound ? 1 : 0)
        }
    }
}

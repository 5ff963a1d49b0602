import DaybookIntake
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
    let appends: Durations
    let logSize: @Sendable () -> LogSize

    /// What counters begin with.
    private static let since = "since the process started"

    func respond(to request: Request, context: ServerContext) -> Response {
        var metrics = MetricsText()
        let status = ledger.status
        let size = logSize()
        writeLog(status, size, to: &metrics)
        writeRows(status.counts, to: &metrics)
        writeLedger(status, isDamaged: !size.damage.isEmpty, to: &metrics)
        writeSnapshots(status, to: &metrics)
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

    private func writeLog(
        _ status: LedgerStatus, _ size: LogSize, to metrics: inout MetricsText
    ) {
        metrics.metric(
            "daybook_durable_position", .gauge, "Position after the last durable event.",
            status.head.position)
        metrics.metric("daybook_segments", .gauge, "Segments of the log.", size.segmentCount)
        metrics.metric("daybook_log_bytes", .gauge, "Bytes of the log's segments.", size.byteCount)
        metrics.metric(
            "daybook_log_damaged_ranges", .gauge,
            "Damaged ranges of sealed segments, found at the start or by the scrub.",
            size.damage.count)
        metrics.metric(
            "daybook_log_read_failures_total", .counter,
            "Reads of the log that met damage or an error, \(MetricsRoute.since).",
            size.readFailureCount)
        metrics.histogram(
            "daybook_sync_seconds",
            "Seconds that writing and syncing a group took, \(MetricsRoute.since).", size.writes)
        if let scrub = size.scrub { write(scrub, to: &metrics) }
    }

    /// Left out where there is no scrub; the age until a pass has ended.
    private func write(_ scrub: ScrubFigures, to metrics: inout MetricsText) {
        metrics.metric(
            "daybook_scrub_bytes_total", .counter,
            "Bytes of sealed segments read and checked, \(MetricsRoute.since).", scrub.byteCount)
        metrics.metric(
            "daybook_scrub_passes_total", .counter,
            "Passes over all sealed segments, \(MetricsRoute.since).", scrub.passCount)
        if let age = scrub.lastPassAgeSeconds {
            metrics.metric(
                "daybook_scrub_last_pass_age_seconds", .gauge,
                "Seconds since a pass over all sealed segments ended.", Int(age))
        }
    }

    /// Tables are all there from the start, with zeros. A code that no row had is left out: with
    /// many tables that is most of them.
    private func writeRows(_ counts: LedgerCounts, to metrics: inout MetricsText) {
        metrics.metric(
            "daybook_rows_total", .counter, "Rows written, by verdict, \(MetricsRoute.since).",
            counts.tables.flatMap { rows in
                [
                    ([("table", rows.table), ("verdict", "accepted")], rows.accepted),
                    ([("table", rows.table), ("verdict", "rejected")], rows.rejected),
                ]
            })
        metrics.metric(
            "daybook_rejections_total", .counter,
            "Rejected rows by reason, \(MetricsRoute.since); a row with several reasons counts "
                + "under each.",
            counts.tables.flatMap { rows in
                zip(RejectionCode.allCases, rows.rejectedByCode).filter { $0.1 > 0 }.map {
                    ([("table", rows.table), ("code", $0.0.name)], $0.1)
                }
            })
    }

    private func writeLedger(
        _ status: LedgerStatus, isDamaged: Bool, to metrics: inout MetricsText
    ) {
        let since = MetricsRoute.since
        metrics.metric(
            "daybook_ready", .gauge, "Whether batches are taken.", status.hold == nil ? 1 : 0)
        let state = status.hold?.name ?? (isDamaged ? "degraded" : "ok")
        metrics.metric(
            "daybook_ledger_state", .gauge,
            "1 for the state of the ledger: ok, degraded, or why it does not append.",
            (["ok", "degraded"] + LedgerStatus.Hold.names).map {
                ([("state", $0)], $0 == state ? 1 : 0)
            })
        metrics.metric(
            "daybook_groups_total", .counter, "Groups written, each with one sync, \(since).",
            status.groupCount)
        metrics.metric(
            "daybook_batches_total", .counter, "Batches written, \(since).", status.batchCount)
        metrics.metric(
            "daybook_replays_total", .counter, "Retries answered from the log, \(since).",
            status.replayCount)
        metrics.histogram(
            "daybook_append_seconds",
            "Seconds from a whole body to its durable verdicts, of appends by HTTP, \(since).",
            appends.histogram)
        metrics.histogram(
            "daybook_group_batches", "Batches in a group, \(since).", status.counts.groupBatches)
        metrics.histogram(
            "daybook_group_events", "Events in a group, \(since).", status.counts.groupEvents)
        metrics.metric(
            "daybook_queue_batches", .gauge, "Batches taken and not yet answered.",
            status.queuedBatchCount)
        metrics.metric("daybook_queue_bytes", .gauge, "Their bytes.", status.queuedByteCount)
        metrics.metric(
            "daybook_queue_limit_bytes", .gauge,
            "Bytes that may wait; beyond that batches are refused with 503.",
            status.queueByteLimit)
    }

    /// An age of nothing would be the best of all, so it is left out until there is a snapshot.
    private func writeSnapshots(_ status: LedgerStatus, to metrics: inout MetricsText) {
        metrics.metric(
            "daybook_snapshot_position", .gauge, "Position up to which the keys are kept on disk.",
            status.snapshotPosition)
        if let age = status.snapshotAgeSeconds {
            metrics.metric(
                "daybook_snapshot_age_seconds", .gauge,
                "Seconds since the last snapshot of the keys was made by this process.", Int(age))
        }
        metrics.metric(
            "daybook_snapshot_failing", .gauge,
            "Whether the last snapshot of the keys could not be written or used.",
            status.snapshotFault == nil ? 0 : 1)
        metrics.metric(
            "daybook_snapshot_failures_total", .counter,
            "Snapshots of the keys that could not be written or used, \(MetricsRoute.since).",
            status.snapshotFailureCount)
    }

    private func writeProjections(end: Position, to metrics: inout MetricsText) {
        let statuses = projections.projections
        metrics.metric(
            "daybook_postgres_connected", .gauge, "Whether the projector has a connection.",
            projections.postgresState == "connected" ? 1 : 0)
        metrics.metric(
            "daybook_postgres_state", .gauge,
            "1 for the state of Postgres as the projector has it.",
            ["starting", "connected", "unreachable"].map {
                ([("state", $0)], $0 == projections.postgresState ? 1 : 0)
            })
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
            "Backups and drills that could not be done, and old backups not taken away, "
                + "\(MetricsRoute.since).",
            status.failureCount)
        if let isSound = status.isLastDrillSound {
            metrics.metric(
                "daybook_drill_last_ok", .gauge, "Whether the last drill found all equal.",
                isSound ? 1 : 0)
        }
    }
}

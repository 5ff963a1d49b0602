// Measures parts of the program by themselves. `script/bench` runs it; docs/performance.md says
// what each figure is measured beside.

let arguments = Array(CommandLine.arguments.dropFirst())
let rowCount = arguments.firstIndex(of: "--rows").flatMap { place in
    arguments.dropFirst(place + 1).first.flatMap(Int.init)
}
switch arguments.first {
case "json": try measureJSON(rowCount: rowCount ?? 5_000_000)
case "csv": try measureCSV(rowCount: rowCount ?? 5_000_000)
case "avro": try measureAvro(rowCount: rowCount ?? 1_000_000)
case "codecs": try measureCodecs()
case "log": try measureLog(rowCount: rowCount ?? 1_000_000)
case "project": try await measureProjection(rowCount: rowCount ?? 1_000_000)
case "rebuild": try await measureRebuild(rowCount: rowCount ?? 1_000_000)
default:
    print(
        "usage: daybook-bench json|csv|avro|codecs|log|project|rebuild [--rows N]   "
            + "(in the package's folder)")
}

// Measures parts of the program by themselves. `script/bench` runs it; docs/performance.md says
// what each figure is measured beside.

let arguments = CommandLine.arguments.dropFirst()
switch arguments.first {
case "json": try measureJSON()
case "csv": try measureCSV()
case "project": try await measureProjection()
default:
    print("usage: daybook-bench json|csv|project   (in the package's folder, in a release build)")
}

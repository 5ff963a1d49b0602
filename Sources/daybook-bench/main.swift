// Measures parts of the program by themselves. `script/bench` runs it; docs/performance.md says
// what each figure is measured beside.

let arguments = CommandLine.arguments.dropFirst()
switch arguments.first {
case "json": try measureJSON()
case "csv": try measureCSV()
default:
    print("usage: daybook-bench json|csv   (in the package's folder, in a release build)")
}

import Foundation
import FuzzTargets

/// The fuzzer: libFuzzer in front of one of `FuzzTarget`, which `DAYBOOK_FUZZ` names, so that one
/// binary serves all. `script/fuzz` builds and runs it.
///
/// Built without libFuzzer it runs the files that are named, and says which of them fails.
enum Fuzzing {
    /// The target that the environment names.
    static let target: FuzzTarget = {
        let name = getenv("DAYBOOK_FUZZ").map { String(cString: $0) } ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
            say("DAYBOOK_FUZZ names no target; it is one of \(names)")
            exit(2)
        }
        return target
    }()

    static func say(_ text: String) {
        FileHandle.standardError.write(Data("daybook-fuzz: \(text)\n".utf8))
    }

    /// Runs the target; a fault that it throws ends the process as a trap does.
    static func run(_ bytes: UnsafeRawBufferPointer) {
        do {
            try target.run(bytes)
        } catch {
            say("\(error)")
            abort()
        }
    }
}

#if FUZZING
/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    Fuzzing.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
#else
@main struct Replay {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "seeds", arguments.count == 3 {
            return try seeds(golden: arguments[2], to: arguments[3])
        }
        for path in arguments {
            Fuzzing.say(path)
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            data.withUnsafeBytes { Fuzzing.run($0) }
        }
    }

    /// Writes the inputs that fuzzing begins with, a folder for each target.
    private static func seeds(golden: String, to folder: String) throws {
        let names = ["00000000000000000000.avro.lz4", "00000000000000000010.avro.lz4", "HEAD"]
        let files = try names.map {
            Array(try Data(contentsOf: URL(fileURLWithPath: "\(golden)/\($0)")))
        }
        for target in FuzzTarget.allCases {
            let place = "\(folder)/\(target.rawValue)"
            try FileManager.default.createDirectory(
                atPath: place, withIntermediateDirectories: true)
            for (name, bytes) in try FuzzSeeds.make(target, golden: files) {
                try Data(bytes).write(to: URL(fileURLWithPath: "\(place)/\(name)"))
            }
        }
    }
}
#endif

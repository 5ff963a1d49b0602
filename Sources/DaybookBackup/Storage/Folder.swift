import Glibc

/// What is done with folders, with the system's errors as ours.
enum Folder {
    /// The entries but `.` and `..`, in any order. (`readdir`)
    static func names(_ path: String) throws(BackupStorageError) -> [String] {
        guard let folder = opendir(path) else {
            throw .system(call: "opendir", path: path, code: errno)
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    static func isFolder(_ path: String) throws(BackupStorageError) -> Bool {
        try facts(path).st_mode & S_IFMT == S_IFDIR
    }

    static func byteCount(_ path: String) throws(BackupStorageError) -> UInt64 {
        UInt64(try facts(path).st_size)
    }

    private static func facts(_ path: String) throws(BackupStorageError) -> stat {
        var facts = stat()
        guard lstat(path, &facts) == 0 else {
            throw .system(call: "stat", path: path, code: errno)
        }
        return facts
    }

    /// Makes a folder and those above it, where they are missing.
    static func make(_ path: String) throws(BackupStorageError) {
        if access(path, F_OK) == 0 { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try make(String(path[..<slash]))
        }
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw .system(call: "mkdir", path: path, code: errno)
        }
    }

    /// Makes the entries of a folder durable. (`fsync`)
    static func sync(_ path: String) throws(BackupStorageError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(call: "open", path: path, code: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else {
            throw .system(call: "fsync", path: path, code: errno)
        }
    }

    /// Opens a folder for its lock, which goes with the process. (`open`)
    static func openLocked(
        _ path: String, waits: Bool
    ) throws(BackupStorageError) -> Int32? {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw .system(call: "open", path: path, code: errno)
        }
        guard flock(descriptor, waits ? LOCK_EX : LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { return nil }
            throw .system(call: "flock", path: path, code: code)
        }
        // Whoever had the lock before may have removed the folder.
        var held = stat()
        var named = stat()
        guard fstat(descriptor, &held) == 0, lstat(path, &named) == 0,
            held.st_ino == named.st_ino
        else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Removes a folder and what is in it; nothing if it is not there.
    static func remove(_ path: String) throws(BackupStorageError) {
        guard access(path, F_OK) == 0 else { return }
        for name in try names(path) {
            let entry = path + "/" + name
            if try isFolder(entry) {
                try remove(entry)
            } else if unlink(entry) != 0, errno != ENOENT {
                throw .system(call: "unlink", path: entry, code: errno)
            }
        }
        guard rmdir(path) == 0 || errno == ENOENT else {
            throw .system(call: "rmdir", path: path, code: errno)
        }
    }
}

import S3

/// What people give as a place for backups: a folder's path, or `s3://bucket/prefix`.
public enum BackupTarget {
    /// The storage that a target names. Nothing is read or written yet.
    ///
    /// - Parameter environment: where the key of a bucket stands; docs/storage.md has the names.
    /// - Throws: `.target`, which says what would be right.
    public static func storage(
        _ target: String, environment: [String: String]
    ) throws(BackupStorageError) -> any BackupStorage {
        guard !target.isEmpty else {
            throw .target("a place for backups is a folder or s3://bucket/prefix")
        }
        guard let scheme = scheme(of: target) else { return FolderStorage(path: target) }
        guard scheme == "s3" else {
            throw .target(
                "backups are not kept at \(scheme)://; give a folder or s3://bucket/prefix")
        }
        do throws(S3Error) {
            let location = try S3Location(target)
            let configuration = try S3Configuration(environment: environment, prefix: "DAYBOOK_")
            return S3Storage(location, client: try S3Client(configuration))
        } catch {
            throw .target(error.description)
        }
    }

    /// What stands before `://`, in small letters. (RFC 3986, 3.1)
    private static func scheme(of target: String) -> String? {
        guard let end = target.firstRange(of: "://")?.lowerBound, end > target.startIndex else {
            return nil
        }
        let scheme = target[..<end]
        let isScheme = scheme.allSatisfy { character in
            character.isASCII
                && (character.isLetter || character.isNumber || "+-.".contains(character))
        }
        return isScheme ? scheme.lowercased() : nil
    }
}

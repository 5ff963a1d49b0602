import DaybookLog

/// The backups of a place.
public enum BackupCatalog {
    /// Every backup with its manifest, oldest first; nil for a manifest that cannot be read.
    public static func manifests(
        in storage: any BackupStorage
    ) throws(BackupError) -> [(name: String, manifest: BackupManifest?)] {
        let names = try storing { () throws(BackupStorageError) in try storage.backups() }
        var found: [(name: String, manifest: BackupManifest?)] = []
        for name in names {
            do throws(BackupError) {
                found.append((name, try BackupSource(name, in: storage).manifest))
            } catch .notFound {
                // It was taken away since the names were read.
            } catch {
                found.append((name, nil))
            }
        }
        return found.sorted { left, right in
            (left.manifest?.time ?? "", left.name) < (right.manifest?.time ?? "", right.name)
        }
    }
}

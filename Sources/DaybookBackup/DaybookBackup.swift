// Backups of the tables as Avro files, their verification against the log, and restore belong here;
// the module stands in the package so that its place in the layers is held from the start. There is
// nothing in it yet.

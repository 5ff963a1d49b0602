#!/usr/bin/env python3
"""Reads a Daybook log and checks everything that FORMAT.md says of it.

    read.py FOLDER             checks, and prints what is there as one JSON object
    read.py FOLDER --batches   checks, and prints each batch as a line of JSON, rows counted
    read.py FOLDER --rows      the same with its rows

Written from FORMAT.md, with none of Daybook's code: Python's library, lz4 and fastavro (from PyPI).
Values are Avro's plain ones: a timestamp is its microseconds, bytes are a string of the code points
U+0000 to U+00FF. Problems go to standard error as well. Exit 0: the log is valid. 3: it is not.
"""
import argparse
import hashlib
import io
import json
import pathlib
import re
import signal
import struct
import sys
import zlib
from typing import NamedTuple

import fastavro
import lz4.frame

MAX_POSITION = 1 << 62
RECORD_LIMIT, CONTENT_LIMIT, STORED_LIMIT = 24 << 20, 32 << 20, 33 << 20
SCHEMA_LIMIT, FRAME_LIMIT, HEADER_LIMIT = 4 << 20, 8 << 20, 4096
NAME = re.compile(r"(\d{20})\.avro\.lz4")
FIELDS = ["position", "received_at", "clock", "id", "source", "principal", "idempotency_key",
          "request_digest", "dictionary", "table", "format", "first_line", "line_skips", "corrects",
          "rows"]


class Fault(Exception):
    """Bytes that are not what FORMAT.md asks for."""


def require(condition, what):
    if not condition:
        raise Fault(what)


class Kind(NamedTuple):
    magic: int
    tag: bytes
    layout: struct.Struct


SEGMENT = Kind(0x184D2A50, b"DAYBKSEG", struct.Struct("<HH16sQqQQ16s16sqq32sIIQ32s"))
BLOCK = Kind(0x184D2A51, b"DAYBKBLK", struct.Struct("<HH16sQQQQqIIqqIIQ32s32sI"))
ATTESTATION = Kind(0x184D2A52, b"DAYBKATT", struct.Struct("<HH16sQQqQ32s"))
FOOTER = Kind(0x184D2A53, b"DAYBKFTR", struct.Struct("<HH16sQQqqQqqQ32s"))


def read_frame(kind, data, offset, salt=b""):
    """The fixed fields of a skippable frame, the bytes after them, and where it ends."""
    shortest = 20 + kind.layout.size
    require(len(data) >= offset + shortest, "the file ends inside a frame")
    magic, length = struct.unpack_from("<II", data, offset)
    require(magic == kind.magic and data[offset + 8:offset + 16] == kind.tag, "no such frame")
    require(shortest - 8 <= length <= FRAME_LIMIT, "a frame has an impossible length")
    end = offset + 8 + length
    require(end <= len(data), "the file ends inside a frame")
    content = data[offset + 8:end - 4]
    (checksum,) = struct.unpack_from("<I", data, end - 4)
    require(zlib.crc32(content, zlib.crc32(salt)) == checksum, "a frame's checksum does not hold")
    return kind.layout.unpack_from(content, 8), content[8 + kind.layout.size:], end


def unpack_lz4(stored, size):
    """The content of exactly one LZ4 frame, `size` bytes of it and no more."""
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        content = decompressor.decompress(stored, max_length=size + 1)
        if not decompressor.eof:  # the end mark and the checksum may still be unread
            content += decompressor.decompress(b"", max_length=1)
    except (RuntimeError, EOFError) as error:
        raise Fault(f"LZ4: {error}") from error
    require(decompressor.eof and not decompressor.unused_data and len(content) == size,
            "an LZ4 frame has another length than stated")
    return content


class Tree:
    """RFC 6962: the roots of the perfect subtrees, largest first, as many as `size` has bits."""

    def __init__(self, size=0, nodes=()):
        self.size, self.nodes = size, list(nodes)

    def append(self, record):
        node, bits = hashlib.sha256(b"\0" + record).digest(), self.size
        while bits & 1:
            node, bits = hashlib.sha256(b"\1" + self.nodes.pop() + node).digest(), bits >> 1
        self.nodes.append(node)
        self.size += 1

    @property
    def root(self):
        if not self.nodes:
            return hashlib.sha256().digest()
        node = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            node = hashlib.sha256(b"\1" + left + node).digest()
        return node


def plain(schema):
    """A schema without logical types."""
    if isinstance(schema, dict):
        return {key: plain(value) for key, value in schema.items() if key != "logicalType"}
    return [plain(item) for item in schema] if isinstance(schema, list) else schema


class Segment:
    """A segment's file, read front to back; the state is that of the ledger before `offset`."""

    def __init__(self, path):
        self.name, self.data = path.name, path.read_bytes()
        fields, rest, end = read_frame(SEGMENT, self.data, 0)
        (_, minimum_reader, self.ledger, self.number, self.base, self.first_block, self.epoch,
         self.salt, self.sync, self.last_received, _, digest, schema_size, stored_size, size,
         root) = fields
        require(minimum_reader <= 1, "this format is too new for this reader")
        require(end <= HEADER_LIMIT and len(rest) == 32 * size.bit_count(), "not a frontier")
        self.tree = Tree(size, [rest[at:at + 32] for at in range(0, len(rest), 32)])
        require(self.tree.root == root, "the frontier has another root")
        require(0 <= self.base < MAX_POSITION and self.base == int(NAME.fullmatch(self.name)[1]),
                "the file's name is not its first position")
        require(schema_size <= SCHEMA_LIMIT and stored_size <= SCHEMA_LIMIT + 4096, "not a schema")
        header = unpack_lz4(self.data[end:end + stored_size], schema_size)
        require(hashlib.sha256(header).digest() == digest, "the schema is another")
        self.schema = self.read_schema(header)
        self.offset, self.position, self.block = end + stored_size, self.base, self.first_block
        self.blocks, self.tables, self.footer, self.first_received = 0, {}, None, 0
        self.fault = None  # why reading stopped before the file's end
        self.index = {}  # offset: (position, time) of every block
        self.roots = {self.base: root}

    def read_schema(self, header):
        source = io.BytesIO(header)
        reader = fastavro.reader(source)
        require(source.tell() == len(header) and header[-16:] == self.sync
                and reader.metadata.get("avro.codec", "null") == "null", "not an Avro header")
        schema = json.loads(reader.metadata["avro.schema"])
        require([field["name"] for field in schema["fields"]] == FIELDS, "not a daybook.Batch")
        return fastavro.parse_schema(plain(schema))

    @property
    def head(self):
        return self.ledger, self.tree.size, self.position, self.tree.root

    @property
    def next(self):
        """What the header of the segment after this one must say."""
        return (*self.head, self.tree.nodes, self.block, self.last_received)

    @property
    def start(self):
        return (self.ledger, self.tree.size, self.base, self.tree.root, self.tree.nodes,
                self.first_block, self.last_received)

    def batches(self):
        """Every batch up to the end, or to the first invalid frame: then it raises."""
        while self.offset < len(self.data):
            require(self.footer is None, "bytes follow the footer")
            magic = int.from_bytes(self.data[self.offset:self.offset + 4], "little")
            if magic == BLOCK.magic:
                yield from self.read_block()
            elif magic == ATTESTATION.magic:
                self.read_attestation()
            elif magic == FOOTER.magic:
                self.read_footer()
            else:
                raise Fault("these bytes are no frame of a segment")

    def read_block(self):
        fields, rest, end = read_frame(BLOCK, self.data, self.offset, self.salt)
        (version, length, ledger, segment, epoch, block, offset, first, events, count,
         first_received, last_received, stored_size, size, tree_size, root_before, root_after,
         checksum) = fields
        require(version == 1 and length == end - self.offset and not rest, "not this version")
        require((ledger, segment, block, offset)
                == (self.ledger, self.number, self.block, self.offset), "a block of another place")
        require(first == self.position and epoch >= self.epoch and root_before == self.tree.root
                and self.last_received < first_received <= last_received
                and events >= count > 0 and tree_size == self.tree.size + count
                and size <= CONTENT_LIMIT and stored_size <= STORED_LIMIT,
                "a block contradicts what comes before it")
        stored = self.data[end:end + stored_size]
        require(len(stored) == stored_size, "the file ends inside a block")
        require(zlib.crc32(stored, zlib.crc32(self.salt)) == checksum,
                "a block's checksum does not hold")
        tree = Tree(self.tree.size, self.tree.nodes)
        batches = self.read_records(unpack_lz4(stored, size), count, tree)
        self.check_batches(batches, first, events, first_received, last_received)
        require(tree.root == root_after, "a block's records have another root")
        self.first_received = self.first_received if self.blocks else first_received
        self.index[offset] = (first, first_received)
        self.tree, self.epoch, self.block, self.blocks = tree, epoch, block + 1, self.blocks + 1
        self.position, self.last_received = first + events, last_received
        self.roots[self.position], self.offset = root_after, end + stored_size
        self.count(batches)
        yield from batches

    def read_records(self, content, count, tree):
        """The records of one Avro container block; every one becomes a leaf of `tree`."""
        source = io.BytesIO(content)
        try:
            stated = [fastavro.schemaless_reader(source, "long") for _ in range(2)]
            require(stated == [count, len(content) - source.tell() - 16], "not an Avro block")
            batches = []
            for _ in range(count):
                start = source.tell()
                batch = fastavro.schemaless_reader(source, self.schema, return_record_name=True)
                record = content[start:source.tell()]
                require(len(record) <= RECORD_LIMIT, "a record is over its limit")
                again = io.BytesIO()
                fastavro.schemaless_writer(again, self.schema, batch)
                require(again.getvalue() == record, "a record is not in the one form")
                tree.append(record)
                batches.append(batch)
        except (EOFError, IndexError, ValueError, TypeError, OverflowError) as error:
            raise Fault(f"Avro: {error!r}") from error
        require(content[source.tell():] == self.sync, "an Avro block does not end in its marker")
        return batches

    def check_batches(self, batches, position, events, first_received, last_received):
        end = position + events
        times = [batch["received_at"] for batch in batches]
        require((times[0], times[-1]) == (first_received, last_received)
                and all(one < other for one, other in zip(times, times[1:])), "times are wrong")
        for batch in batches:
            require(batch["position"] == position and batch["rows"], "positions have a gap")
            position += len(batch["rows"])
        require(position == end, "positions have a gap")

    def count(self, batches):
        for batch in batches:
            counts = self.tables.setdefault(batch["table"], [0, 0])
            for name, _ in batch["rows"]:
                counts[name == "daybook.Rejection"] += 1

    def read_attestation(self):
        fields, rest, end = read_frame(ATTESTATION, self.data, self.offset, self.salt)
        expected = (1, 0, self.ledger, self.number, self.offset, self.position, self.tree.size,
                    self.tree.root)
        require(fields == expected and not rest, "an attestation of another state")
        self.offset = end

    def read_footer(self):
        fields, rest, end = read_frame(FOOTER, self.data, self.offset, self.salt)
        expected = (1, 0, self.ledger, self.number, self.offset, self.base, self.position,
                    self.blocks, self.first_received, self.last_received, self.tree.size,
                    self.tree.root)
        require(fields == expected, "a footer of another state")
        source = io.BytesIO(rest)

        def number(layout):
            value = source.read(struct.calcsize(layout))
            require(len(value) == struct.calcsize(layout), "a footer ends too early")
            return struct.unpack(layout, value)

        names = [(source.read(*number("<H")).decode(), list(number("<QQ")))
                 for _ in range(*number("<I"))]
        require(names == sorted(self.tables.items()), "a footer counts wrongly")
        for _ in range(*number("<I")):
            position, received, offset = number("<qqQ")
            require(self.index.get(offset) == (position, received), "a footer's index is wrong")
        require(number("<Q") == (self.offset,) and not source.read(1), "a footer of another place")
        self.footer, self.offset = fields, end

    def witnesses(self):
        """Positions that frames behind the first invalid one knew to be durable."""
        for found in re.finditer(b"DAYBK(BLK|ATT|FTR)", self.data[self.offset:]):
            at = self.offset + found.start() - 8
            for kind in (BLOCK, ATTESTATION, FOOTER):
                try:
                    fields, _, _ = read_frame(kind, self.data, at, self.salt)
                except Fault:
                    continue
                if kind is BLOCK and fields[5] > self.block:
                    yield max(fields[7], self.position + 1)
                elif kind is not BLOCK:
                    yield fields[5 if kind is ATTESTATION else 6]


def read_head(path, ledger):
    """The younger valid slot of the head file: (position, root), and the kept checkpoint."""
    data, youngest = path.read_bytes() if path.exists() else b"", (0, [])
    for slot in (data[:512], data[512:1024]):
        if len(slot) >= 132 and struct.unpack_from("<I", slot, 128)[0] == zlib.crc32(slot[:128]):
            tag, sequence, owner, *states = struct.unpack_from("<8sQ16sqQ32sqQ32s", slot)
            require(tag == b"DAYBKHED" and owner == ledger, "HEAD is of another ledger")
            known = [(states[at], states[at + 2]) for at in (0, 3) if states[at] >= 0]
            youngest = max(youngest, (sequence, known))
    return youngest[1]


class Log:
    """All segments of a folder, each checked against its neighbours."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.problems, self.notes, self.segments = [], [], []
        self.batch_count = self.row_count = 0

    def batches(self):
        names = sorted(path for path in self.folder.iterdir() if NAME.fullmatch(path.name))
        if not names:
            self.problem("", 0, "there is no segment")
        for number, path in enumerate(names):
            try:
                segment = Segment(path)
                require(segment.number == number, f"segment {number} is missing")
            except (Fault, ValueError, KeyError) as fault:
                self.problem(path.name, 0, fault)
                continue
            self.compare(segment)
            self.segments.append(segment)
            yield from self.batches_of(segment)
        if self.segments:
            self.check_end(self.segments[-1])

    def batches_of(self, segment):
        try:
            for batch in segment.batches():
                self.batch_count += 1
                self.row_count += len(batch["rows"])
                yield batch
        except Fault as fault:
            segment.fault = fault

    def compare(self, segment):
        """A segment's header with the end of the segment before."""
        if not self.segments:
            if segment.start[1:] != (0, 0, hashlib.sha256().digest(), [], 0, 0):
                self.problem(segment.name, 0, "the first segment does not begin at 0")
            return
        before = self.segments[-1]
        if segment.start != before.next or segment.epoch < before.epoch:
            self.problem(before.name, before.offset,
                         before.fault or f"it does not end where {segment.name} begins")
        elif before.fault:
            self.note(before.name, before.offset, before.fault)

    def check_end(self, segment):
        """The end of the active segment: whole, torn, or short of what was durable."""
        known = [(position, None) for position in segment.witnesses()] if segment.fault else []
        try:
            known += read_head(self.folder / "HEAD", segment.ledger)
        except Fault as fault:
            self.problem("HEAD", 0, fault)
        if any(position > segment.position for position, _ in known):
            self.problem(segment.name, segment.offset, f"{segment.fault or 'the log ends'}, and "
                         "more is known to have been durable")
        elif segment.fault:
            self.note(segment.name, segment.offset, f"{segment.fault}: a torn tail, it seems")
        for position, root in known:
            if root and segment.base <= position <= segment.position \
                    and segment.roots.get(position) != root:
                self.problem("HEAD", 0, f"it knew another root at {position}")

    def problem(self, name, offset, what):
        self.problems.append({"file": name, "offset": offset, "what": str(what)})
        print(f"{name}:{offset}: {what}", file=sys.stderr)

    def note(self, name, offset, what):
        self.notes.append({"file": name, "offset": offset, "what": str(what)})

    def summary(self):
        last = self.segments[-1] if self.segments else None
        return {
            "ledger": last and last.ledger.hex(), "position": last and last.position,
            "batches": self.batch_count, "rows": self.row_count,
            "root": last and last.tree.root.hex(),
            "segments": [{
                "file": each.name, "base": each.base, "end": each.position, "blocks": each.blocks,
                "sealed": each.footer is not None,
                "tables": {name: {"accepted": counts[0], "rejected": counts[1]}
                           for name, counts in sorted(each.tables.items())},
            } for each in self.segments],
            "problems": self.problems, "notes": self.notes,
        }


def printable(batch, with_rows):
    rows = batch["rows"]
    shown = [{name.split(".")[-1]: fields} for name, fields in rows] if with_rows else len(rows)
    return json.dumps({**batch, "rows": shown}, default=lambda value: value.decode("latin-1"),
                      ensure_ascii=False)


def main():
    parser = argparse.ArgumentParser(description="Reads and checks a Daybook log.")
    parser.add_argument("folder", help="the folder of the segments: data/log")
    parser.add_argument("--batches", action="store_true", help="print each batch, rows counted")
    parser.add_argument("--rows", action="store_true", help="print each batch with its rows")
    options = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # | head
    log = Log(options.folder)
    for batch in log.batches():
        if options.batches or options.rows:
            print(printable(batch, options.rows))
    if not (options.batches or options.rows):
        print(json.dumps(log.summary(), indent=2, ensure_ascii=False))
    return 3 if log.problems else 0


if __name__ == "__main__":
    sys.exit(main())

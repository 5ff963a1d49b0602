"""Checks a proof that Daybook made, with nothing of Daybook: hashlib, and openssl for Ed25519.

Written from docs/proofs.md, RFC 6962 and C2SP signed-note. The paths are checked by making the
roots again from the recursive definitions, not by the loop of RFC 9162 that Daybook runs.

    check_proof.py PROOF PUBLIC_KEY_PEM [RECORD_LEAF_HEX]

Prints the tree's size and root. Exits 1 with the reason if anything does not hold.
"""

import base64
import hashlib
import json
import subprocess
import sys
import tempfile


def parent(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size):
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def root_from_path(index, size, leaf, path):
    """RFC 6962, 2.1.1, read backwards: the last node of PATH stands nearest to the root."""
    if size == 1:
        if path:
            raise ValueError("the path is too long")
        return leaf
    if not path:
        raise ValueError("the path is too short")
    k = split(size)
    if index < k:
        return parent(root_from_path(index, k, leaf, path[:-1]), path[-1])
    return parent(path[-1], root_from_path(index - k, size - k, leaf, path[:-1]))


def roots_from_proof(m, n, old, path, complete=True):
    """RFC 6962, 2.1.2, read backwards: the roots of the first m and of all n leaves."""
    if m == n:
        if complete:
            if path:
                raise ValueError("the consistency path is too long")
            return old, old
        if len(path) != 1:
            raise ValueError("the consistency path has a wrong length")
        return path[0], path[0]
    if not path:
        raise ValueError("the consistency path is too short")
    k = split(n)
    if m <= k:
        before, after = roots_from_proof(m, k, old, path[:-1], complete)
        return before, parent(after, path[-1])
    before, after = roots_from_proof(m - k, n - k, old, path[:-1], False)
    return parent(path[-1], before), parent(path[-1], after)


def raw_key(pem):
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", pem, "-outform", "DER"],
        check=True, capture_output=True).stdout
    return der[-32:]


def is_signed(text, signature, pem):
    with tempfile.NamedTemporaryFile() as body, tempfile.NamedTemporaryFile() as mark:
        body.write(text)
        body.flush()
        mark.write(signature)
        mark.flush()
        run = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", pem, "-rawin",
             "-in", body.name, "-sigfile", mark.name], capture_output=True)
        return run.returncode == 0


def read_checkpoint(note, pem):
    text, marks = note.rsplit("\n\n", 1)
    text += "\n"
    origin, size, root, position = text.splitlines()
    dash, name, encoded = marks.rstrip("\n").split(" ")
    assert dash == "\u2014" and name == origin, "the line of the signature"
    assert marks.endswith("\n") and marks.count("\n") == 1, "one line of a signature"
    mark = base64.b64decode(encoded, validate=True)
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + raw_key(pem)).digest()[:4]
    assert mark[:4] == key_id, "the key's id"
    assert is_signed(text.encode(), mark[4:], pem), "the signature"
    assert position.startswith("position "), "the extension line"
    return origin, int(size), base64.b64decode(root, validate=True)


def main():
    proof = json.load(open(sys.argv[1], encoding="utf-8"))
    pem = sys.argv[2]
    assert proof["format"] == "daybook-proof" and proof["version"] == 1
    assert proof["public_key"] == raw_key(pem).hex(), "the key"
    origin, size, root = read_checkpoint(proof["checkpoint"], pem)
    assert origin == "daybook/" + proof["ledger"], "the ledger"
    leaf = bytes.fromhex(proof["leaf"])
    if len(sys.argv) > 3:
        assert proof["leaf"] == sys.argv[3], "the leaf"
    path = [bytes.fromhex(node) for node in proof["inclusion"]]
    assert 0 <= proof["leaf_index"] < size, "the leaf's index"
    assert root_from_path(proof["leaf_index"], size, leaf, path) == root, "the inclusion path"
    earlier = proof.get("consistency")
    if earlier is not None:
        old = bytes.fromhex(earlier["from_root"])
        nodes = [bytes.fromhex(node) for node in earlier["path"]]
        found = roots_from_proof(earlier["from_size"], size, old, nodes)
        assert found == (old, root), "the consistency path"
    print(size, root.hex())


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, ValueError, KeyError) as error:
        sys.exit(f"the proof does not hold: {error}")

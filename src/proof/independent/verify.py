#!/usr/bin/env python3
"""Checks an exported recording, as docs/formats.md specifies it and with nothing else (sections 8 to 10 are here).

Usage: verify.py DIRECTORY [--trust FILE]

Exit codes: 0 proven, 1 wrong, 2 unreadable or called wrongly, 3 consistent but untrusted. Needs formats.py beside it and
the packages in requirements.txt; never the network, never a key to the recording.
"""

import argparse
import json
import os
import re
import stat
import struct
import sys

from blake3 import blake3

from formats import (
    CHUNKS_MAX, NOTE_BYTES_MAX, Certificate, Checkpoint, Genesis, GrowingTree, Header, Key, Manifest, Note, Receipt,
    Transaction, Wrong, check_consistency, check_signature, from_hex, hash_from_base64, need, root_of_path, sha256,
)

PROVEN, WRONG, UNREADABLE, UNTRUSTED = 0, 1, 2, 3
PROOF_BYTES_MAX = 4_000_000
FINDINGS_MAX = 1000
SMALL_FILES = ("manifest", "leaves", "proof.json", "checkpoint")


# --- 8. Export --------------------------------------------------------------------------------------------------------


def members(value, *names):
    need(isinstance(value, dict) and list(value) == list(names), "does not have the expected members in their order")
    return [value[name] for name in names]


def number(value):
    need(type(value) is int and 0 <= value < 2**64, "has a member that is not a number below 2^64")
    return value


def hashes(value):
    need(isinstance(value, list) and len(value) <= 64, "has a malformed path")
    path = [from_hex(text) for text in value]
    need(all(len(entry) == 32 for entry in path), "has a path that is not of hashes")
    return path


class Proof:
    def __init__(self, text):
        try:
            value = json.loads(text)
            form = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        except (ValueError, RecursionError) as error:
            raise Wrong("is not JSON") from error
        names = "format genesis transaction receipt header certificate log also".split()
        form_name, genesis, transaction, receipt, header, certificate, log, also = members(value, *names)
        need(form_name == "lucid.proof/v1", "is not of the format lucid.proof/v1")
        self.genesis = Genesis(from_hex(genesis))
        data, index, size, path = members(transaction, "bytes", "index", "size", "path")
        self.transaction, self.index, self.size = Transaction(from_hex(data)), number(index), number(size)
        self.transaction_path = hashes(path)
        data, path = members(receipt, "bytes", "path")
        self.receipt, self.receipt_path = Receipt(from_hex(data)), hashes(path)
        self.header = Header(from_hex(header))
        self.certificate = Certificate(from_hex(certificate))
        index, size, path = members(log, "index", "size", "path")
        need(number(index) == self.header.height, "has a log index that is not the height")
        self.log_size, self.log_path = number(size), hashes(path)
        need(isinstance(also, list) and len(also) <= 100, "has malformed further checkpoints")
        self.also = [members(entry, "checkpoint", "path") for entry in also]
        need(all(isinstance(note, str) for note, _ in self.also), "has a further checkpoint that is not a text")
        self.also = [(note, hashes(path)) for note, path in self.also]
        need(form == text, "is not in its one form")

    def genesis_fits(self):
        mine = (self.genesis.chain_id, self.genesis.validators_hash)
        return mine == (self.header.chain_id, self.header.validators)

    def open_checkpoint(self, note):
        keys = [Key(self.genesis.chain, public) for public in self.genesis.validators]
        checkpoint, unknown = Checkpoint.open(note, keys)
        need(unknown == 0, "has signatures by strangers")
        need(checkpoint.origin == self.genesis.chain, "is of another chain")
        return checkpoint

    def check_log(self, checkpoint, path):
        root = root_of_path(self.header.data, self.header.height, checkpoint.size, path)
        need(root == checkpoint.root, "has a path that does not lead to the checkpoint")


class Directory:
    """An export directory; symbolic links in it are not followed."""

    def __init__(self, path):
        self.path = path
        self.names = set()
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name == "chunks" and entry.is_dir(follow_symlinks=False):
                    self.names |= {"chunks/" + name for name in os.listdir(entry.path)}
                else:
                    self.names.add(entry.name)

    def open(self, name):
        path = os.path.join(self.path, name)
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise OSError(f"{path} is not a plain file")
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")

    def text(self, name):
        limit = PROOF_BYTES_MAX if name == "proof.json" else NOTE_BYTES_MAX
        with self.open(name) as file:
            data = file.read(limit + 1)
        need(len(data) <= limit, "is too large")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise Wrong("is not UTF-8") from error


def chunk_name(index):
    return f"chunks/{index:08}.chunk"


# --- 10. Checking -----------------------------------------------------------------------------------------------------


class Findings:
    def __init__(self):
        self.wrong, self.unreadable = [], []

    def attempt(self, place, check, *arguments):
        """What the check returns, or None with its failure noted."""
        try:
            return check(*arguments)
        except Wrong as error:
            self.note(self.wrong, place, error)
        except OSError as error:
            self.note(self.unreadable, place, error)
        return None

    def add(self, place, problem):
        self.note(self.wrong, place, problem)

    def any(self):
        return bool(self.wrong or self.unreadable)

    @staticmethod
    def note(findings, place, problem):
        if len(findings) <= FINDINGS_MAX:
            more = len(findings) == FINDINGS_MAX
            findings.append("and more" if more else f"{ascii(place)[1:-1]}: {problem}")


def check_chain(proof, note, findings):
    """Steps 2 to 5; the checkpoint, if it is valid, and whether the header commits to the transaction."""
    header, transaction, checkpoint = proof.header, proof.transaction, None
    if not proof.genesis_fits():
        findings.add("proof.json", "has a genesis that does not fit the header")
        if note is not None:
            findings.attempt("checkpoint", lambda: Checkpoint(Note(note).text))
    else:
        validators = proof.genesis.validators
        findings.attempt("proof.json", proof.certificate.check, header.hash, validators)
        for key, what in ((header.proposer, "proposer"), (transaction.sender, "sender")):
            if key not in validators:
                findings.add("proof.json", f"has a {what} that is not a validator")
        if note is not None:
            checkpoint = findings.attempt("checkpoint", proof.open_checkpoint, note)
        for further, path in proof.also:
            findings.attempt("proof.json", lambda: proof.check_log(proof.open_checkpoint(further), path))
    if checkpoint is not None:
        findings.attempt("proof.json", proof.check_log, checkpoint, proof.log_path)
        if checkpoint.size != proof.log_size:
            findings.add("proof.json", "has another log size than the checkpoint")
    return checkpoint, check_transaction(proof, findings)


def check_transaction(proof, findings):
    header, transaction, receipt = proof.header, proof.transaction, proof.receipt

    def committed(domain, leaf, path, expected):
        root = root_of_path(leaf, proof.index, proof.size, path)
        need(sha256(domain, struct.pack(">Q", proof.size), root) == expected, "is not what the header commits to")
        return True

    message = b"lucid.transaction/v1\n" + header.chain_id + transaction.data[:-64]
    findings.attempt("proof.json", check_signature, transaction.sender, message, transaction.signature)
    arguments = (b"lucid.receipts/v1\n", receipt.data, proof.receipt_path, header.receipts)
    findings.attempt("proof.json, receipt", committed, *arguments)
    if (receipt.transaction, receipt.outcome) != (transaction.id, 1):
        findings.add("proof.json", "has a receipt that does not say that this transaction was anchored")
    arguments = (b"lucid.transactions/v1\n", transaction.data, proof.transaction_path, header.transactions)
    return findings.attempt("proof.json, transaction", committed, *arguments) or False


def check_manifest(text, transaction):
    need(sha256(text.encode()) == transaction.manifest, "is not the manifest that was anchored")
    note = Note(text)
    need(len(note.signatures) == 1, "has more than one signature")
    note.open([Key(note.signatures[0][0], transaction.sender)])
    return Manifest(note.text)


def check_anchor(manifest, transaction):
    for field in ("session", "root", "chunks", "bytes", "started", "ended"):
        need(getattr(manifest, field) == getattr(transaction, field), f"anchors a manifest that differs in `{field}`")


def next_leaf(leaves):
    """The next line's hash, None at the end."""
    line = leaves.readline(46)
    if not line:
        return None
    need(line.endswith(b"\n"), "has a malformed line")
    try:
        return hash_from_base64(line[:-1].decode())
    except UnicodeDecodeError as error:
        raise Wrong("has a malformed line") from error


def hash_chunk(directory, name):
    need(name in directory.names, "is missing")
    hasher = blake3(b"\x00")
    with directory.open(name) as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return hasher.digest()


def open_leaves(directory):
    need("leaves" in directory.names, "is missing")
    return directory.open("leaves")


class Lines:
    """The lines of `leaves`, read one by one."""

    def __init__(self, file, findings):
        self.file, self.findings, self.number = file, findings, 0

    def next(self):
        """A hash; b"" for a malformed line, None at the end. What is not a hash was noted."""
        if self.file is None:
            return None
        self.number += 1
        try:
            return next_leaf(self.file)
        except Wrong as error:
            self.findings.add(f"leaves, line {self.number}", error)
            return b""
        except OSError as error:
            self.findings.note(self.findings.unreadable, "leaves", error)
            self.file = None
            return None


def check_content(directory, expected, findings):
    """Steps 7 and 8. `expected` is the root and the number of chunks, or None if nothing readable says so."""
    leaves = Lines(findings.attempt("leaves", open_leaves, directory), findings)
    lines, chunks, differing, holes = GrowingTree(), GrowingTree(), [], False
    for index in range(min(expected[1], CHUNKS_MAX) if expected else CHUNKS_MAX):
        line = leaves.next()
        if line is None:
            if expected is None:
                break
            if leaves.file is not None:
                findings.add("leaves", f"ends after {index} lines")
                leaves.file = None
        chunk = findings.attempt(chunk_name(index), hash_chunk, directory, chunk_name(index))
        if line and chunk and line != chunk and len(differing) <= FINDINGS_MAX:
            differing.append(index)
        holes = holes or not (line or chunk)
        lines.append(line or chunk or bytes(32))
        chunks.append(chunk or line or bytes(32))
    if leaves.next() is not None:
        findings.add("leaves", "has too many lines")
    check_names(directory, expected, findings)
    blame(expected, lines.root(), chunks.root(), differing, holes, findings)


def check_names(directory, expected, findings):
    for name in sorted(directory.names - set(SMALL_FILES)):
        match = re.fullmatch(r"chunks/([0-9]{8,18})\.chunk", name, re.ASCII)
        is_chunk = match is not None and chunk_name(int(match[1])) == name
        if not (is_chunk and (expected is None or int(match[1]) < expected[1])):
            findings.add(name, "does not belong to the export")


def blame(expected, lines_root, chunks_root, differing, holes, findings):
    root = expected[0] if expected else None
    for index in differing:
        if lines_root != root and chunks_root == root:
            findings.add(f"leaves, line {index + 1}", "is not the hash of its chunk")
        else:
            findings.add(chunk_name(index), f"does not have the hash in line {index + 1} of leaves")
    if not differing and not holes and root is not None and lines_root != root:
        findings.add("leaves", "and the chunks are together not what was put on record")


# --- 9. What is trusted -----------------------------------------------------------------------------------------------


class TrustedKey:
    def __init__(self, key):
        self.key = key

    def vouches(self, proof, checkpoint):
        need(proof.transaction.sender == self.key.public, "was not recorded by the trusted key")
        need(proof.genesis.chain == self.key.name, "is of another chain than the trusted key")
        need(any((key.name, key.public) == (self.key.name, self.key.public) for key in checkpoint.signers),
             "has a checkpoint that the trusted key did not sign")
        return True


class TrustedCheckpoint:
    def __init__(self, checkpoint, consistency):
        self.checkpoint, self.consistency = checkpoint, consistency

    def vouches(self, proof, exported):
        mine = self.checkpoint
        need(mine.origin == exported.origin, "is of another chain than the trusted checkpoint")
        for other in [exported] + [proof.open_checkpoint(note) for note, _ in proof.also]:
            if other.size == mine.size:
                need(other.root == mine.root, "contradicts the trusted checkpoint: a fork")
                return True
        if mine.size <= proof.header.height or not self.consistency:
            return False
        old, new = sorted((mine, exported), key=lambda checkpoint: checkpoint.size)
        check_consistency(old.size, new.size, self.consistency, old.root, new.root)
        return True


def parse_trust(text):
    need(len(text.encode()) <= NOTE_BYTES_MAX, "is too large")
    if "\n" not in text.rstrip():
        return TrustedKey(Key.parse(text.rstrip()))
    key, consistency = None, []
    if text.startswith("key "):
        line, _, text = text.partition("\n")
        key = Key.parse(line[4:])
    while text.startswith("consistency ") and "\n" in text:
        line, _, text = text.partition("\n")
        consistency.append(hash_from_base64(line[12:]))
        need(len(consistency) <= 65, "has too many consistency lines")
    checkpoint = Checkpoint.open(text, [key])[0] if key else Checkpoint(Note(text).text)
    return TrustedCheckpoint(checkpoint, consistency)


def read_trust(path):
    with open(path, "rb") as file:
        data = file.read(NOTE_BYTES_MAX + 1)
    try:
        return parse_trust(data.decode())
    except UnicodeDecodeError as error:
        raise Wrong("is not UTF-8") from error


def verify(directory, trust, findings):
    """Everything of section 10; True if what is trusted vouches."""
    texts = {}
    for name in ("manifest", "proof.json", "checkpoint"):
        if name in directory.names:
            texts[name] = findings.attempt(name, directory.text, name)
        else:
            findings.add(name, "is missing")
    note, manifest = texts.get("checkpoint"), texts.get("manifest")
    proof, checkpoint, anchored = None, None, False
    if texts.get("proof.json") is not None:
        proof = findings.attempt("proof.json", Proof, texts["proof.json"])
    if proof is not None:
        checkpoint, anchored = check_chain(proof, note, findings)
    elif note is not None:
        findings.attempt("checkpoint", lambda: Checkpoint(Note(note).text))
    if manifest is not None and anchored:
        manifest = findings.attempt("manifest", check_manifest, manifest, proof.transaction)
        if manifest is not None:
            findings.attempt("proof.json, transaction", check_anchor, manifest, proof.transaction)
    elif manifest is not None:
        manifest = findings.attempt("manifest", lambda: Manifest(Note(manifest).text))
    source = proof.transaction if anchored else manifest
    check_content(directory, (source.root, source.chunks) if source else None, findings)
    if findings.any() or trust is None:
        return False
    return findings.attempt("the export", trust.vouches, proof, checkpoint)


def main():
    parser = argparse.ArgumentParser(description="Checks an exported recording (docs/formats.md).")
    parser.add_argument("directory")
    parser.add_argument("--trust", help="a file with the appliance's key or with a checkpoint from another source")
    arguments = parser.parse_args()
    findings = Findings()
    try:
        trust = read_trust(arguments.trust) if arguments.trust else None
        directory = Directory(arguments.directory)
        if not {"manifest", "proof.json"} & directory.names:
            raise OSError("neither `manifest` nor `proof.json`: not an export")
    except (OSError, Wrong) as error:
        print(f"unreadable: {error}")
        return UNREADABLE
    vouched = verify(directory, trust, findings)
    for finding in findings.wrong + findings.unreadable:
        print(finding)
    if findings.wrong:
        verdict, code = "wrong", WRONG
    elif findings.unreadable:
        verdict, code = "unreadable", UNREADABLE
    elif vouched:
        verdict, code = "proven", PROVEN
    else:
        verdict, code = "consistent, but nothing that is trusted vouches for it", UNTRUSTED
    print(verdict)
    return code


if __name__ == "__main__":
    sys.exit(main())

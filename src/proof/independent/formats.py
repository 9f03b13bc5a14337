"""Sections 1 to 7 of docs/formats.md: encodings, trees, notes, checkpoints, manifests and the chain.

Everything here either returns what it read or raises Wrong; nothing reads a file. Numbers in brackets are sections.
"""

import base64
import datetime
import hashlib
import re
import struct
import unicodedata

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NOTE_BYTES_MAX = 1_000_000
CHUNKS_MAX = 1_000_000
CHUNK_BYTES_MAX = 64 * 1024 * 1024
TIME_MAX_MS = 253_402_300_799_999
VALIDATORS_MAX = 100


class Wrong(Exception):
    """Something is not as specified or not what was put on record."""


def need(condition, problem):
    if not condition:
        raise Wrong(problem)


# --- 1. Conventions ---------------------------------------------------------------------------------------------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def from_base64(text):
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError as error:
        raise Wrong("is not base64") from error
    need(base64.b64encode(data).decode() == text, "is not canonical base64")
    return data


def hash_from_base64(text):
    data = from_base64(text)
    need(len(data) == 32, "is not a hash of 32 bytes")
    return data


def from_hex(text):
    need(isinstance(text, str) and re.fullmatch(r"([0-9a-f]{2})*", text), "is not lower case hex")
    return bytes.fromhex(text)


def decimal(text):
    need(re.fullmatch(r"0|[1-9][0-9]{0,19}", text, re.ASCII), "is not a decimal number")
    need(int(text) < 2**64, "is too large a number")
    return int(text)


def is_name(text):
    bad = any(c.isspace() or c == "+" or unicodedata.category(c) == "Cc" for c in text)
    return 1 <= len(text.encode()) <= 255 and not bad


def time_ms(text):
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{3})Z", text, re.ASCII)
    need(match, "is not a time of the form 2026-01-31T12:00:00.000Z")
    *fields, ms = map(int, match.groups())
    try:
        since = datetime.datetime(*fields) - datetime.datetime(1970, 1, 1)
    except ValueError as error:
        raise Wrong("is not a time that exists") from error
    need(since.days >= 0, "is before 1970")
    return (since.days * 86400 + since.seconds) * 1000 + ms


ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_ORDER = {
    bytes.fromhex("00" * 32),
    bytes.fromhex("01" + "00" * 31),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("ec" + "ff" * 30 + "7f"),
    bytes.fromhex("ed" + "ff" * 30 + "7f"),
    bytes.fromhex("ee" + "ff" * 30 + "7f"),
}


def check_signature(key, message, signature):
    need(len(key) == 32 and len(signature) == 64, "has a signature or key of the wrong length")
    need(int.from_bytes(signature[32:], "little") < ORDER, "has a malleable signature")
    for point in (key, signature[:32]):
        need(point[:31] + bytes([point[31] & 0x7F]) not in SMALL_ORDER, "has a point of small order")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Wrong("has a signature that does not fit") from error


# --- 2. Merkle trees --------------------------------------------------------------------------------------------------


def sha256_node(left, right):
    return sha256(b"\x01", left, right)


def blake3_node(left, right):
    return blake3(b"\x01" + left + right).digest()


def climb(n, m):
    """One level up for a node without a right sibling, until it is a right child."""
    while n % 2 == 0 and n != 0:
        n, m = n >> 1, m >> 1
    return n, m


def root_of_path(leaf, index, size, path):
    need(index < size, "has an index outside its tree")
    n, m, root = index, size - 1, sha256(b"\x00", leaf)
    for sibling in path:
        need(m != 0, "has a path that is too long")
        if n % 2 == 1 or n == m:
            root = sha256_node(sibling, root)
            n, m = climb(n, m)
        else:
            root = sha256_node(root, sibling)
        n, m = n >> 1, m >> 1
    need(m == 0, "has a path that is too short")
    return root


def check_consistency(old, new, path, old_root, new_root):
    need(old <= new, "has sizes in the wrong order")
    if old in (0, new):
        need(not path, "has a path where none is needed")
        need(old == 0 or old_root == new_root, "has different roots for one size: a fork")
        need(old != 0 or old_root == sha256(), "has a root for no headers")
        return
    n, m, path = old - 1, new - 1, list(path)
    while n % 2 == 1:
        n, m = n >> 1, m >> 1
    if old & (old - 1) == 0:
        a = b = old_root
    else:
        need(path, "has a path that is too short")
        a = b = path.pop(0)
    for sibling in path:
        need(m != 0, "has a path that is too long")
        if n % 2 == 1 or n == m:
            a, b = sha256_node(sibling, a), sha256_node(sibling, b)
            n, m = climb(n, m)
        else:
            b = sha256_node(b, sibling)
        n, m = n >> 1, m >> 1
    need(m == 0, "has a path that is too short")
    need((a, b) == (old_root, new_root), "is not consistent: a fork")


class GrowingTree:
    """The BLAKE3 tree over chunks, remembered by its complete subtrees only."""

    def __init__(self):
        self.subtrees = []  # (height, hash), the largest first

    def append(self, leaf):
        self.subtrees.append((0, leaf))
        while len(self.subtrees) > 1 and self.subtrees[-2][0] == self.subtrees[-1][0]:
            height, right = self.subtrees.pop()
            _, left = self.subtrees.pop()
            self.subtrees.append((height + 1, blake3_node(left, right)))

    def root(self):
        if not self.subtrees:
            return blake3(b"").digest()
        root = self.subtrees[-1][1]
        for _, left in reversed(self.subtrees[:-1]):
            root = blake3_node(left, root)
        return root


# --- 3. Signed notes --------------------------------------------------------------------------------------------------


class Key:
    def __init__(self, name, public):
        need(is_name(name), "has an invalid key name")
        need(len(public) == 32, "is not an Ed25519 key")
        self.name, self.public = name, public
        self.id = sha256(name.encode(), b"\n\x01", public)[:4]

    @classmethod
    def parse(cls, text):
        parts = text.split("+", 2)
        need(len(parts) == 3, "is not of the form NAME+KEYID+BASE64")
        data = from_base64(parts[2])
        need(data[:1] == b"\x01", "is not an Ed25519 key")
        key = cls(parts[0], data[1:])
        need(key.id.hex() == parts[1], "has a key id that does not fit")
        return key


class Note:
    """A note taken apart; `signatures` are (name, key id, signature)."""

    def __init__(self, note):
        need(len(note.encode()) <= NOTE_BYTES_MAX, "is too large")
        split = note.rfind("\n\n")
        need(split >= 0, "has no signatures")
        self.text, lines = note[: split + 1], note[split + 2 :]
        need(not re.search(r"[\x00-\x09\x0b-\x1f]", self.text), "has control characters")
        need(lines.endswith("\n"), "does not end with a newline")
        self.signatures = [self.line(line) for line in lines[:-1].split("\n")]
        need(len(self.signatures) <= 128, "has too many signatures")
        need(len({entry[:2] for entry in self.signatures}) == len(self.signatures), "has a signature twice")

    @staticmethod
    def line(line):
        match = re.fullmatch("\u2014 ([^ ]*) ([^ ]*)", line)
        need(match and is_name(match[1]), "has a malformed signature line")
        data = from_base64(match[2])
        need(len(data) > 4, "has a signature that is too short")
        return match[1], data[:4], data[4:]

    def open(self, keys):
        """The keys that signed, and how many signatures are by others."""
        signers, unknown = [], 0
        for name, key_id, signature in self.signatures:
            key = next((key for key in keys if (key.name, key.id) == (name, key_id)), None)
            if key is None:
                unknown += 1
            else:
                check_signature(key.public, self.text.encode(), signature)
                signers.append(key)
        need(signers, "is not signed by a known key")
        return signers, unknown


# --- 4. Checkpoints ---------------------------------------------------------------------------------------------------


class Checkpoint:
    def __init__(self, text):
        lines = text[:-1].split("\n")
        need(len(lines) >= 3 and all(lines), "is not a checkpoint")
        need(is_name(lines[0]), "has an invalid origin")
        self.origin, self.size, self.root = lines[0], decimal(lines[1]), hash_from_base64(lines[2])
        self.signers = []

    @classmethod
    def open(cls, note, keys):
        note = Note(note)
        signers, unknown = note.open(keys)
        checkpoint = cls(note.text)
        need(any(key.name == checkpoint.origin for key in signers), "is not signed under its origin")
        checkpoint.signers = signers
        return checkpoint, unknown


# --- 6. Manifest ------------------------------------------------------------------------------------------------------


class Manifest:
    KEYS = "id started ended time-trust bytes chunks root tree compression cipher".split()

    def __init__(self, text):
        lines = text[:-1].split("\n")
        need(lines[0] == "lucid.session/v1", "is not of the format lucid.session/v1")
        pairs = [line.partition(" ")[::2] for line in lines[1:]]
        need([key for key, _ in pairs] == self.KEYS, "does not have its lines in their order")
        value = dict(pairs)
        hexes = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        need(re.fullmatch(hexes, value["id"]), "has a malformed id")
        need(value["time-trust"] in ("unsynchronized", "held", "synchronized"), "has an unknown time trust")
        methods = (value["tree"], value["compression"], value["cipher"])
        need(methods == ("blake3-rfc6962", "zstd", "xchacha20poly1305"), "names unknown methods")
        self.session = bytes.fromhex(value["id"].replace("-", ""))
        self.started, self.ended = time_ms(value["started"]), time_ms(value["ended"])
        self.bytes, self.chunks = decimal(value["bytes"]), decimal(value["chunks"])
        self.root = hash_from_base64(value["root"])
        need(self.started <= self.ended, "ends before it starts")
        need(self.chunks <= CHUNKS_MAX, "has too many chunks")
        need(self.bytes <= self.chunks * CHUNK_BYTES_MAX, "has more bytes than its chunks can hold")


# --- 7. Chain ---------------------------------------------------------------------------------------------------------


class Reader:
    """Takes fields from the front of bytes."""

    def __init__(self, data):
        self.data = data

    def take(self, length):
        need(len(self.data) >= length, "ends early")
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(">" + form)))[0]

    def version(self):
        need(self.number("B") == 1, "has an unknown version")

    def time(self):
        time = self.number("Q")
        need(time <= TIME_MAX_MS, "has a time after the year 9999")
        return time

    def trusted_time(self):
        time = self.time()
        need(self.number("B") <= 2, "has an unknown time trust")
        return time

    def count(self, maximum):
        count = self.number("H")
        need(count <= maximum, "has too many elements")
        return count

    def end(self):
        need(not self.data, "has bytes left over")


def ascending(keys):
    return all(left < right for left, right in zip(keys, keys[1:]))


class Genesis:
    def __init__(self, data):
        reader = Reader(data)
        reader.version()
        try:
            self.chain = reader.take(reader.count(255)).decode()
        except UnicodeDecodeError as error:
            raise Wrong("has a name that is not UTF-8") from error
        reader.trusted_time()
        self.validators = [reader.take(32) for _ in range(reader.count(VALIDATORS_MAX))]
        reader.end()
        need(is_name(self.chain), "has an invalid name")
        need(self.validators and ascending(self.validators), "has validators out of order")
        self.chain_id = sha256(b"lucid.genesis/v1\n", data)
        number = struct.pack(">H", len(self.validators))
        self.validators_hash = sha256(b"lucid.validators/v1\n", number, *self.validators)


class Transaction:
    def __init__(self, data):
        reader = Reader(data)
        reader.version()
        need(reader.number("B") == 1, "is of an unknown kind")
        self.session, self.root, self.manifest = reader.take(16), reader.take(32), reader.take(32)
        self.chunks, self.bytes = reader.number("Q"), reader.number("Q")
        self.started, self.ended = reader.time(), reader.time()
        self.sender, self.signature = reader.take(32), reader.take(64)
        reader.end()
        self.data, self.id = data, sha256(data)


class Receipt:
    def __init__(self, data):
        reader = Reader(data)
        reader.version()
        self.transaction, self.outcome = reader.take(32), reader.number("B")
        reader.end()
        need(1 <= self.outcome <= 3, "has an unknown outcome")
        self.data = data


class Header:
    def __init__(self, data):
        reader = Reader(data)
        reader.version()
        self.chain_id, self.height, self.parent = reader.take(32), reader.number("Q"), reader.take(32)
        self.time = reader.trusted_time()
        self.transactions, self.receipts, self.state = reader.take(32), reader.take(32), reader.take(32)
        self.validators, self.proposer = reader.take(32), reader.take(32)
        reader.end()
        self.data, self.hash = data, sha256(b"lucid.header/v1\n", data)


class Certificate:
    def __init__(self, data):
        reader = Reader(data)
        reader.version()
        self.signatures = [(reader.take(32), reader.take(64)) for _ in range(reader.count(VALIDATORS_MAX))]
        reader.end()

    def check(self, header_hash, validators):
        need(ascending([key for key, _ in self.signatures]), "has signatures out of order")
        for key, signature in self.signatures:
            need(key in validators, "has a signature by a key that is not a validator")
            check_signature(key, b"lucid.certificate/v1\n" + header_hash, signature)
        need(len(self.signatures) >= 2 * len(validators) // 3 + 1, "has too few signatures")

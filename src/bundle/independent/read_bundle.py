#!/usr/bin/env python3
"""Checks update bundles and channel files, as docs/updates-format.md specifies them and with nothing else.

Usage: read_bundle.py --root FILE --now SECONDS FILE…

Each file is looked at by a fresh appliance of that image, at that time. Prints one line for each, `ok` or `refused`, and
why. Exit codes: 0 all are good, 1 not all, 2 called wrongly or unreadable.
"""

import argparse
import json
import re
import struct
import sys

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PIECE = 4 * 1024 * 1024
LENGTHS = {"root": 4096, "keys": 16384, "manifest": 262144, "channel": 10240}
# Points of small order: y, whatever the sign of x.
SMALL_ORDER = {
    bytes.fromhex(digits) for digits in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
}


COMPATIBLE = "lucid-pi5"


class Refused(Exception):
    """The file is not to be believed."""


def need(holds, why):
    if not holds:
        raise Refused(why)


# --- 2. Signed documents ----------------------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(self.at + length <= len(self.data), "ends early")
        self.at += length
        return self.data[self.at - length:self.at]

    def u8(self, low, high):
        value = self.take(1)[0]
        need(low <= value <= high, "has a count out of bounds")
        return value

    def u32(self, low, high):
        (value,) = struct.unpack("<I", self.take(4))
        need(low <= value <= high, "has a length out of bounds")
        return value

    def document(self, kind):
        data = self.take(self.u32(1, LENGTHS[kind]))
        signatures = [(self.take(32), self.take(64)) for _ in range(self.u8(1, 16))]
        need(len({key for key, _ in signatures}) == len(signatures), "has two signatures of one key")
        return Signed(kind, data, signatures)

    def authority(self):
        roots = [self.document("root") for _ in range(self.u8(0, 8))]
        return roots, self.document("keys")

    def finish(self):
        need(self.at == len(self.data), "is followed by bytes that do not belong to it")


def is_small(point):
    return point[:31] + bytes([point[31] & 0x7F]) in SMALL_ORDER


class Signed:
    def __init__(self, kind, data, signatures):
        self.kind, self.data, self.signatures = kind, data, signatures

    def signers(self):
        message = b"lucid-update-1\0" + self.kind.encode() + b"\0" + self.data
        for key, signature in self.signatures:
            need(not is_small(key) and not is_small(signature[:32]), "has a signature with a weak point")
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
            except (InvalidSignature, ValueError) as error:
                raise Refused(f"has a bad signature of its {self.kind}") from error
        return {key for key, _ in self.signatures}


# --- 3. JSON in one form ----------------------------------------------------------------------------------------------


def parse(signed):
    """The members after the type, if the bytes are in their one form."""
    try:
        text = signed.data.decode()
        value = json.loads(text)
        again = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise Refused(f"has a {signed.kind} that is not JSON") from error
    need(isinstance(value, dict) and again == text, f"has a {signed.kind} that is not in its one form")
    need(next(iter(value.items()), None) == ("type", signed.kind), "has a document of another kind")
    del value["type"]
    return value


def members(value, names):
    need(isinstance(value, dict) and " ".join(value) == names, f"has not exactly the members {names}")
    return value.values()


def number(value, low=0, high=2**64 - 1):
    need(type(value) is int and low <= value <= high, "has a number out of bounds")
    return value


def listing(value, most):
    need(isinstance(value, list) and len(value) <= most, "has a list that is none, or too long")
    return value


def text(value, pattern):
    need(isinstance(value, str) and re.fullmatch(pattern, value) is not None, "has a text of the wrong form")
    return value


def word(value):
    return text(value, r"[A-Za-z0-9.+\-_~]{1,128}")


def name(value):
    return text(value, r"[ -~]{1,128}")


def prose(value, most=LENGTHS["channel"]):
    text(value, r"[^\x00-\x09\x0b-\x1f\x7f-\x9f]*")
    need(len(value.encode()) <= most, "has notes that are too long")


def hexadecimal(value):
    return bytes.fromhex(text(value, r"[0-9a-f]{64}"))


def keys_of(values):
    need(len(set(values)) == len(values), "has a key twice")
    return values


def public(value):
    key = hexadecimal(value)
    try:
        Ed25519PublicKey.from_public_bytes(key)
    except ValueError as error:
        raise Refused("has a key that is none") from error
    need(is_point(key) and not is_small(key), "has a key that is none")
    return key


def is_point(key):
    """Whether some x goes with this y (RFC 8032, section 5.1.3)."""
    p = 2**255 - 19
    y2 = pow(int.from_bytes(key, "little") % 2**255, 2, p)
    d = -121665 * pow(121666, p - 2, p) % p
    x2 = (y2 - 1) * pow(d * y2 + 1, p - 2, p) % p
    return x2 == 0 or pow(x2, (p - 1) // 2, p) == 1


class RootSet:
    def __init__(self, signed):
        version, purpose, threshold, keys = members(parse(signed), "version purpose threshold keys")
        self.version, self.purpose = number(version, 1), text(purpose, "release|test")
        self.keys = keys_of([public(key) for key in listing(keys, 16)])
        self.threshold = number(threshold, 2, min(255, len(self.keys)))

    def agrees(self, signers):
        return len(signers & set(self.keys)) >= self.threshold


class KeyList:
    def __init__(self, signed):
        version, root_version, keys, revoked = members(parse(signed), "version root_version keys revoked")
        self.order = (number(root_version, 1), number(version, 1))
        self.keys, self.revoked = {}, keys_of([hexadecimal(key) for key in listing(revoked, 64)])
        for entry in listing(keys, 16):
            key, label, not_after, uses = members(entry, "key name not_after uses")
            name(label)
            need(uses in (["bundle"], ["channel"], ["bundle", "channel"]), "has a key of no use")
            need(public(key) not in self.keys, "has a key twice")
            self.keys[public(key)] = (number(not_after), uses)


class Manifest:
    def __init__(self, signed):
        fields = members(parse(signed), "version compatible build_id epoch eeprom_min data created notes inputs payloads")
        self.version, compatible, build_id, epoch, eeprom_min, data, created, notes, inputs, payloads = fields
        word(self.version), word(compatible), hexadecimal(build_id), number(epoch), number(eeprom_min), number(created)
        generation, reads_from = members(data, "generation reads_from")
        number(reads_from, 0, number(generation, 0, 2**32 - 1))
        prose(notes, 16384)
        need(isinstance(inputs, dict) and len(inputs) <= 64, "has inputs that are no object, or too many")
        need(list(inputs) == sorted(inputs), "has inputs out of order")
        for key, value in inputs.items():
            name(key), name(value)
        self.payloads = [self.payload(value, kind) for value, kind in zip(listing(payloads, 2), ("root", "boot"))]
        need(len(self.payloads) == 2, "has not two payloads")
        need(sum(len(pieces) for _, _, pieces in self.payloads) <= 1024, "has too many pieces")

    @staticmethod
    def payload(value, wanted):
        kind, length, whole, pieces, index = members(value, "kind bytes blake3 pieces index")
        need(kind == wanted and index is None, "has a payload of another kind, or an index")
        left = number(length, 1)
        found = []
        for piece in listing(pieces, 1024):
            compressed, plain, digest = members(piece, "compressed bytes blake3")
            need(number(plain) == min(left, PIECE) and plain > 0, "has a piece of the wrong length")
            left -= plain
            found.append((number(compressed, 1, PIECE + 65536), plain, hexadecimal(digest)))
        need(left == 0, "has too few pieces")
        return kind, hexadecimal(whole), found


class Channel:
    def __init__(self, signed):
        self.sequence, issued, self.expires, self.compatible, releases = members(
            parse(signed), "sequence issued expires compatible releases")
        number(self.sequence), number(issued, 0, number(self.expires)), word(self.compatible)
        for release in listing(releases, 16):
            fields = members(release, "version build_id epoch url bytes bundle percent hold notes")
            version, build_id, epoch, url, length, bundle, percent, hold, notes = fields
            word(version), hexadecimal(build_id), number(epoch), number(length), hexadecimal(bundle)
            text(url, r"https?://[!-~]+")
            need(len(url) <= 1024 and type(hold) is bool, "has a release that is malformed")
            number(percent, 0, 100), prose(notes)


# --- 5. What an appliance believes ------------------------------------------------------------------------------------


class Appliance:
    def __init__(self, image, now):
        reader = Reader(image)
        self.signed, self.now = reader.document("root"), now
        reader.finish()
        signers = self.signed.signers()
        self.root = RootSet(self.signed)
        need(self.root.agrees(signers), "is not signed by its own threshold")

    def take(self, roots, keys):
        signed, root = self.signed, self.root
        for one in roots:
            one.signers()
        known = [at for at, one in enumerate(roots) if one.data == signed.data]
        for one in roots[known[0] + 1:] if known else roots:
            root = self.follow(root, one)
        signers = keys.signers()
        need(signers <= set(root.keys), "has a key list that is signed by a stranger")
        need(root.agrees(signers), "has a key list with too few signatures")
        listed = KeyList(keys)
        need(listed.order[0] == root.version, "has a key list of another root set")
        need(not set(root.keys) & set(listed.keys), "lists a root key")
        return listed

    @staticmethod
    def follow(root, one):
        signers = one.signers()
        need(root.agrees(signers), "has a root set without the old threshold")
        following = RootSet(one)
        need(following.agrees(signers), "has a root set without its own threshold")
        need(signers <= set(root.keys) | set(following.keys), "has a root set that is signed by a stranger")
        need(following.version == root.version + 1, "has a root set that does not follow")
        need(following.purpose == root.purpose, "has a root set for another purpose")
        return following

    def signed_for(self, use, signed, listed):
        signers = signed.signers()
        need(len(signed.signatures) == 1, "is not signed by exactly one key")
        (key,) = signers
        need(key not in listed.revoked, "is signed by a revoked key")
        need(key in listed.keys, "is signed by an unknown key")
        not_after, uses = listed.keys[key]
        need(use in uses, "is signed by a key for another use")
        need(self.now <= not_after, "is signed by a key that is over")

    def bundle(self, data):
        reader = Reader(data)
        need(reader.take(8) == b"LUCIDUP1", "is no bundle")
        end = reader.u32(1, 1048576) + reader.at
        header = Reader(data[:end])
        need(len(data) >= end, "ends early")
        header.at = reader.at
        roots, keys = header.authority()
        signed = header.document("manifest")
        header.finish()
        self.signed_for("bundle", signed, self.take(roots, keys))
        manifest = Manifest(signed)
        rest = Reader(data)
        rest.at = end
        for kind, whole, pieces in manifest.payloads:
            unpack(rest, kind, whole, pieces)
        rest.finish()
        return f"{manifest.version} {blake3(data[:end]).hexdigest()}"

    def channel(self, data):
        need(len(data) <= LENGTHS["channel"], "is too long")
        reader = Reader(data)
        reader.take(8)
        roots, keys = reader.authority()
        signed = reader.document("channel")
        reader.finish()
        self.signed_for("channel", signed, self.take(roots, keys))
        channel = Channel(signed)
        need(channel.compatible == COMPATIBLE, "is for other hardware")
        need(self.now <= channel.expires, "is over")
        return f"{channel.sequence}"

    def look(self, data):
        return self.channel(data) if data[:8] == b"LUCIDCH1" else self.bundle(data)


def unpack(reader, kind, whole, pieces):
    content = blake3()
    for compressed, plain, digest in pieces:
        frame = reader.take(compressed)
        need(blake3(frame).digest() == digest, f"has a damaged piece of {kind}")
        try:
            parameters = zstandard.get_frame_parameters(frame)
            need(parameters.content_size == plain, "has a piece that declares another length")
            opener = zstandard.ZstdDecompressor().decompressobj()
            piece = opener.decompress(frame)
        except zstandard.ZstdError as error:
            raise Refused(f"has a piece of {kind} that is no frame") from error
        need(opener.eof and not opener.unused_data, "has a piece that is not one frame")
        need(len(piece) == plain, "has a piece of another length")
        content.update(piece)
    need(content.digest() == whole, f"has another {kind} than its manifest says")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--now", type=int, required=True)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    verdict = 0
    try:
        with open(arguments.root, "rb") as file:
            image = file.read()
        for path in arguments.files:
            with open(path, "rb") as file:
                data = file.read()
            try:
                print("ok", path, Appliance(image, arguments.now).look(data))
            except Refused as refused:
                verdict = 1
                print("refused", path, refused)
    except OSError as error:
        print(f"{error}; give paths of files that can be read", file=sys.stderr)
        verdict = 2
    return verdict


if __name__ == "__main__":
    sys.exit(main())

"""flash.sh: what it refuses on a made-up sysfs, and what it writes to real loop devices (which need root)."""

import os
import pathlib
import pty
import subprocess
import tempfile
import threading
import tomllib
import unittest

PROJECT = pathlib.Path(__file__).parents[2]
FLASH = PROJECT / "flash.sh"
# What the image holds at first; flash.sh finds it by its first line.
TEMPLATE = (PROJECT / "src/layout/provisioning/template.toml").read_bytes()
PROVISION_BYTES = 32768
MIB = 1 << 20
SECTOR = 512


def run(*arguments, env=None, stdin=subprocess.DEVNULL, **more):
    return subprocess.run([str(FLASH), *map(str, arguments)], env={**os.environ, **(env or {})}, capture_output=True, text=True,
                          stdin=stdin, timeout=120, **more)


class FakeSystem:
    """A sysfs with disks, a mount table and a swap table, in a folder."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.sys = self.root / "sys"
        for folder in ("block", "class/block", "dev/block"):
            (self.sys / folder).mkdir(parents=True)
        (self.root / "mountinfo").write_text("")
        (self.root / "swaps").write_text("Filename Type Size Used Priority\n")
        (self.root / "image.img").write_bytes(bytes(4 * MIB))
        self.minor = 0

    def _node(self, path, name, number, sectors):
        path.mkdir(parents=True)
        (path / "dev").write_text(number + "\n")
        (path / "size").write_text(f"{sectors}\n")
        for place in (f"class/block/{name}", f"dev/block/{number}"):
            (self.sys / place).symlink_to(path)

    def disk(self, name, path="pci/usb1/1-1", size=64 * MIB, model="Stick", serial="S1", read_only=False):
        device = self.sys / "devices" / path / "host" / "target"
        node = device / "block" / name
        number = f"8:{self.minor}"
        self.minor += 16
        self._node(node, name, number, size // SECTOR)
        (node / "ro").write_text("1\n" if read_only else "0\n")
        (node / "device").symlink_to(device)
        (device / "model").write_text(model + "\n")
        if serial:
            (self.sys / "devices" / path / "serial").write_text(serial + "\n")
        (self.sys / "block" / name).symlink_to(node)
        return number

    def partition(self, disk, number, label="", start=2048):
        parent = (self.sys / "block" / disk).resolve()
        major, minor = (parent / "dev").read_text().strip().split(":")
        name = f"{disk}{number}"
        node = parent / name
        self._node(node, name, f"{major}:{int(minor) + number}", 2048)
        (node / "partition").write_text(f"{number}\n")
        (node / "start").write_text(f"{start}\n")
        (node / "uevent").write_text(f"DEVNAME={name}\nPARTNAME={label}\n")
        return f"{major}:{int(minor) + number}"

    def mapped(self, name, number, below):
        node = self.sys / "devices/virtual/block" / name
        self._node(node, name, number, 2048)
        (node / "slaves").mkdir()
        for part in below:
            (node / "slaves" / part).symlink_to((self.sys / "class/block" / part).resolve())
            holders = (self.sys / "class/block" / part).resolve() / "holders"
            holders.mkdir(exist_ok=True)
            (holders / name).symlink_to(node)

    def mount(self, number, where, source="/dev/x"):
        with (self.root / "mountinfo").open("a") as table:
            table.write(f"30 1 {number} / {where} rw,relatime shared:1 - ext4 {source} rw\n")

    def swap(self, source):
        with (self.root / "swaps").open("a") as table:
            table.write(f"{source} partition 1000 0 -2\n")

    def flash(self, *arguments, **more):
        env = {"LUCID_SYSFS": str(self.sys), "LUCID_MOUNTINFO": str(self.root / "mountinfo"), "LUCID_SWAPS": str(self.root / "swaps")}
        return run(*arguments, env=env, **more)

    def refusal(self, disk, *more):
        done = self.flash("--disk", disk, *more, self.root / "image.img")
        assert done.returncode == 1, done
        return done.stderr


class Refusals(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.system = FakeSystem(place.name)

    def test_the_disk_of_this_system_behind_a_partition(self):
        self.system.disk("sda")
        self.system.mount(self.system.partition("sda", 2), "/")
        self.assertIn("this system runs from it", self.system.refusal("/dev/sda", "--serial", "S1"))

    def test_the_disk_of_this_system_behind_two_layers_of_device_mapper(self):
        self.system.disk("sda")
        self.system.partition("sda", 3)
        self.system.mapped("dm-0", "253:0", ["sda3"])
        self.system.mapped("dm-1", "253:1", ["dm-0"])
        self.system.mount("253:1", "/")
        self.assertIn("this system runs from it", self.system.refusal("/dev/sda", "--serial", "S1"))

    def test_every_disk_of_a_raid_with_the_system_on_it(self):
        self.system.disk("sda", path="a")
        self.system.disk("sdb", path="b")
        self.system.partition("sda", 1)
        self.system.partition("sdb", 1)
        self.system.mapped("md0", "9:0", ["sda1", "sdb1"])
        self.system.mount("9:0", "/")
        for disk in ("/dev/sda", "/dev/sdb"):
            self.assertIn("this system runs from it", self.system.refusal(disk, "--serial", "S1"))

    def test_a_file_system_without_a_device_number_is_known_by_its_source(self):
        self.system.disk("sda")
        self.system.partition("sda", 2)
        self.system.mount("0:31", "/", source="/dev/sda2")
        self.assertIn("this system runs from it", self.system.refusal("/dev/sda", "--serial", "S1"))

    def test_a_mounted_disk_says_where(self):
        self.system.disk("sdb")
        self.system.mount(self.system.partition("sdb", 1), "/media/photos")
        self.assertIn("in use (at /media/photos)", self.system.refusal("/dev/sdb", "--serial", "S1"))

    def test_swap(self):
        self.system.disk("sdb")
        self.system.partition("sdb", 1)
        self.system.swap("/dev/sdb1")
        self.assertIn("in use (at swap)", self.system.refusal("/dev/sdb", "--serial", "S1"))

    def test_a_holder_that_is_not_mounted(self):
        self.system.disk("sdb")
        self.system.partition("sdb", 1)
        self.system.mapped("dm-3", "253:3", ["sdb1"])
        self.assertIn("dm-3 uses it", self.system.refusal("/dev/sdb", "--serial", "S1"))

    def test_a_partition_a_mapped_disk_and_no_disk_at_all(self):
        self.system.disk("sdb")
        self.system.partition("sdb", 1)
        self.system.mapped("dm-3", "253:3", [])
        self.assertIn("is a partition: give the whole disk, /dev/sdb", self.system.refusal("/dev/sdb1"))
        self.assertIn("not a disk", self.system.refusal("/dev/dm-3"))
        self.assertIn("not a disk", self.system.refusal("/dev/nothing"))

    def test_write_protected_and_too_small(self):
        self.system.disk("sdb", path="b", read_only=True)
        self.system.disk("sdc", path="c", size=2 * MIB)
        self.assertIn("write-protected", self.system.refusal("/dev/sdb", "--serial", "S1"))
        self.assertIn("too small: 2.1MB for 4.2MB", self.system.refusal("/dev/sdc", "--serial", "S1"))

    def test_nothing_goes_without_the_right_serial(self):
        self.system.disk("sdb", serial="REAL-7")
        self.assertIn("give --serial REAL-7", self.system.refusal("/dev/sdb"))
        self.assertIn("is REAL-7, not WRONG", self.system.refusal("/dev/sdb", "--serial", "WRONG"))

    def test_recordings_are_given_up_only_where_that_is_asked_for(self):
        image_end = 4 * MIB // SECTOR
        for disk, start in (("sdb", image_end), ("sdc", image_end + 2048), ("sdd", image_end - 2048)):
            self.system.disk(disk, path=f"pci/usb1/{disk}", serial=disk)
            self.system.partition(disk, 2, label="boot-a")
            self.system.partition(disk, 7, label="data", start=start)
        self.assertIn("a Lucid system and its recordings (1.1MB)", self.system.flash("--list").stdout)
        # What comes next is the question for the serial number, which these do not answer.
        self.assertIn("give --serial sdb", self.system.refusal("/dev/sdb"))
        for disk in ("sdc", "sdd"):
            refused = self.system.refusal(f"/dev/{disk}", "--serial", disk)
            self.assertRegex(refused, f"^flash: /dev/{disk} holds recordings.* back them up \\(`lucid backup`\\) and give --discard-recordings")
            self.assertIn(f"give --serial {disk}", self.system.refusal(f"/dev/{disk}", "--discard-recordings"))

    def test_a_person_is_told_what_of_the_disk_is_lost(self):
        for disk, start, told in (("sdb", 4 * MIB // SECTOR, "but not the recordings"), ("sdc", 2048, "ALL OF IT WILL BE LOST")):
            self.system.disk(disk, path=disk)
            self.system.partition(disk, 2, label="boot-a")
            self.system.partition(disk, 7, label="data", start=start)
            leader, follower = pty.openpty()
            os.write(leader, b"no\n")
            done = self.system.flash("--disk", f"/dev/{disk}", "--discard-recordings", self.system.root / "image.img", stdin=follower)
            os.close(leader)
            os.close(follower)
            self.assertEqual(done.returncode, 1)
            self.assertIn(told, done.stderr)
            self.assertIn("not its serial number; nothing was written", done.stderr)

    def test_a_partition_of_that_name_on_a_disk_of_somebody_else_holds_no_recordings(self):
        self.system.disk("sdb")
        self.system.partition("sdb", 1, label="data")
        self.assertIn("give --serial S1", self.system.refusal("/dev/sdb"))

    def test_a_script_without_a_disk_and_bad_options(self):
        self.assertIn("no disk given", self.system.flash(self.system.root / "image.img").stderr)
        for bad in (["--hostname", "Bad_Name"], ["--address", "192.168.1.1"], ["--gateway", "1.2.3.4"], ["--ssd", "all"],
                    ["--timezone", '"x'], ["--ssd-serial", 'a"b'], ["--nonsense"], ["--disk"]):
            with self.subTest(bad=bad):
                done = self.system.flash(*bad)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, "^flash: .*: |^flash: .* (go with|needs a value|option)")

    def test_the_list_tells_disks_apart_and_says_why_not(self):
        self.system.disk("sda", path="pci/ata1", model="System disk", serial="")
        self.system.mount(self.system.partition("sda", 1), "/")
        self.system.disk("sdb", model="Card reader", serial="USB-SERIAL")
        self.system.partition("sdb", 2, label="boot-a")
        lines = self.system.flash("--list").stdout.splitlines()
        system, stick = (next(line for line in lines if line.startswith(f"/dev/{disk}")) for disk in ("sda", "sdb"))
        self.assertRegex(system, r"SATA .*System disk.*no: this system runs from it")
        self.assertRegex(stick, r"USB .*68MB.*Card reader +USB-SERIAL +a Lucid system$")


class Writing(unittest.TestCase):
    """On loop devices. Their serial is the backing file's name."""

    @classmethod
    def setUpClass(cls):
        assert os.geteuid() == 0, "these tests make loop devices: run them as root"

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)
        head = os.urandom(3 * MIB)
        self.at = len(head)
        self.image_bytes = head + TEMPLATE + b"\n" * (PROVISION_BYTES - len(TEMPLATE)) + os.urandom(6 * MIB + 4096)
        self.image = self.place / "lucid.img"
        self.image.write_bytes(self.image_bytes)

    def disk(self, size=16 * MIB):
        backing = self.place / f"disk-{len(list(self.place.iterdir()))}"
        backing.write_bytes(os.urandom(size))
        loop = subprocess.run(["losetup", "-f", "--show", backing], check=True, capture_output=True, text=True).stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "-d", loop], check=True)
        return backing, loop

    def without_provisioning(self, data):
        return data[: self.at] + data[self.at + PROVISION_BYTES:]

    def test_an_image_is_written_whole_and_nothing_beyond(self):
        backing, loop = self.disk()
        before = backing.read_bytes()
        done = run("--disk", loop, "--serial", backing.name, "--no-provision", self.image)
        self.assertEqual(done.returncode, 0, done.stderr)
        after = backing.read_bytes()
        self.assertEqual(after[: len(self.image_bytes)], self.image_bytes)
        self.assertEqual(after[len(self.image_bytes):], before[len(self.image_bytes):])

    def test_a_compressed_image_by_a_link_with_everything_provisioned(self):
        backing, loop = self.disk()
        packed = self.packed()
        digest = subprocess.run(["sha256sum", packed.name], cwd=self.place, check=True, capture_output=True, text=True).stdout
        (self.place / "lucid.sha256").write_text("0" * 64 + "  other.img\n" + digest)
        link = self.place / "by-id-usb-disk"
        link.symlink_to(loop)
        done = run("--disk", link, "--serial", backing.name, "--hostname", "lucid-7", "--timezone", "Europe/Berlin", "--address",
                   "192.168.1.20/24", "--gateway", "192.168.1.1", "--dns", "192.168.1.1,9.9.9.9", "--ssd", "empty", "--ssd-serial", "NV 1", packed)
        self.assertEqual(done.returncode, 0, done.stderr)
        data = backing.read_bytes()[: len(self.image_bytes)]
        self.assertEqual(self.without_provisioning(data), self.without_provisioning(self.image_bytes))
        given = tomllib.loads(data[self.at: self.at + PROVISION_BYTES].decode())
        code = given["claim"]["code"]
        self.assertRegex(code, "^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$")
        self.assertEqual(given["network"], {"address": "192.168.1.20/24", "gateway": "192.168.1.1", "dns": ["192.168.1.1", "9.9.9.9"]})
        self.assertEqual((given["version"], given["hostname"], given["timezone"]), (1, "lucid-7", "Europe/Berlin"))
        self.assertEqual(given["ssd"], {"consent": "empty", "serial": "NV 1"})
        self.assertIn(code, done.stdout)
        self.assertIn("https://192.168.1.20 (or lucid-7.local)", done.stdout)
        self.check_authority(given["tls"], done.stdout)

    def check_authority(self, tls, shown):
        openssl = lambda *command, text: subprocess.run(["openssl", *command], input=text, check=True, capture_output=True, text=True).stdout
        certificate = openssl("x509", "-noout", "-text", "-fingerprint", "-sha256", text=tls["ca_certificate"])
        self.assertIn(certificate.rsplit("=", 1)[1].strip(), shown)
        self.assertIn("CA:TRUE, pathlen:0", certificate)
        self.assertIn("X509v3 Name Constraints: critical", certificate)
        self.assertEqual(openssl("x509", "-noout", "-pubkey", text=tls["ca_certificate"]), openssl("pkey", "-pubout", text=tls["ca_key"]))

    def test_two_disks_get_two_codes(self):
        codes = set()
        for _ in range(2):
            backing, loop = self.disk()
            run("--disk", loop, "--serial", backing.name, self.image, check=True)
            data = backing.read_bytes()[self.at: self.at + PROVISION_BYTES]
            codes.add(tomllib.loads(data.decode())["claim"]["code"])
        self.assertEqual(len(codes), 2)

    def test_a_broken_download_never_reaches_the_disk(self):
        backing, loop = self.disk()
        before = backing.read_bytes()
        (self.place / "lucid.sha256").write_text("0" * 64 + "  lucid.img\n")
        done = run("--disk", loop, "--serial", backing.name, self.image)
        self.assertIn("is damaged", done.stderr)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(backing.read_bytes(), before)

    def test_a_truncated_compressed_image_never_reaches_the_disk(self):
        backing, loop = self.disk()
        before = backing.read_bytes()
        packed = self.packed()
        packed.write_bytes(packed.read_bytes()[: -2 * MIB])
        done = run("--disk", loop, "--serial", backing.name, packed)
        self.assertIn("is damaged", done.stderr)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(backing.read_bytes(), before)

    def test_an_image_that_turns_out_damaged_half_way_leaves_a_disk_that_starts_nothing(self):
        backing, loop = self.disk()
        packed = self.packed()
        data = bytearray(packed.read_bytes())
        data[len(data) // 2] ^= 1
        packed.write_bytes(data)
        done = run("--disk", loop, "--serial", backing.name, packed)
        self.assertIn("could not be written whole", done.stderr)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(backing.read_bytes()[:MIB], bytes(MIB))

    def packed(self):
        subprocess.run(["zstd", "-q", self.image], check=True)
        return self.place / "lucid.img.zst"

    def test_a_disk_that_does_not_keep_what_it_is_given_is_found(self):
        backing, loop = self.disk()
        stop = threading.Event()

        def spoil():
            with backing.open("r+b", buffering=0) as file:
                while not stop.is_set():
                    file.seek(8 * MIB)
                    file.write(bytes(64))

        spoiler = threading.Thread(target=spoil)
        spoiler.start()
        try:
            done = run("--disk", loop, "--serial", backing.name, self.image)
        finally:
            stop.set()
            spoiler.join()
        self.assertEqual(done.returncode, 1)
        self.assertIn("not what was written", done.stderr)

    def test_a_mounted_loop_device_and_an_image_that_is_none(self):
        backing, loop = self.disk()
        subprocess.run(["mkfs.ext4", "-qF", loop], check=True)
        where = self.place / "mounted"
        where.mkdir()
        subprocess.run(["mount", loop, where], check=True)
        try:
            self.assertIn("in use", run("--disk", loop, "--serial", backing.name, self.image).stderr)
        finally:
            subprocess.run(["umount", where], check=True)
        other, loop = self.disk()
        plain = self.place / "other.img"
        plain.write_bytes(os.urandom(2 * MIB))
        self.assertIn("no place for a provisioning file", run("--disk", loop, "--serial", other.name, plain).stderr)

    def test_a_person_types_the_serial_and_a_wrong_one_stops_it(self):
        for typed, status in (("nonsense", 1), (None, 0)):
            backing, loop = self.disk()
            before = backing.read_bytes()
            leader, follower = pty.openpty()
            with subprocess.Popen([FLASH, "--disk", loop, "--no-provision", self.image], stdin=follower, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as flash:
                os.write(leader, (typed or backing.name).encode() + b"\n")
                self.assertEqual(flash.wait(timeout=60), status)
            os.close(leader)
            os.close(follower)
            self.assertEqual(backing.read_bytes() == before, status == 1)


if __name__ == "__main__":
    unittest.main()

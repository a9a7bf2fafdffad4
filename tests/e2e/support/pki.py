"""A certificate authority of the tests' own, by the openssl command: good certificates and each kind of bad one."""
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    chain: Path  # PEM, the leaf first
    key: Path
    not_after: datetime


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"
    return done.stdout


def stamp(moment):
    return moment.strftime("%Y%m%d%H%M%SZ")


def alternative(name):
    return ("IP:" if all(c in "0123456789abcdef:." for c in name) and any(c in ":." for c in name) else "DNS:") + name


class Authority:
    def __init__(self, folder, name="Test authority"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = self.folder / "ca.key"
        self.file = self.folder / "ca.pem"  # what a client trusts
        self._serial = 1
        make_key(self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-subj", f"/CN={name}", "-days", "3650", "-out", self.file,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, label, names, starts=-DAY, ends=365 * DAY):
        """`label`: of the files; `names`: host names and addresses; from `starts` to `ends` from now."""
        return self._make(label, names, starts, ends, ["-CA", self.file, "-CAkey", self.key])

    def self_signed(self, label, names, starts=-DAY, ends=365 * DAY):
        return self._make(label, names, starts, ends, None)

    def _make(self, label, names, starts, ends, signer):
        now = datetime.now(timezone.utc)
        key, leaf, chain = (self.folder / f"{label}.{suffix}" for suffix in ("key", "crt", "pem"))
        make_key(key)
        self._serial += 1
        signing = signer or ["-key", key]
        openssl("req", "-x509", "-new", "-key", key, "-subj", f"/CN={names[0]}", "-out", leaf,
                "-set_serial", str(self._serial), "-not_before", stamp(now + starts), "-not_after", stamp(now + ends),
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "subjectAltName=" + ",".join(map(alternative, names)), *(signing if signer else []))
        chain.write_text(leaf.read_text(encoding="ascii"), encoding="ascii")
        return Certificate(chain, key, (now + ends).replace(microsecond=0))


def make_key(path):
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    path.chmod(0o600)

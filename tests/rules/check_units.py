#!/usr/bin/env python3
"""The systemd units: no key that systemd would ignore, and no directory that two of them share."""

import pathlib
import re
import subprocess
import sys
import tempfile

UNITS = sorted((pathlib.Path(__file__).resolve().parents[2] / "deploy/systemd").glob("*.service"))


def ignored(text, name):
    """What systemd finds wrong. The program it starts is not installed here: another stands for it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / name
        path.write_text(text.replace("/usr/bin/sentinel", "/bin/true"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    said = done.stdout.strip()
    return said or (f"{name}: systemd-analyze ends with {done.returncode}" if done.returncode else "")


def directories(text):
    return {(kind, name) for kind, names in re.findall(r"^(Runtime|State|Cache|Logs)Directory=(.*)$", text, re.M)
            for name in names.split()}


def main():
    errors = []
    owners = {}
    for path in UNITS:
        text = path.read_text()
        errors += filter(None, [ignored(text, path.name)])
        if not ignored(text.replace("\nRestart=", "\nRestarts="), path.name):
            errors.append(f"{path.name}: systemd-analyze does not find a key that does not exist")
        for each in directories(text):
            if each in owners:
                errors.append(f"{path.name} and {owners[each]} share {each[0]}Directory={each[1]}")
            owners[each] = path.name
    if len(UNITS) < 2 or not owners:
        errors.append("no units were found")
    print("\n".join(errors) or "the units are sound")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())

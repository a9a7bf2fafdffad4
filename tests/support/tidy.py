#!/usr/bin/env python3
"""clang-tidy over our own translation units, only where something changed since it last passed.

A file's key is a hash of the configuration, its compile command, and the contents of the file and of all our
own headers that it reaches; keys that passed are kept in the build folder. Usage: tidy.py BUILD-DIR [FILTER]
"""
import hashlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
SECONDS_PER_FILE = 600
# Ours are checked; these hold nothing but an include of someone else's sources.
FOREIGN = ("cmake/asio_beast/",)


def own_closure(path, roots, seen):
    """The file and every header of ours it reaches, in a stable order."""
    if path in seen:
        return
    seen.add(path)
    for name in INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
        for folder in [path.parent, *roots]:
            candidate = (folder / name).resolve()
            if candidate.is_file() and ROOT in candidate.parents:
                own_closure(candidate, roots, seen)
                break


def key_of(entry, path, version):
    roots = [ROOT, ROOT / "monitor"]
    closure = set()
    own_closure(path, roots, closure)
    digest = hashlib.sha256()
    digest.update(version)
    digest.update((ROOT / ".clang-tidy").read_bytes())
    digest.update(entry.get("command", "").encode())
    for file in sorted(closure):
        digest.update(str(file).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def check(build, path):
    arguments = ["clang-tidy", "--quiet", "-p", str(build),
                 "--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-error", str(path)]
    try:
        run = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_PER_FILE)
    except subprocess.TimeoutExpired:
        return [f"{path}: clang-tidy took longer than {SECONDS_PER_FILE} s"]
    if run.returncode == 0:
        return []
    said = [line for line in run.stdout.splitlines() if re.search(r": (error|warning): ", line)]
    # It crashed: the head of its stack dump names the check and the place.
    rest = [line for line in (run.stdout + run.stderr).splitlines() if not re.match(r"\s*#\d+ ", line)]
    return said or rest[-12:]


def main():
    build = Path(sys.argv[1]).resolve()
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    junit = os.environ.get("SENTINEL_JUNIT")
    passed_before = build / "tidy-passed"
    passed_before.mkdir(exist_ok=True)
    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True).stdout
    entries = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = Path(entry["directory"], entry["file"]).resolve()
        if ROOT not in path.parents or build in path.parents or "/build/" in str(path):
            continue
        if path.suffix != ".cpp":  # the C programs of tests/bench are yardsticks in C's own idiom
            continue
        relative = str(path.relative_to(ROOT))
        if not relative.startswith(FOREIGN) and wanted in relative:
            entries[path] = entry
    results = {}

    def one(path):
        key = passed_before / key_of(entries[path], path, version)
        if key.exists():
            return path, [], True
        findings = check(build, path)
        if not findings:
            key.touch()
        return path, findings, False

    # Large files first, so that the last ones to finish are small.
    order = sorted(entries, key=lambda path: -path.stat().st_size)
    cached = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for path, findings, known in pool.map(one, order):
            results[path] = findings
            cached += known
            if findings:
                print(f"FAILED clang-tidy {path.relative_to(ROOT)}")
                print("\n".join("  " + line for line in findings), flush=True)
    bad = sum(1 for findings in results.values() if findings)
    print(f"clang-tidy: {len(results)} files, {cached} unchanged since they passed, {bad} with findings")
    if junit:
        suite = xml.Element("testsuite", name="clang-tidy")
        for path, findings in results.items():
            case = xml.SubElement(suite, "testcase", classname="clang-tidy", name=str(path.relative_to(ROOT)))
            if findings:
                xml.SubElement(case, "failure").text = "\n".join(findings)
        xml.ElementTree(suite).write(junit)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

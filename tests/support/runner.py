#!/usr/bin/env python3
"""Builds and runs kinds of tests inside the toolchain container, for tests/run.

Every kind runs even when an earlier one failed. Closes with the single line `N passed, N failed`; a step
that could not be done at all (a configure, a build) counts as one failure. Exit status 1 when anything failed.
"""
import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SENTINEL_BUILD_ROOT") or ROOT / "build")
LOGS = BUILD / "logs"
JOBS = str(os.cpu_count() or 1)
# Every run of CI, in this order; the others only when named.
ALWAYS = ["style", "unit", "sim", "io", "fuzz", "ui", "e2e"]
NAMED = ["bench", "soak", "conformance"]
# What programs of their own need; the others need all.
TARGETS = {"bench": ["sentinel", "bench-tools", "sim_long"]}
PRESETS = {"unit": ["asan-ubsan"], "sim": ["asan-ubsan", "tsan"], "io": ["asan-ubsan", "tsan"]}
BUILD_SECONDS = 45 * 60
TEST_SECONDS = {"style": 2400, "unit": 900, "sim": 1200, "io": 1200, "fuzz": 900, "ui": 1200, "e2e": 3600}
LONG_SECONDS = 6 * 3600
CASE_SECONDS = "240"
FUZZ_SECONDS = 5  # of new inputs per target, after the kept corpus
SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@dataclass
class Tally:
    passed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures


class Runner:
    def __init__(self, options):
        self.options = options
        self.verbose = options.kind is not None
        self.built = set()

    def run(self, name, arguments, seconds, env=None, cwd=ROOT):
        """Runs one step; its output goes to a log, and to the terminal when one kind was named."""
        log = LOGS / f"{name}.log"
        deadline = time.monotonic() + seconds
        with open(log, "wb") as out:
            process = subprocess.Popen(arguments, cwd=cwd, env={**os.environ, **SANITIZERS, **(env or {})},
                                       stdout=subprocess.PIPE if self.verbose else out,
                                       stderr=subprocess.STDOUT, start_new_session=True)
            try:
                if self.verbose:
                    for line in process.stdout:
                        out.write(line)
                        sys.stdout.buffer.write(line)
                        sys.stdout.buffer.flush()
                        if time.monotonic() > deadline:
                            raise subprocess.TimeoutExpired(arguments, seconds)
                return process.wait(max(1.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                out.write(f"\nstopped after {seconds} s\n".encode())
                return 124

    def show(self, name, lines=60):
        if not self.verbose:
            text = (LOGS / f"{name}.log").read_text(errors="replace").splitlines()
            print("\n".join("    " + line for line in text[-lines:]), flush=True)

    def build(self, preset, targets):
        """Configures and builds; an error as a Tally of one failure, None when all is well."""
        if (preset, tuple(targets)) in self.built:
            return None
        if preset == "release":
            status = self.run("dashboard", ["docker/ui/run", "build", str(BUILD / "ui-dist")], 900)
            if status != 0:
                self.show("dashboard")
                return Tally(failures=[f"dashboard (exit status {status})"])
        name = f"build-{preset}"
        print(f"  building {preset}: {' '.join(targets)}", flush=True)
        status = self.run(f"configure-{preset}", ["cmake", "--preset", preset], 300)
        if status == 0:
            known = subprocess.run(["cmake", "--build", str(BUILD / preset), "--target", "help"], cwd=ROOT,
                                   capture_output=True, text=True, check=False).stdout
            targets = [target for target in targets if f"{target}:" in known]
            if targets:
                status = self.run(name, ["cmake", "--build", str(BUILD / preset), "-j", JOBS, "--target", *targets],
                                  BUILD_SECONDS)
        else:
            name = f"configure-{preset}"
        if status != 0:
            self.show(name)
            return Tally(failures=[f"{name} (exit status {status})"])
        self.built.add((preset, tuple(targets)))
        return None

    def read_junit(self, file, status, name):
        tally = Tally()
        try:
            cases = xml.parse(file).getroot().iter("testcase")
        except (OSError, xml.ParseError):
            return Tally(failures=[f"{name} ended without a report (exit status {status})"])
        for case in cases:
            if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
                tally.failures.append(f"{name}: {case.get('name')}")
            elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
                tally.skipped += 1
            else:
                tally.passed += 1
        if status not in (0, 5) and not tally.failures:
            tally.failures.append(f"{name} (exit status {status})")
        return tally

    def ctest(self, kind, preset):
        name = f"{kind}-{preset}"
        junit = LOGS / f"{name}.xml"
        junit.unlink(missing_ok=True)
        arguments = ["ctest", "--test-dir", str(BUILD / preset), "-L", f"^{kind}$", "--output-on-failure",
                     "-j", JOBS, "--no-tests=ignore", "--timeout", CASE_SECONDS, "--output-junit", str(junit)]
        if self.options.filter:
            arguments += ["-R", self.options.filter]
        status = self.run(name, arguments, TEST_SECONDS[kind])
        if status == 0 and not junit.exists():
            return Tally()
        tally = self.read_junit(junit, status, name)
        if tally.failures:
            self.show(name, 120)
        return tally

    def pytest(self, kind, preset):
        folder = ROOT / "tests" / kind
        if not any(folder.rglob("test_*.py")):
            return Tally()
        name = f"{kind}-pytest"
        junit = LOGS / f"{name}.xml"
        junit.unlink(missing_ok=True)
        arguments = ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={junit}",
                     "--timeout=600", str(folder)]
        if self.options.filter:
            arguments += ["-k", self.options.filter]
        status = self.run(name, arguments, TEST_SECONDS[kind], {"SENTINEL_BUILD": str(BUILD / preset)})
        tally = self.read_junit(junit, status, name)
        if tally.failures:
            self.show(name, 120)
        return tally

    def compiled(self, kind):
        tally = Tally()
        for preset in PRESETS[kind]:
            tally.add(self.build(preset, [f"{kind}-tests"]) or self.ctest(kind, preset))
        tally.add(self.pytest(kind, PRESETS[kind][0]))
        return tally

    def long_sim(self):
        broken = self.build("release", ["sim_long"])
        if broken:
            return broken
        program = str(BUILD / "release/tests/sim/sim_long")
        status = self.run("sim-long", [program, *([self.options.filter] if self.options.filter else []), *self.options.rest],
                          LONG_SECONDS)
        return Tally(passed=1) if status == 0 else Tally(failures=[f"sim --long (exit status {status})"])

    def e2e(self):
        return self.build("release", ["sentinel", "demo-service"]) or self.pytest("e2e", "release")

    def style(self):
        junit = LOGS / "style.xml"
        status = self.run("style", ["python3", "tests/support/style.py", "--junit", str(junit), "--filter",
                                    self.options.filter or ""], TEST_SECONDS["style"])
        tally = self.read_junit(junit, status, "style")
        if tally.failures:
            self.show("style")
        if self.options.filter and tally.passed + len(tally.failures) > 0:
            return tally
        print("  clang-tidy", flush=True)
        status = self.run("configure-asan-ubsan", ["cmake", "--preset", "asan-ubsan"], 300)
        if status != 0:
            self.show("configure-asan-ubsan")
            tally.failures.append("configure-asan-ubsan")
            return tally
        junit = LOGS / "tidy.xml"
        status = self.run("tidy", ["python3", "tests/support/tidy.py", str(BUILD / "asan-ubsan"),
                                   self.options.filter or ""], TEST_SECONDS["style"], {"SENTINEL_JUNIT": str(junit)})
        found = self.read_junit(junit, status, "clang-tidy")
        if found.failures:
            self.show("tidy")
        tally.add(found)
        return tally

    def fuzz(self):
        if not (ROOT / "tests/fuzz/CMakeLists.txt").exists():
            return Tally()
        names = [f"fuzz_{source.stem}" for source in sorted((ROOT / "tests/fuzz").glob("*.cpp"))]
        broken = self.build("fuzz", names)
        if broken:
            return broken
        tally = Tally()
        for binary in (BUILD / "fuzz/tests/fuzz" / name for name in names):
            if (self.options.filter or "") not in binary.name:
                continue
            corpus = ROOT / "tests/fuzz/corpus" / binary.name.removeprefix("fuzz_")
            fresh = BUILD / "fuzz-corpus" / binary.name
            fresh.mkdir(parents=True, exist_ok=True)
            folders = [str(fresh)] + ([str(corpus)] if corpus.is_dir() else [])
            limits = ["-timeout=10", "-rss_limit_mb=2048", f"-artifact_prefix={LOGS}/{binary.name}-"]
            status = self.run(binary.name, [str(binary), *limits, "-runs=0", *folders[1:]], 300)
            if status == 0:
                status = self.run(binary.name, [str(binary), *limits, f"-max_total_time={FUZZ_SECONDS}", *folders], 300)
            if status == 0:
                tally.passed += 1
            else:
                tally.failures.append(f"{binary.name} (the input is kept in {LOGS})")
                self.show(binary.name)
        return tally

    def ui(self):
        """The dashboard in a browser, against a scripted API, in the container of docker/ui/run."""
        junit = LOGS / "ui.xml"
        command = 'exec docker/ui/run -- sh tests/ui/run "$2" >"$1"'
        status = self.run("ui", ["bash", "-c", command, "ui", str(junit), self.options.filter or ""], TEST_SECONDS["ui"])
        tally = self.read_junit(junit, status, "ui")
        if tally.failures:
            self.show("ui", 120)
        return tally

    def script(self, kind):
        """Kinds that are programs of their own: tests/KIND/run [ARGUMENT]..., given the release build."""
        program = ROOT / "tests" / kind / "run"
        if not program.exists():
            return Tally(failures=[f"{kind} is not supported yet"])
        broken = self.build("release", TARGETS.get(kind, ["all"]))
        if broken:
            return broken
        arguments = [str(program)] + ([self.options.filter] if self.options.filter else []) + self.options.rest
        status = self.run(kind, arguments, LONG_SECONDS, {"SENTINEL_BUILD": str(BUILD / "release")})
        return Tally(passed=1) if status == 0 else Tally(failures=[f"{kind} (exit status {status})"])

    def kind(self, kind):
        if self.options.long:
            return self.long_sim()
        if kind == "style":
            return self.style()
        if kind in PRESETS:
            return self.compiled(kind)
        if kind == "e2e":
            return self.e2e()
        if kind in ("fuzz", "ui"):
            return getattr(self, kind)()
        return self.script(kind)


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description="Builds and runs the tests.", allow_abbrev=False)
    parser.add_argument("kind", nargs="?", choices=ALWAYS + NAMED, metavar="KIND",
                        help="one of " + ", ".join(ALWAYS) + "; only when named: " + ", ".join(NAMED))
    parser.add_argument("filter", nargs="?", metavar="FILTER",
                        help="part of a test's name (a regular expression for unit, sim and io)")
    parser.add_argument("--long", action="store_true", help="sim only: many more seeds, optimised; further options go to sim_long")
    options, options.rest = parser.parse_known_args()
    if options.rest and options.kind not in NAMED:
        parser.error(f"unrecognized arguments: {' '.join(options.rest)}")
    if options.long and options.kind != "sim":
        parser.error("--long goes with sim")
    lock = open(BUILD / ".tests-run.lock", "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("tests/run: another one uses this build volume: wait for it, or set SENTINEL_BUILD_DIR to a name of your own")
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    runner = Runner(options)
    total = Tally()
    lines = []
    for kind in [options.kind] if options.kind else ALWAYS:
        print(f"{kind}", flush=True)
        start = time.monotonic()
        tally = runner.kind(kind)
        tally.seconds = time.monotonic() - start
        total.add(tally)
        skipped = f", {tally.skipped} skipped" if tally.skipped else ""
        lines.append(f"{kind:<12} {tally.passed:>5} passed {len(tally.failures):>4} failed{skipped}  {tally.seconds:7.1f} s")
    print("\n" + "\n".join(lines))
    for failure in total.failures:
        print(f"FAILED {failure}")
    print(f"{total.passed} passed, {len(total.failures)} failed", flush=True)
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())

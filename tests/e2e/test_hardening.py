"""What ships carries the compiler's defences, and the check that says so can fail."""
import subprocess
from pathlib import Path

import pytest

from support.monitor import BUILD

CHECK = Path(__file__).resolve().parents[2] / "docker/images/check-hardening"
PROGRAM = "#include <stdio.h>\nint main(int n, char **v) { char b[64]; sprintf(b, \"%.60s\", v[0]); return puts(b) * n; }\n"
HARDENED = ["-O2", "-D_FORTIFY_SOURCE=3", "-fstack-protector-all", "-fPIE", "-pie", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack"]


def check(program):
    return subprocess.run([CHECK, program], capture_output=True, text=True, timeout=60, check=False)


def build(folder, *options):
    source = folder / "program.c"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-o", folder / "program", source, *HARDENED, *options], check=True, timeout=60)
    return folder / "program"


@pytest.mark.parametrize("name", ["monitor/app/sentinel", "demo-service/demo-service"])
def test_our_programs_are_hardened(name):
    done = check(BUILD / name)
    assert done.returncode == 0, done.stderr


def test_a_hardened_program_passes(tmp_path):
    done = check(build(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("option", "complaint"), [
    ("-no-pie", "position independence"),
    ("-Wl,-z,norelro", "read-only relocations"),
    ("-Wl,-z,lazy", "immediate binding"),
    ("-Wl,-z,execstack", "declared stack"),
    ("-fno-stack-protector", "stack protector"),
    ("-U_FORTIFY_SOURCE", "fortified calls"),
    ("-Wl,-rpath,/opt", "a run path"),
])
def test_each_missing_defence_is_named(tmp_path, option, complaint):
    done = check(build(tmp_path, option))
    assert done.returncode == 1
    assert complaint in done.stderr

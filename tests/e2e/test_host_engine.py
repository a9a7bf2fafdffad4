"""docker/engine: Engines beside each other, killed, restarted, upgraded, removed. Needs the host (root)."""
import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST_ENGINE = ROOT / "tests/support/host-engine"
BASE_IMAGE = "debian:trixie-slim"


class Engine:
    def __init__(self, name):
        self.name = name
        self.socket = f"/run/sentinel-engine/{name}/docker.sock"

    def run(self, *arguments, check=True):
        result = subprocess.run([str(HOST_ENGINE), "--name", self.name, *arguments],
                                capture_output=True, text=True, timeout=240, check=False)
        if check:
            assert result.returncode == 0, result.stderr
        return result

    def docker(self, *arguments, check=True):
        result = subprocess.run(["docker", "-H", f"unix://{self.socket}", *arguments],
                                capture_output=True, text=True, timeout=120, check=False)
        if check:
            assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def exports(self):
        lines = self.run("env").stdout.splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def running(self, container):
        return self.docker("inspect", "-f", "{{.State.Running}}", container, check=False) == "true"


@pytest.fixture
def engine(request):
    made = []

    def make(suffix, *options):
        one = Engine(f"t{os.getpid()}-{suffix}")
        made.append(one)
        one.run(*options, "start")
        return one

    yield make
    for one in made:
        one.run("stop", "--purge")


def eventually(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"


@pytest.mark.parametrize(("version", "api"), [("20.10", "1.41"), ("26.1", "1.45")])
def test_starts_in_its_version_and_again_without_change(engine, version, api):
    one = engine("version", "--version", version)
    assert one.docker("version", "-f", "{{.Server.APIVersion}}") == api
    pid = one.run("pid").stdout
    one.run("start")
    assert one.run("pid").stdout == pid
    assert one.run("status").returncode == 0
    other = "26.1" if version == "20.10" else "20.10"
    refused = one.run("--version", other, "start", check=False)
    assert refused.returncode == 1
    assert "stop it first" in refused.stderr


def test_a_killed_engine_comes_back_with_its_containers(engine):
    one = engine("kill")
    one.run("load", BASE_IMAGE)
    one.docker("run", "-d", "--stop-signal", "KILL", "--name", "kept", "--restart", "always", BASE_IMAGE, "tail", "-f", "/dev/null")
    for _ in range(3):
        one.run("kill")
        assert one.run("status", check=False).returncode == 3
        one.run("start")
        eventually(lambda: one.running("kept"), "its restart policy started the container again")


def test_live_restore_keeps_containers_through_a_kill(engine):
    one = engine("live", "--live-restore")
    one.run("load", BASE_IMAGE)
    one.docker("run", "-d", "--stop-signal", "KILL", "--name", "kept", BASE_IMAGE, "tail", "-f", "/dev/null")
    before = one.docker("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", "kept")
    one.run("kill")
    one.run("--live-restore", "start")
    assert one.docker("inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", "kept") == before
    one.run("stop")
    assert not Path(f"/proc/{before.split()[0]}").exists()


def test_stop_ends_the_containers_of_a_killed_engine(engine):
    one = engine("left")
    one.run("load", BASE_IMAGE)
    one.docker("run", "-d", "--stop-signal", "KILL", "--name", "left", BASE_IMAGE, "tail", "-f", "/dev/null")
    pid = one.docker("inspect", "-f", "{{.State.Pid}}", "left")
    one.run("kill")
    assert Path(f"/proc/{pid}").exists()
    one.run("stop")
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "the container's process is gone")


def test_data_outlives_a_stop_and_an_upgrade(engine):
    one = engine("upgrade", "--version", "20.10")
    one.run("load", BASE_IMAGE)
    one.docker("volume", "create", "kept")
    one.run("stop")
    assert not Path(one.socket).exists()
    one.run("--version", "26.1", "start")
    assert one.docker("volume", "ls", "-q") == "kept"
    assert one.docker("images", "-q", BASE_IMAGE) != ""
    one.run("stop", "--purge")
    one.run("start")
    assert one.docker("volume", "ls", "-q") == ""


def test_engines_are_apart_and_reach_each_others_published_ports(engine):
    one, two = engine("one"), engine("two")
    addresses = {e.exports()["SENTINEL_BIND"] for e in (one, two)}
    assert len(addresses) == 2
    one.run("load", BASE_IMAGE)
    bind = one.exports()["SENTINEL_BIND"]
    answer = "exec perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(LocalPort=>80,Listen=>1);" \
             "while($c=$s->accept){print $c qq(hello\\n);close $c}'"
    one.docker("run", "-d", "--stop-signal", "KILL", "-p", f"{bind}:8080:80", BASE_IMAGE, "sh", "-c", answer)

    def greeted():
        read = subprocess.run(["bash", "-c", f"read -t 2 line </dev/tcp/{bind}/8080; echo $line"],
                              capture_output=True, text=True, timeout=10, check=False)
        return read.stdout.strip() == "hello"

    eventually(greeted, f"a published port answers at {bind}")
    assert two.docker("ps", "-q") == ""


@pytest.mark.parametrize("arguments", [
    ("--name", "UPPER", "start"), ("--name", "../x", "start"), ("--version", "1.2", "start"), ("explode",), ("--what",), ("--name",),
])
def test_bad_arguments_are_refused_with_a_reason(arguments):
    result = subprocess.run([str(HOST_ENGINE), *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode != 0
    assert result.stderr.startswith("engine: ")

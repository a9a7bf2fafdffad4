"""The whole product from a copy of the tree, as the README tells people to use it."""
import json
import os
import re
import subprocess
import time
import urllib.error

import pytest
from support.stack import Stack, copy_of_the_tree, on_host
from support.wait import eventually

# The first build of the images compiles everything.
pytestmark = [pytest.mark.stack, pytest.mark.timeout(2400)]
SERVICES = {"demo-service", "monitor", "prometheus", "failover", "web-1", "web-2"}


@pytest.fixture(scope="module")
def tree():
    folder = copy_of_the_tree()
    yield folder
    on_host("rm", "-rf", folder)


@pytest.fixture(scope="module")
def stack(tree):
    """Up before the first test. Goes down after the last one, unless somebody's was up before."""
    one = Stack(tree, os.environ["DOCKER_HOST"], os.environ["SENTINEL_BIND"])
    was_up = bool(one.ids())
    if not was_up:
        # The restarts that an earlier run has spent are remembered, as they should be.
        one.docker("volume", "rm", "-f", "sentinel_monitor-data")
    one.first = one.script("up")
    left = json.loads(one.get(8090, "/api/v1/services/demo-service"))["budget_remaining"]
    assert left >= 3, f"demo-service has {left} restarts left: run deploy/down first, the tests then begin afresh"
    yield one
    if not was_up:
        one.script("down")


def not_well(stack):
    try:
        return json.loads(stack.get(8080, "/health"))["status"] != "pass"
    except (OSError, ValueError, urllib.error.URLError):
        return True


def test_up_makes_all_services_healthy_and_says_where(stack):
    assert "Every service is healthy" in stack.first.stdout
    for port in (8080, 8090, 9090, 8088):
        assert f"{stack.bind}:{port}" in stack.first.stdout
    for service in SERVICES:
        assert stack.inspect(service)["State"]["Health"]["Status"] == "healthy", service


def test_a_second_up_is_quick_and_changes_nothing(stack):
    before = {s: (i, stack.inspect(s)["State"]["StartedAt"]) for s, i in stack.ids().items()}
    began = time.monotonic()
    again = stack.script("up")
    assert "Every service is healthy" in again.stdout
    assert {s: (i, stack.inspect(s)["State"]["StartedAt"]) for s, i in stack.ids().items()} == before
    assert time.monotonic() - began < 30, "seconds, not minutes"


def test_the_arc_from_failure_to_healed_in_the_log_and_in_prometheus(stack):
    # As written in the README: one POST, then watch.
    changes = 'sentinel_service_transitions_total{service="demo-service",from="%s",to="%s"}'
    stack.eventually_value('sentinel_service_state{service="demo-service",state="healthy"}', lambda v: v == 1)
    before = sum(v for _, v in stack.query(changes % ("recovering", "healthy")))
    began = stack.inspect("demo-service")["State"]["StartedAt"]
    eventually(lambda: seen_healthy(stack), "the monitor calls it healthy", 90, 0.2)
    assert stack.post(8080, "/simulate/unhealthy") < 300
    eventually(lambda: stack.inspect("demo-service")["State"]["StartedAt"] != began, "it was restarted", 40, 0.2)
    eventually(lambda: not not_well(stack), "it is well again", 40, 0.2)
    stack.eventually_value(changes % ("recovering", "healthy"), lambda v: v == before + 1)
    stack.eventually_value('sentinel_recovery_actions_total{service="demo-service",action="restart",result="healthy"}',
                           lambda v: v >= 1)
    stack.eventually_value('sentinel_service_state{service="demo-service",state="healthy"}', lambda v: v == 1)
    lines = stack.compose("logs", "--no-color", "--no-log-prefix", "--tail", "40", "monitor").splitlines()
    said = [line for line in lines if "demo-service" in line]
    order = [next(i for i in range(len(said) - 1, -1, -1) if part in said[i])
             for part in ("demo-service is unhealthy: ", "restarting demo-service because: ",
                          "demo-service is healthy (was unhealthy for ")]
    assert order == sorted(order), said
    # Compose clears the terminal's line first, even where there is none.
    stamp = re.compile(r"(\x1b\[2K)?20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info) ")
    assert all(stamp.match(line) for line in said), said


def seen_healthy(stack):
    return json.loads(stack.get(8090, "/api/v1/services/demo-service"))["state"] == "healthy"


def test_a_refused_connection_reads_as_such(stack):
    # A failure before the last heal is verified would be a part of it.
    eventually(lambda: seen_healthy(stack), "the monitor calls it healthy", 90, 0.2)
    # The health check or the probe, whichever is first.
    sentence = re.compile("demo-service (unreachable: |is unhealthy: health check fails: )connection refused")
    before = len(sentence.findall(stack.compose("logs", "--no-color", "monitor")))
    stack.post(8080, "/simulate/refuse?for=60s")
    eventually(lambda: len(sentence.findall(stack.compose("logs", "--no-color", "monitor"))) > before,
               "the sentence in the log", 40, 0.2)
    eventually(lambda: seen_healthy(stack), "it is healthy again", 60, 0.2)


def test_prometheus_scrapes_all_and_its_rules_are_loaded(stack):
    stack.eventually_value('min(up)', lambda v: v == 1)
    jobs = {labels["job"] for labels, _ in stack.query("up")}
    assert len(jobs) >= 3, jobs
    rules = json.loads(stack.get(9090, "/api/v1/rules"))["data"]["groups"]
    assert sum(len(group["rules"]) for group in rules) >= 5
    assert not [rule for group in rules for rule in group["rules"] if rule["health"] == "err"]


def test_metrics_pass_promtool(stack):
    done = subprocess.run(["promtool", "check", "metrics"], input=stack.get(8090, "/metrics"), text=True,
                          capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_the_monitor_has_no_more_rights_than_it_needs(stack):
    monitor = stack.inspect("monitor")
    user, group = monitor["Config"]["User"].split(":")
    assert user not in ("", "0", "root")
    host = monitor["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert [c.upper() for c in host["CapDrop"]] == ["ALL"] and not host["CapAdd"]
    assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
    assert host["Privileged"] is False
    assert host["RestartPolicy"]["Name"] == "always"
    assert host["PidsLimit"] > 0 and host["Memory"] > 0
    pid = monitor["State"]["Pid"]
    status = dict(line.split(":\t", 1) for line in on_host("cat", f"/proc/{pid}/status").stdout.splitlines()
                  if ":\t" in line)
    assert status["Uid"].split()[0] == user
    assert int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert group in status["Gid"].split() or group in status["Groups"].split()


@pytest.mark.parametrize("service,most", [("demo-service", 10_000_000), ("monitor", 25_000_000), ("failover", 25_000_000)])
def test_images_hold_only_what_runs(stack, service, most):
    image = json.loads(stack.docker("image", "inspect", stack.inspect(service)["Image"]))[0]
    assert image["Size"] < most
    files = on_host("sh", "-c", 'docker export "$0" | tar -t', stack.ids()[service],
                    **stack.environment).stdout.splitlines()
    for unwanted in ("bin/sh", "usr/bin/sh", "usr/bin/bash", "usr/bin/apt-get", "usr/bin/curl", "usr/bin/perl"):
        assert unwanted not in files


def answering(stack, times=12):
    """Which of web-1 and web-2 answer at the failover's virtual port."""
    names = set()
    for _ in range(times):
        try:
            names |= set(re.findall(r"web-[12]", stack.get(8088, "/", 3)))
        except (OSError, urllib.error.URLError):
            names.add(None)
    return names


def test_the_failover_leaves_a_server_that_hangs_and_takes_it_back(stack):
    in_use = 'sentinel_server_in_use{pool="web"}'
    stack.eventually_value(f"sum({in_use})", lambda v: v == 2)
    assert answering(stack) == {"web-1", "web-2"}
    stack.docker("pause", stack.ids()["web-1"])
    try:
        stack.eventually_value(f"sum({in_use})", lambda v: v == 1)
        assert answering(stack) == {"web-2"}
    finally:
        stack.docker("unpause", stack.ids()["web-1"])
    stack.eventually_value(f"sum({in_use})", lambda v: v == 2)
    assert answering(stack) == {"web-1", "web-2"}
    lines = stack.compose("logs", "--no-color", "--no-log-prefix", "failover")
    assert "web/web-1 failed: http: " in lines and "web/web-1 is up again after " in lines, lines[-3000:]
    said = stack.compose("exec", "-T", "failover", "/usr/bin/sentinel", "status")
    assert "web/web-2" in said and "up" in said
    # The monitor was told: what the failover sees is among its incidents.
    eventually(lambda: "server:web/web-1" in [one["subject"] for one in json.loads(stack.get(8090, "/api/v1/incidents"))["incidents"]],
               "the fall is an incident of the monitor", 90, 0.5)


TOKEN = "a-token-of-the-stack-of-some-length"


@pytest.fixture
def token(stack):
    """As deploy/monitor/sentinel.yaml tells people to give it one; taken away again."""
    folder = f"{stack.folder}/deploy/monitor"
    on_host("sh", "-ec", """cd "$0"; cp sentinel.yaml before; umask 077; printf '%s\\n' "$1" >token; chown 65532 token
            sed 's|^# token-file:|token-file:|' before >now; cat now >sentinel.yaml; rm now""", folder, TOKEN)
    reload(stack, "token")
    yield TOKEN
    on_host("sh", "-ec", 'cd "$0"; cat before >sentinel.yaml; rm -f before token', folder)
    reload(stack, "off")


def reload(stack, wanted):
    stack.compose("kill", "-s", "HUP", "monitor")
    eventually(lambda: json.loads(stack.get(8090, "/api/v1/status"))["changes"] == wanted, "it was loaded anew", 20, 0.2)


def shown(stack):
    """What the monitor shows of the failover: whether it answers, and the state of each server."""
    found = json.loads(stack.get(8090, "/api/v1/pools"))
    return found["failover"]["up"], {one["name"]: one["state"] for pool in found["pools"] for one in pool["servers"]}


def change(stack, what, **body):
    request = urllib.request.Request(f"http://{stack.bind}:8090/api/v1/{what}", data=json.dumps(body).encode(), headers={
        "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_the_monitor_shows_the_pools_and_drains_through_the_failover(stack, token):
    assert token
    both = {"web-1": "up", "web-2": "up"}
    eventually(lambda: shown(stack) == (True, both), lambda: f"both servers are up: {shown(stack)}", 60, 0.5)
    web_1 = {"pool": "web", "server": "web-1"}
    try:
        assert change(stack, "drain", **web_1, by="a test") == web_1
        eventually(lambda: shown(stack)[1]["web-1"] in ("draining", "drained"), lambda: str(shown(stack)), 10, 0.2)
        assert answering(stack) == {"web-2"}
        said = stack.compose("exec", "-T", "failover", "/usr/bin/sentinel", "status", "--json")
        assert "a test" in said
    finally:
        change(stack, "ready", **web_1)
    eventually(lambda: shown(stack) == (True, both), lambda: f"it is back: {shown(stack)}", 30, 0.2)
    assert answering(stack) == {"web-1", "web-2"}
    stack.compose("stop", "failover")
    try:
        eventually(lambda: shown(stack) == (False, both), lambda: f"it is missed: {shown(stack)}", 30, 0.5)
        assert "there is no socket at /run/failover/failover.sock" in json.loads(stack.get(8090, "/api/v1/pools"))["failover"]["reason"]
    finally:
        stack.compose("start", "failover")
    eventually(lambda: shown(stack) == (True, both), lambda: f"it answers again: {shown(stack)}", 60, 0.5)
    # The monitor may ask and post; it cannot touch the folder.
    mount = next(one for one in stack.inspect("monitor")["Mounts"] if one["Destination"] == "/run/failover")
    assert mount["RW"] is False
    eventually(lambda: stack.inspect("failover")["State"]["Health"]["Status"] == "healthy", "it is healthy", 60, 0.5)


def test_the_failover_has_no_more_rights_than_it_needs(stack):
    failover = stack.inspect("failover")
    assert failover["HostConfig"]["NetworkMode"] == "host"
    assert not [mount for mount in failover["Mounts"] if "docker.sock" in mount["Source"]]
    status = dict(line.split(":\t", 1) for line in on_host("cat", f"/proc/{failover['State']['Pid']}/status").stdout.splitlines()
                  if ":\t" in line)
    net_admin, net_raw = 1 << 12, 1 << 13
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == net_admin | net_raw
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("service", ["failover", "monitor"])
def test_what_was_told_to_reload_is_started_again_when_it_is_killed(stack, service):
    # To the Engine a signal of an image that names no stop signal is the wish that it ends, for good.
    stack.compose("kill", "-s", "HUP", service)
    before = stack.inspect(service)["State"]
    on_host("kill", "-KILL", str(before["Pid"]))
    eventually(lambda: stack.inspect(service)["State"]["StartedAt"] != before["StartedAt"], "the Engine starts it again", 30, 0.2)
    eventually(lambda: stack.inspect(service)["State"]["Health"]["Status"] == "healthy", "it is healthy", 60, 0.2)


def test_the_monitor_killed_comes_back_and_knows(stack):
    began = stack.inspect("monitor")["State"]["StartedAt"]
    pid = stack.inspect("monitor")["State"]["Pid"]
    on_host("kill", "-KILL", str(pid))
    eventually(lambda: stack.inspect("monitor")["State"]["StartedAt"] != began, "the Engine starts it again", 30, 0.2)
    eventually(lambda: stack.inspect("monitor")["State"]["Health"]["Status"] == "healthy", "it is healthy", 40, 0.2)
    stack.eventually_value('sentinel_service_state{service="demo-service",state="healthy"}', lambda v: v == 1)


def test_plain_compose_changes_nothing_either(stack):
    before = stack.ids()
    exports = on_host(f"{stack.folder}/docker/engine", "env", check=False)
    named = dict(line.removeprefix("export ").split("=", 1) for line in exports.stdout.splitlines())
    named.pop("DOCKER_HOST", None)
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    if on_host("test", "-r", bundle, check=False).returncode == 0:
        named["SENTINEL_CA_BUNDLE"] = bundle
    stack.compose("up", "--build", "-d", seconds=600, BUILDX_NO_DEFAULT_ATTESTATIONS="1", **named)
    assert stack.ids() == before


def test_down_leaves_volumes_and_images(stack):
    stack.script("down")
    assert stack.ids() == {}
    volumes = stack.docker("volume", "ls", "-q").split()
    assert {"sentinel_monitor-data", "sentinel_prometheus-data"} <= set(volumes)
    assert "sentinel/monitor" in stack.docker("images", "--format", "{{.Repository}}")
    assert stack.docker("network", "ls", "-q", "--filter", "name=^sentinel_") == ""
    stack.script("down")
    again = stack.script("up")
    assert "Every service is healthy" in again.stdout

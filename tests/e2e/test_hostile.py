"""What comes from containers is inert in log, metrics and status."""
import json
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from support.monitor import SENTINEL
from support.relay import engine_relay
from test_healing import canary, healed

ESCAPES = "\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>\"'\\\nforged line\r\u202eright to left"


def assert_inert(value, where):
    """No character that moves a cursor, ends a line or turns the text, in any string of a JSON document."""
    if isinstance(value, dict):
        for key, one in value.items():
            assert_inert(key, where)
            assert_inert(one, f"{where}.{key}")
    elif isinstance(value, list):
        for one in value:
            assert_inert(one, where)
    elif isinstance(value, str):
        bad = [c for c in value if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 or c in "\u2028\u2029\u202e"]
        assert not bad, f"{where}: {value!r}"


def check_metrics(monitor):
    text = monitor.get("/metrics").body
    promtool = shutil.which("promtool")
    if promtool:
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr.decode()
    return monitor.metrics()


def test_health_output_is_shown_but_has_no_effect(rig):
    check = {"test": ["CMD", "/usr/bin/demo-service", f"--{ESCAPES}"], "interval": 1, "timeout": 5, "retries": 1}
    web = rig.run("web", health=check, labels={"sentinel.heal": "none"})
    monitor = rig.monitor()
    monitor.wait_state(web.name, "unhealthy")
    assert "\x1b" in web.state["Health"]["Log"][-1]["Output"], "the Engine hands it on as it is"
    detail = monitor.service(web.name)
    assert "script" in detail["reason"], "it is shown"
    detail["engine"].pop("health_output")  # several lines, on purpose
    assert_inert(detail, "service")
    for line in monitor.lines.snapshot():
        assert_inert(line, "log")
    assert not monitor.errors.snapshot()
    check_metrics(monitor)
    for command in (["status"], ["explain", web.name]):
        shown = monitor.cli(*command)
        assert shown.returncode == 0, shown.stderr
        for line in shown.stdout.splitlines():
            assert_inert(line, " ".join(command))
            assert not line.startswith("forged")


def test_labels_and_environment_are_inert(rig):
    web = rig.healthy("web", environment={"HOSTILE": ESCAPES}, labels={
        "sentinel.heal.budget": ESCAPES, f"sentinel.{ESCAPES}": "x", "sentinel.name": ESCAPES,
        "com.docker.compose.project": ESCAPES, "com.docker.compose.service": ESCAPES, ESCAPES: ESCAPES})
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    monitor.wait_log("label_warning", web.name, count=3)
    for line in monitor.lines.snapshot():
        assert_inert(line, "log")
    assert_inert(monitor.service(web.name), "service")
    check_metrics(monitor)
    web.simulate("unhealthy")
    healed(monitor, web.name)


def test_a_service_name_with_quotes_and_markup_is_escaped_where_it_appears(rig):
    name = "we'b<b>&{},=`$(x)"
    web = rig.healthy("web", labels={"sentinel.name": name})
    monitor = rig.monitor()
    monitor.wait_state(name, "healthy")
    metrics = check_metrics(monitor)
    assert metrics.state(name) == "healthy"
    web.simulate("unhealthy")
    monitor.wait_log("service.transition", name, **{"from": "recovering", "to": "healthy"})
    assert monitor.cli("explain", name).returncode == 0


def test_text_log_lines_are_one_line_each(rig):
    check = {"test": ["CMD", "/usr/bin/demo-service", f"--{ESCAPES}"], "interval": 1, "timeout": 5, "retries": 1}
    web = rig.run("web", health=check, labels={"sentinel.heal": "none"})
    monitor = rig.monitor(wait=False, text=True)
    monitor.errors.wait(lambda lines: [x for x in lines if f"{web.name} is unhealthy" in x], "the line")
    for line in monitor.errors.snapshot():
        assert_inert(line, "text log")
        assert line[:2] == "20", f"does not begin with a time: {line!r}"


def test_bad_labels_warn_and_everything_else_goes_on(rig):
    web = rig.healthy("web", labels={
        "sentinel.heal.budget": "lots", "sentinel.heal.stop-timeout": "-5", "sentinel.heal.bugdet": "1/1m",
        "sentinel.heal.on": "sunday", "sentinel.heal.backoff": "5m..1s", "sentinel.failover.pool": "db"})
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    warnings = [monitor.wait_log("label_warning", web.name, count=number)["msg"] for number in range(1, 7)]
    by_label = {w.split("label ")[1].split("=")[0]: w for w in warnings}
    for warning in warnings:
        assert f"container {web.name}" in warning
    assert "=lots" in by_label["sentinel.heal.budget"]
    assert "expected" in by_label["sentinel.heal.budget"] and "5/15m" in by_label["sentinel.heal.budget"]
    assert "did you mean sentinel.heal.budget?" in by_label["sentinel.heal.bugdet"]
    assert "not supported yet" in by_label["sentinel.failover.pool"]
    assert monitor.service(web.name)["settings"]["heal.budget"] == "5/15m"
    web.simulate("unhealthy")
    healed(monitor, web.name)
    canary(rig, monitor)
    assert len(monitor.log("label_warning", web.name)) == 6, "said once, not at each look"



def test_a_socket_that_may_not_be_opened_says_which_group_to_set(rig):
    gid = os.stat(rig.engine.socket).st_gid
    monitor = rig.monitor(wait=False, user=65532, groups=[])
    line = monitor.wait_log("engine_down")
    assert f"{gid}" in line["msg"] and "group" in line["msg"], line["msg"]
    assert f"{gid}" in monitor.get("/readyz").text
    assert monitor.get("/readyz").status == 503
    assert monitor.get("/livez").status == 200
    assert monitor.metrics().sum("sentinel_engine_up") == 0


def test_with_the_sockets_group_it_needs_no_root(rig):
    gid = os.stat(rig.engine.socket).st_gid
    assert stat.S_IMODE(os.stat(rig.engine.socket).st_mode) & 0o060 == 0o060
    web = rig.healthy("web")
    monitor = rig.monitor(user=65532, groups=[gid])
    web.simulate("unhealthy")
    healed(monitor, web.name)


def test_an_engine_over_tcp(rig):
    web = rig.healthy("web", "--ignore-sigterm", stop_timeout=3)
    with engine_relay(rig.engine) as relay:
        monitor = rig.monitor(endpoint=f"tcp://127.0.0.1:{relay.port}")
        monitor.wait_state(web.name, "healthy")
        web.simulate("unhealthy")
        healed(monitor, web.name)
        assert rig.recorder.count(web, "restart") == 1
        relay.cut()
        canary(rig, monitor)
        assert monitor.metrics().sum("sentinel_engine_event_stream_reconnects_total") >= 1


def test_a_file_with_errors_starts_nothing(rig):
    monitor = rig.monitor("heal:\n  max-concurrent: many\n  storm-hodl: 1s\nlisten: nowhere\n", wait=False)
    assert monitor.wait(10) == 2
    said = "\n".join(monitor.errors.snapshot())
    for place in ("sentinel.yaml:2:", "sentinel.yaml:3:", "sentinel.yaml:4:"):
        assert place in said, said
    assert "storm-hold" in said, "a suggestion"
    assert not Path(monitor.socket).exists()


@pytest.mark.parametrize("text,status", [
    ("heal:\n  max-concurrent: 2\n", 0), ("", 0), ("a: [", 2), ("heal: 3\n", 2), ("x: &a [*a]\n", 2),
    ("limits:\n  max-restarts: .nan\n", 2)])
def test_config_check_says_what_a_start_would(text, status):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([str(SENTINEL), "config", "check", file.name], capture_output=True, text=True,
                              timeout=20, check=False)
    assert done.returncode == status, done.stderr
    assert (file.name in done.stderr) == (status != 0)


def test_json_of_the_api_is_json(rig):
    rig.healthy("web")
    monitor = rig.monitor()
    for target in ("/livez", "/readyz", "/api/v1/status", "/api/v1/services", "/api/v1/decisions"):
        answer = monitor.get(target)
        assert answer.status == 200, target
        json.loads(answer.body)
    problem = monitor.get("/api/v1/services/no-such")
    assert problem.status == 404
    assert problem.headers["Content-Type"].startswith("application/problem+json")

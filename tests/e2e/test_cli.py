"""The command line as people and scripts use it."""
import gzip
import json
import subprocess

import pytest
from support.monitor import SENTINEL
from test_healing import canary, healed


def sentinel(*arguments):
    return subprocess.run([str(SENTINEL), *arguments], capture_output=True, text=True, timeout=20, check=False)


def test_status_and_explain(rig):
    web = rig.healthy("web")
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    web.simulate("unhealthy")
    healed(monitor, web.name)

    text = monitor.cli("status")
    assert text.returncode == 0, text.stderr
    row = next(line for line in text.stdout.splitlines() if line.startswith(web.name))
    assert "healthy" in row and "nothing to do" in row

    whole = json.loads(monitor.cli("status", "--json").stdout)
    assert [s["name"] for s in whole["services"]] == [web.name]
    assert whole["monitor"]["engine"]["up"] is True

    explained = monitor.cli("explain", web.name)
    assert explained.returncode == 0
    assert f"{web.name}" in explained.stdout.splitlines()[0] and " is healthy for " in explained.stdout.splitlines()[0]
    assert "restarting" in explained.stdout, "what was done lately, and why"
    assert "(4 left)" in explained.stdout
    assert json.loads(monitor.cli("explain", web.name, "--json").stdout)["container"] == web.id


def test_names_are_short_where_unique_and_refused_where_not(rig):
    def compose(project):
        return {"com.docker.compose.project": project, "com.docker.compose.service": "front",
                "com.docker.compose.container-number": "1"}

    rig.healthy("one", labels=compose("shop"))
    rig.healthy("two", labels=compose("blog"))
    monitor = rig.monitor()
    monitor.wait_state("shop/front", "healthy")
    assert monitor.cli("explain", "shop/front").returncode == 0
    assert monitor.cli("explain", "blog/front/1").returncode == 0
    ambiguous = monitor.cli("explain", "front")
    assert ambiguous.returncode == 1
    assert "shop/front/1" in ambiguous.stderr and "blog/front/1" in ambiguous.stderr
    unknown = monitor.cli("explain", "nobody")
    assert unknown.returncode == 1 and "nobody" in unknown.stderr


def test_healthcheck(rig):
    monitor = rig.monitor()
    assert monitor.cli("healthcheck").returncode == 0
    monitor.stop()
    dead = monitor.cli("healthcheck")
    assert dead.returncode == 1
    assert monitor.socket in dead.stderr


@pytest.mark.parametrize("arguments,status", [
    (["--version"], 0), (["--help"], 0), ([], 2), (["explode"], 2), (["explain"], 2), (["config", "check"], 2),
    (["maintenance", "x"], 2), (["maintenance", "x", "--for", "soon"], 2), (["monitor", "--engine", "ftp://x"], 2),
    (["failover"], 2), (["alert", "test", "x"], 1), (["silence"], 2), (["silence", "severity=critical"], 2),
    (["drain", "a/b"], 1), (["ready", "a/b"], 1), (["restart"], 2), (["release"], 2),
    (["config", "check", "/no/such/file"], 2), (["status", "--run-dir", "/no/such/folder"], 1)])
def test_exit_statuses(arguments, status):
    done = sentinel(*arguments)
    assert done.returncode == status, done.stderr
    assert done.stdout if status == 0 else done.stderr


def test_sighup_loads_the_file_again_and_keeps_the_old_one_when_it_is_bad(rig):
    web = rig.healthy("web")
    monitor = rig.monitor("defaults:\n  heal: none\n")
    monitor.wait_state(web.name, "healthy")
    assert monitor.service(web.name)["settings"]["heal"] == "none"
    web.simulate("unhealthy")
    monitor.wait_state(web.name, "unhealthy")

    monitor.config.write_text("defaults:\n  heal: explode\n", encoding="utf-8")
    monitor.reload()
    errors = monitor.wait_log("sentinel.config", level="error", count=2)
    assert "sentinel.yaml:2:" in errors["msg"]
    assert monitor.metrics().one("sentinel_config_last_reload_successful") == 0
    assert monitor.service(web.name)["settings"]["heal"] == "none"
    canary_name = rig.name("canary")
    assert canary_name not in monitor.services()

    monitor.config.write_text("defaults:\n  heal: restart\n", encoding="utf-8")
    monitor.reload()
    healed(monitor, web.name)
    assert monitor.metrics().one("sentinel_config_last_reload_successful") == 1
    assert monitor.service(web.name)["settings"]["heal"] == "restart"


def test_the_file_names_services_and_the_label_wins(rig):
    one, two = rig.name("one"), rig.name("two")
    rig.healthy("one")
    rig.healthy("two", labels={"sentinel.heal.budget": "2/1m"})
    monitor = rig.monitor(
        f"services:\n  {one}:\n    heal.budget: 7/1h\n  {two}:\n    heal.budget: 7/1h\nlimits:\n  max-restarts: 8\n")
    monitor.wait_state(one, "healthy")
    monitor.wait_state(two, "healthy")
    assert monitor.service(one)["settings"]["heal.budget"] == "7/1h"
    assert monitor.service(two)["settings"]["heal.budget"] == "2/1m"


def test_no_label_exceeds_the_files_limits(rig):
    web = rig.healthy("web", labels={"sentinel.heal.budget": "50/1m"})
    monitor = rig.monitor("limits:\n  max-restarts: 8\n")
    monitor.wait_state(web.name, "healthy")
    assert "at most 8" in monitor.wait_log("label_warning", web.name)["msg"] or \
        "8" in monitor.wait_log("label_warning", web.name)["msg"]
    assert monitor.service(web.name)["settings"]["heal.budget"] == "5/15m"


def test_metrics_are_compressed_on_request(rig):
    rig.healthy("web")
    monitor = rig.monitor()
    plain = monitor.get("/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    packed = monitor.get("/metrics", {"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert b"sentinel_build_info" in gzip.decompress(packed.body)
    assert monitor.metrics().find("process_resident_memory_bytes")[0][1] < 64 << 20


def test_two_monitors_do_not_share_a_run_dir(rig):
    monitor = rig.monitor()
    second = subprocess.run(monitor.command(), capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 1
    assert monitor.get("/livez").status == 200, "the first is not disturbed"
    canary(rig, monitor)

"""Own probes over the network, beside or instead of the Engine's health check."""
import pytest
from test_healing import healed, in_order

PROBE = {"sentinel.probe.http": "http://:8080/health", "sentinel.probe.http.interval": "1s",
         "sentinel.probe.http.fall": "2", "sentinel.probe.http.rise": "1"}


def test_a_probe_alone_finds_and_verifies(rig):
    web = rig.run("web", labels=PROBE, health=None)
    monitor = rig.monitor(inside=True)
    monitor.wait_state(web.name, "healthy")
    probe, = monitor.service(web.name)["probes"]
    assert {"connect", "processing"} <= set(probe["phases"]) <= {"connect", "processing", "transfer"}, probe
    assert 0 < sum(probe["phases"].values()) <= probe["took_seconds"] * 1.01
    web.simulate("unhealthy")
    healed(monitor, web.name)
    assert rig.recorder.count(web, "restart") == 1
    in_order(monitor.sentences(web.name), f"{web.name} is unhealthy: ", f"restarting {web.name} because: ",
             f"{web.name} is healthy (was unhealthy for ")
    metrics = monitor.metrics()
    assert metrics.one("sentinel_probe_success", service=web.name, probe="http") == 1
    assert metrics.one("sentinel_probes_total", service=web.name, probe="http", result="fail") >= 2
    assert metrics.one("sentinel_probe_failures_total", service=web.name, probe="http", reason="status") >= 2
    assert metrics.one("sentinel_probe_http_status_code", service=web.name, probe="http") == 200


def test_a_probe_heals_before_the_health_check_notices(rig):
    web = rig.run("web", labels=PROBE, health={"interval": 3600, "timeout": 5, "retries": 3})
    monitor = rig.monitor(inside=True)
    monitor.wait_state(web.name, "healthy")
    web.simulate("unhealthy")
    healed(monitor, web.name)
    assert rig.recorder.count(web, "health_status: unhealthy") == 0
    assert rig.recorder.count(web, "restart") == 1


def test_a_refused_connection_reads_as_unreachable(rig):
    web = rig.run("web", labels=PROBE, health=None)
    monitor = rig.monitor(inside=True)
    monitor.wait_state(web.name, "healthy")
    web.simulate("refuse?for=5m")
    line = monitor.wait_log("service.transition", web.name, to="unhealthy")
    assert line["msg"] == f"{web.name} unreachable: connection refused"
    assert line["error.type"] == "refused"
    healed(monitor, web.name)


def test_a_hang_reads_as_a_timeout(rig):
    web = rig.run("web", labels={**PROBE, "sentinel.probe.http.timeout": "500ms"}, health=None)
    monitor = rig.monitor(inside=True)
    monitor.wait_state(web.name, "healthy")
    web.simulate("hang?for=5m")
    line = monitor.wait_log("service.transition", web.name, to="unhealthy")
    assert line["msg"] == f"{web.name} unreachable: no answer within 500 ms"
    assert line["error.type"] == "timeout"
    healed(monitor, web.name)


def test_degraded_is_shown_and_not_healed(rig):
    web = rig.run("web", labels=PROBE)
    monitor = rig.monitor(inside=True)
    monitor.wait_state(web.name, "healthy")
    web.simulate("degraded")
    monitor.wait_state(web.name, "degraded")
    web.simulate("recover")
    monitor.wait_state(web.name, "healthy")
    assert rig.recorder.count(web, "kill") == 0


def test_heal_on_says_which_failures_may_act(rig):
    web = rig.run("web", labels={**PROBE, "sentinel.heal.on": "unhealthy"}, health=None)
    monitor = rig.monitor(inside=True)
    monitor.wait_state(web.name, "healthy")
    web.simulate("unhealthy")
    monitor.wait_state(web.name, "unhealthy")
    monitor.wait_log("left_alone", web.name)
    web.simulate("recover")
    monitor.wait_state(web.name, "healthy")
    assert rig.recorder.count(web, "kill") == 0


@pytest.mark.parametrize("bad", ["ftp://:8080", "http://example.org/health", "http://169.254.169.254/", "nonsense"])
def test_a_probe_that_may_not_be_is_left_out_with_a_warning(rig, bad):
    web = rig.healthy("web", labels={"sentinel.probe.http": bad})
    monitor = rig.monitor(inside=True)
    monitor.wait_state(web.name, "healthy")
    warning = monitor.wait_log("label_warning", web.name)
    assert "sentinel.probe.http" in warning["msg"] and web.name in warning["msg"]
    assert monitor.service(web.name)["probes"] == []

"""Engines and the monitor itself die, freeze and change in the middle of everything."""
import os
import random
import signal
import subprocess

import pytest
from support.engine import Engine
from support.rig import Rig
from support.wait import eventually
from test_healing import canary, healed


def begin_slow_heal(rig, monitor, seconds=6, **options):
    web = rig.healthy("web", "--ignore-sigterm", stop_timeout=seconds, **options)
    monitor.wait_state(web.name, "healthy")
    web.simulate("unhealthy")
    rig.recorder.wait_for(web, "kill")
    monitor.wait_log("heal_started", web.name)  # written by a thread of its own, a little later than it happened
    return web


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["no", "always"])
def test_an_engine_killed_in_the_middle_of_a_heal(rig, policy):
    monitor = rig.monitor()
    bystander = rig.healthy("bystander", host={"RestartPolicy": {"Name": "always"}})
    monitor.wait_state(bystander.name, "healthy")
    web = begin_slow_heal(rig, monitor, host={"RestartPolicy": {"Name": policy}})
    before = web.started_at
    rig.engine.kill()
    monitor.wait_log("engine_down", seconds=30)
    assert monitor.metrics().sum("sentinel_engine_up") == 0
    assert monitor.get("/readyz").status == 503
    assert monitor.cli("healthcheck").returncode == 0, "an Engine that is down is no reason to kill the healer"
    rig.engine.start()
    monitor.wait_log("engine_up", count=2, seconds=30)
    monitor.wait_state(web.name, "healthy", seconds=60)
    monitor.wait_state(bystander.name, "healthy", seconds=60)
    canary(rig, monitor)
    assert web.running
    assert web.started_at != before
    assert rig.recorder.count(web, "start") <= 2, f"healed twice: {rig.recorder.actions(web)}"
    assert rig.recorder.count(web, "restart") == 0, f"healed twice: {rig.recorder.actions(web)}"
    assert not monitor.log("heal_started", bystander.name), "its restart policy brings it back, not we"
    assert monitor.get("/api/v1/status").json["healing"]["in_flight"] == 0
    assert monitor.metrics().one("sentinel_recovery_budget_remaining", service=web.name) == 4
    assert monitor.metrics().sum("sentinel_engine_event_stream_reconnects_total") >= 1


def test_the_monitor_starts_before_the_engine(rig):
    web = rig.healthy("web", host={"RestartPolicy": {"Name": "always"}})
    monitor = rig.prepare()
    rig.engine.kill()
    monitor.start()
    monitor.wait_log("engine_down", seconds=30)
    rig.engine.start()
    monitor.wait_ready(30)
    monitor.wait_state(web.name, "healthy", seconds=30)
    assert len(monitor.log("engine_down")) == 1, "said once"
    web.simulate("unhealthy")
    healed(monitor, web.name, seconds=30)
    assert rig.recorder.count(web, "restart") == 1


@pytest.mark.slow
@pytest.mark.version("20.10")
def test_an_engine_upgraded_under_a_running_monitor(rig):
    monitor = rig.monitor()
    web = rig.healthy("web", host={"RestartPolicy": {"Name": "always"}})
    monitor.wait_state(web.name, "healthy")
    assert monitor.get("/api/v1/status").json["engine"]["api_version"] == "1.41"
    try:
        rig.engine.kill()
        rig.engine.start("26.1")
        monitor.wait_log("engine_up", count=2, seconds=60)
        assert monitor.get("/api/v1/status").json["engine"]["api_version"] == "1.45"
        monitor.wait_state(web.name, "healthy", seconds=60)
        web.simulate("unhealthy")
        healed(monitor, web.name, seconds=60)
        assert rig.recorder.count(web, "restart") == 1
    finally:
        # Data that a newer Engine has touched is not for an older one.
        rig.engine.stop(purge=True)
        rig.engine.start("20.10")
        rig.engine.import_image(*rig.image)


@pytest.mark.slow
def test_an_engine_that_hangs_for_20_s_in_the_middle_of_a_heal(rig):
    monitor = rig.monitor()
    web = begin_slow_heal(rig, monitor, 2, labels={"sentinel.heal.verify-timeout": "2m"})
    rig.engine.freeze()
    try:
        with pytest.raises(AssertionError):
            rig.recorder.wait_for(web, "restart", 20)
        assert monitor.get("/livez").status == 200
    finally:
        rig.engine.thaw()
    healed(monitor, web.name, seconds=60)
    canary(rig, monitor)
    assert rig.recorder.count(web, "restart") == 1, rig.recorder.actions(web)
    assert rig.recorder.count(web, "start") == 2
    assert monitor.get("/api/v1/status").json["healing"]["in_flight"] == 0


@pytest.mark.slow
def test_an_engine_that_hangs_for_good_is_shown_as_down_until_it_is_back(rig):
    monitor = rig.monitor()
    web = rig.healthy("web")
    monitor.wait_state(web.name, "healthy")
    rig.engine.freeze()
    try:
        # Nothing is asked of an idle Engine but the next list and the renewal of its event stream.
        monitor.wait_log("engine_down", seconds=150)
        assert monitor.metrics().sum("sentinel_engine_up") == 0
        assert monitor.get("/readyz").status == 503
        assert "blind" in monitor.service(web.name)["overlays"]
        assert not monitor.log("service.transition", web.name, to="unhealthy"), "not seeing is not failing"
    finally:
        rig.engine.thaw()
    monitor.wait_log("engine_up", count=2, seconds=30)
    web.simulate("unhealthy")
    healed(monitor, web.name, seconds=40)
    assert rig.recorder.count(web, "restart") == 1


@pytest.mark.version("20.10")
@pytest.mark.slow
def test_health_checks_that_stopped_with_the_old_daemon_are_reported_stale(engine_version, pytestconfig, request):
    engine = Engine(f"e2elive-{os.getpid()}", engine_version, live_restore=True)
    assert engine.claim()
    engine.start()
    try:
        engine.import_image(*pytestconfig.e2e_image)
        rig = Rig(engine, engine_version, request.node.name, pytestconfig.e2e_image)
        try:
            web = rig.healthy("web", health={"interval": 1, "timeout": 1, "retries": 1})
            monitor = rig.monitor()
            monitor.wait_state(web.name, "healthy")
            before = web.state["Pid"]
            engine.kill()
            engine.start()
            assert web.state["Pid"] == before, "live-restore keeps it running"
            monitor.wait_log("health_stale", web.name, 40)
            assert monitor.service(web.name)["engine"]["health_stale"] is True
            assert rig.recorder.count(web, "kill") == 0
        finally:
            rig.close()
    finally:
        engine.forget()


@pytest.mark.slow
def test_a_monitor_killed_in_the_middle_of_a_heal(rig):
    monitor = rig.monitor()
    web = begin_slow_heal(rig, monitor, 4)
    monitor.kill()
    monitor.start()
    monitor.wait_ready()
    monitor.wait_log("heal_started", web.name, count=2)
    healed(monitor, web.name, seconds=40)
    canary(rig, monitor)
    assert rig.recorder.count(web, "restart") == 1
    assert rig.recorder.count(web, "start") == 2
    assert monitor.metrics().one("sentinel_recovery_budget_remaining", service=web.name) == 4


@pytest.mark.slow
def test_a_monitor_killed_at_any_moment_of_a_heal_heals_once(rig):
    seed = int(os.environ.get("SENTINEL_SEED", random.randrange(1 << 32)))
    print("SENTINEL_SEED", seed)
    chance = random.Random(seed)
    rounds = 6
    web = rig.healthy("web", stop_timeout=1, labels={"sentinel.heal.budget": "20/15m"})
    monitor = rig.monitor()
    for number in range(1, rounds + 1):
        monitor.wait_state(web.name, "healthy", seconds=30)
        web.simulate("unhealthy")
        rig.recorder.wait_for(web, "health_status: unhealthy", count=number)
        # Before the request, in its middle, or after it.
        with pytest.raises(subprocess.TimeoutExpired):
            monitor.process.wait(chance.choice([0.001, 0.005, 0.01, 0.02, 0.1, 0.5]))
        monitor.kill()
        monitor.start()
        monitor.wait_ready()
        rig.recorder.wait_for(web, "restart", count=number, seconds=40)
    monitor.wait_state(web.name, "healthy", seconds=30)
    canary(rig, monitor)
    assert rig.recorder.count(web, "restart") == rounds, rig.recorder.actions(web)
    assert monitor.get("/api/v1/status").json["healing"]["in_flight"] == 0
    # An attempt that was stored but never sent costs as much as one the Engine did not carry out.
    spent = rounds + len(monitor.log("heal_failed", web.name, result="engine_error"))
    assert monitor.metrics().one("sentinel_recovery_budget_remaining", service=web.name) == 20 - spent


def test_quarantine_outlives_the_monitor(rig):
    monitor = rig.monitor()
    web = rig.run("web", "--start-unhealthy", labels={"sentinel.heal.budget": "1/1m", "sentinel.heal.verify-timeout": "2s"})
    monitor.wait_log("quarantined", web.name, 40)
    count = rig.recorder.count(web, "restart")
    assert count == 1
    monitor.kill()
    monitor.start()
    monitor.wait_ready()
    monitor.wait_state(web.name, "quarantined")
    canary(rig, monitor)
    assert rig.recorder.count(web, "restart") == count


def test_sigterm_ends_it_within_two_seconds_and_leaves_a_heal_to_its_successor(rig):
    monitor = rig.monitor()
    web = begin_slow_heal(rig, monitor, 5)
    assert monitor.stop(2) == 0
    assert monitor.log("sentinel.stopped")
    monitor.start()
    monitor.wait_ready()
    healed(monitor, web.name, seconds=30)
    assert rig.recorder.count(web, "restart") == 1


def test_a_stopped_monitor_catches_up(rig):
    web = rig.healthy("web")
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    os.kill(monitor.process.pid, signal.SIGSTOP)
    try:
        web.simulate("unhealthy")
        rig.recorder.wait_for(web, "health_status: unhealthy")
    finally:
        os.kill(monitor.process.pid, signal.SIGCONT)
    healed(monitor, web.name)
    assert rig.recorder.count(web, "restart") == 1


def test_data_that_cannot_be_kept_does_not_stop_healing(rig):
    web = rig.healthy("web")
    monitor = rig.monitor(wait=False, data_dir="/proc/sentinel-cannot-write-here")
    eventually(lambda: web.name in (monitor.services() if monitor.listening() else {}), "it watches", 20)
    assert monitor.get("/readyz").status == 503
    web.simulate("unhealthy")
    healed(monitor, web.name)

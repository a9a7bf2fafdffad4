"""What a person asks for: a restart now, an end of a quarantine."""
from support.wait import eventually
from test_healing import healed, in_order


def test_a_restart_asked_for_is_done_once_and_verified(rig):
    web = rig.healthy("web", labels={"sentinel.heal": "none"})
    monitor = rig.monitor(level="info")
    monitor.wait_state(web.name, "healthy")
    asked = monitor.cli("restart", web.name, "--reason", "new certificate")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout == f"{web.name} will be restarted\n"
    healed(monitor, web.name)
    assert rig.recorder.actions(web).count("restart") == 1
    assert rig.recorder.count(web, "kill") == 1
    in_order(monitor.sentences(web.name), f"a restart of {web.name} was asked for by ",
             f"restarting {web.name}, as was asked for (restart 1 of 5)", f"{web.name} was restarted in ",
             f"{web.name} is healthy")
    assert monitor.wait_log("restart_asked", web.name)["msg"].endswith(": new certificate")
    explained = monitor.cli("explain", web.name).stdout
    assert "was asked for by " in explained and "(4 left)" in explained
    metrics = monitor.metrics()
    assert metrics.one("sentinel_recovery_actions_total", service=web.name, action="restart", result="healthy") == 1
    assert metrics.sum("sentinel_engine_requests_total", operation="restart") == 1


def test_what_is_paused_is_not_restarted_what_is_stopped_is_started(rig):
    web = rig.healthy("web")
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    web.pause()
    eventually(lambda: "paused" in monitor.service(web.name)["overlays"], "it is seen as paused", 20)
    refused = monitor.cli("restart", web.name)
    assert refused.returncode == 1
    assert refused.stderr == f"sentinel: {web.name} cannot be restarted now: it is paused\n"
    web.unpause()
    # The Engine calls unhealthy what it has paused, until a check has passed: that is no illness.
    eventually(lambda: web.inspect()["State"]["Health"]["Status"] == "healthy", "a check has passed", 20)
    assert rig.recorder.count(web, "kill") == 0
    web.stop()
    monitor.wait_state(web.name, "stopped")
    done = monitor.post(f"/api/v1/services/{web.name}/restart", {"by": "a test"})
    assert done.status == 202 and done.json == {"text": f"{web.name} will be restarted"}
    monitor.wait_state(web.name, "healthy")
    assert rig.recorder.count(web, "start") == 2


def test_a_service_in_quarantine_is_released(rig):
    monitor = rig.monitor()
    web = rig.run("web", "--start-unhealthy", labels={
        "sentinel.heal.budget": "1/1m", "sentinel.heal.verify-timeout": "2s", "sentinel.heal.trial": "0s"})
    monitor.wait_state(web.name, "quarantined", seconds=40)
    assert rig.recorder.count(web, "restart") == 1
    released = monitor.cli("release", web.name, "--reason", "repaired")
    assert released.returncode == 0, released.stderr
    assert released.stdout == f"{web.name} is released from quarantine\n"
    rig.recorder.wait_for(web, "restart", 20, 2)
    assert monitor.wait_log("released", web.name)["msg"].endswith(": repaired; it has its whole budget again")
    web.simulate("recover")
    monitor.wait_state(web.name, "healthy")
    again = monitor.cli("release", web.name)
    assert again.returncode == 1 and "it is not quarantined" in again.stderr

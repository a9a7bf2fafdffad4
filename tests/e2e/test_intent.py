"""What people want with a container comes before healing it."""
import json
import subprocess

import pytest
from support.engine import Container
from test_healing import canary, healed

PENDING = {"sentinel.heal.delay": "4s"}


def compose(service, project="shop", number=1):
    return {"com.docker.compose.project": project, "com.docker.compose.service": service,
            "com.docker.compose.container-number": str(number), "com.docker.compose.oneoff": "False"}


def pending(rig, monitor, container, service=None):
    """Makes it fail and waits until its restart is planned but has not begun."""
    service = service or container.name
    monitor.wait_state(service, "healthy")
    container.simulate("unhealthy")
    monitor.wait_state(service, "unhealthy")
    row = monitor.services()[service]
    assert row["phase"] == "waiting", row


def due(rig, monitor):
    """Returns once a restart that was planned later than all others has happened."""
    witness = rig.healthy("witness", labels=PENDING)
    pending(rig, monitor, witness)
    healed(monitor, witness.name)


def test_what_is_not_labelled_is_not_touched(rig):
    unlabelled = rig.healthy("unlabelled", enable=False)
    refused = rig.healthy("refused", enable=False, labels={"sentinel.enable": "false"})
    monitor = rig.monitor()
    for one in (unlabelled, refused):
        one.simulate("unhealthy")
        rig.recorder.wait_for(one, "health_status: unhealthy")
    canary(rig, monitor)
    for one in (unlabelled, refused):
        assert rig.recorder.count(one, "kill") == 0
        assert one.name not in monitor.services()
        assert one.name not in monitor.metrics().text


def test_all_are_watched_when_the_file_says_so(rig):
    one = rig.healthy("one", enable=False)
    excluded = rig.healthy("excluded", enable=False, labels={"sentinel.enable": "false"})
    monitor = rig.monitor("watch: all\n")
    monitor.wait_state(one.name, "healthy")
    excluded.simulate("unhealthy")
    rig.recorder.wait_for(excluded, "health_status: unhealthy")
    one.simulate("unhealthy")
    healed(monitor, one.name)
    assert rig.recorder.count(excluded, "kill") == 0


def test_left_alone_by_nature(rig):
    removing = rig.healthy("once", host={"AutoRemove": True})
    swarm = rig.healthy("task", labels={"com.docker.swarm.task.id": "abc"})
    monitor = rig.monitor()
    for one in (removing, swarm):
        monitor.wait_state(one.name, "healthy")
        one.simulate("unhealthy")
    for one in (removing, swarm):
        monitor.wait_log("left_alone", one.name)
    canary(rig, monitor)
    for one in (removing, swarm):
        assert rig.recorder.count(one, "kill") == 0
        assert one.running


def test_its_own_container_is_never_healed(rig):
    health = {"test": ["CMD", "/usr/bin/no-such-program"], "interval": 1, "retries": 1}
    own = rig.run("own", health=health, User="0:0", labels={"sentinel.heal": "restart"},
                  command=["/usr/bin/sentinel", "monitor", "--listen", "none", "--log-format", "json"],
                  host={"Binds": [f"{rig.engine.socket}:/var/run/docker.sock"]})
    rig.recorder.wait_for(own, "health_status: unhealthy")
    other = rig.healthy("other")
    other.simulate("unhealthy")
    rig.recorder.wait_for(other, "restart")
    rig.recorder.wait_for(other, "health_status: healthy", count=2)
    assert rig.recorder.count(own, "kill") == 0
    assert rig.recorder.count(other, "restart") == 1


def test_removed_while_a_restart_is_pending(rig):
    web = rig.healthy("web", labels=PENDING)
    monitor = rig.monitor()
    pending(rig, monitor, web)
    web.remove()
    monitor.wait_state(web.name, "stopped")
    due(rig, monitor)
    assert not monitor.log("heal_started", web.name)
    assert not monitor.log(level="error", service=web.name, to="stopped")


def test_renamed_while_a_restart_is_pending(rig):
    web = rig.healthy("web", labels=PENDING)
    monitor = rig.monitor()
    pending(rig, monitor, web)
    web.rename(rig.name("renamed"))
    healed(monitor, web.name)
    due(rig, monitor)
    assert rig.recorder.count(web, "restart") == 1
    assert web.running


def test_a_compose_service_keeps_its_identity_when_its_container_is_renamed(rig):
    service = rig.name("front")
    web = rig.healthy("web", labels={**PENDING, **compose(service)})
    monitor = rig.monitor()
    pending(rig, monitor, web, service)
    web.rename(rig.name("renamed"))
    healed(monitor, service)
    assert rig.recorder.count(web, "restart") == 1
    assert monitor.metrics().one("sentinel_service_transitions_total", project="shop", service=service,
                                 **{"from": "healthy", "to": "unhealthy"}) == 1


@pytest.mark.parametrize("identity", ["compose", "name"])
def test_recreated_while_a_restart_is_pending(rig, identity):
    service = rig.name("front") if identity == "compose" else rig.name("web")
    labels = {**PENDING, **(compose(service) if identity == "compose" else {})}
    old = rig.healthy("web", labels=labels)
    monitor = rig.monitor()
    pending(rig, monitor, old, service)
    old.remove()
    new = rig.healthy("web", labels=labels)
    monitor.wait_state(service, "healthy")
    due(rig, monitor)
    assert rig.recorder.count(new, "kill") == 0
    assert rig.recorder.count(old, "restart") == 0
    assert monitor.service(service)["container"] == new.id


def test_compose_recreates_while_a_restart_is_pending(rig, tmp_path):
    service = rig.name("front")
    definition = {"services": {service: {
        "image": rig.engine.image, "entrypoint": ["/usr/bin/demo-service"], "network_mode": "bridge",
        "labels": {"sentinel.enable": "true", **PENDING}, "stop_grace_period": "2s",
        "healthcheck": {"test": ["CMD", "/usr/bin/demo-service", "healthcheck"], "interval": "1s", "timeout": "5s",
                        "retries": 1}}}}
    file = tmp_path / "compose.json"
    file.write_text(json.dumps(definition), encoding="utf-8")

    def compose_up(*arguments):
        done = subprocess.run(["docker", "-H", f"unix://{rig.engine.socket}", "compose", "-p", rig.prefix, "-f", str(file),
                               "up", "-d", *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        row = rig.engine.call("GET", "/containers/json", filters={"label": [f"com.docker.compose.service={service}"]})
        assert len(row) == 1
        return Container(rig.engine, row[0]["Id"], row[0]["Names"][0])

    old = compose_up()
    monitor = rig.monitor()
    pending(rig, monitor, old, service)
    new = compose_up("--force-recreate")
    assert new.id != old.id
    monitor.wait_state(service, "healthy")
    due(rig, monitor)
    assert rig.recorder.actions(new).count("restart") == 0
    assert rig.recorder.count(new, "kill") == 0
    assert rig.recorder.count(old, "restart") == 0
    row = monitor.service(service)
    assert (row["container"], row["full_name"]) == (new.id, f"{rig.prefix}/{service}/1")
    assert not monitor.log("heal_started", service)


def test_what_a_recreated_service_has_spent_stays_spent(rig):
    service = rig.name("front")
    old = rig.healthy("old", labels=compose(service))
    monitor = rig.monitor()
    monitor.wait_state(service, "healthy")
    old.simulate("unhealthy")
    healed(monitor, service)
    old.remove()
    rig.healthy("new", labels=compose(service))
    monitor.wait_state(service, "healthy")
    assert monitor.metrics().one("sentinel_recovery_budget_remaining", service=service) == 4


def test_paused_while_a_restart_is_pending(rig):
    web = rig.healthy("web", labels=PENDING)
    monitor = rig.monitor()
    pending(rig, monitor, web)
    web.pause()
    rig.recorder.wait_for(web, "pause")
    due(rig, monitor)
    assert rig.recorder.count(web, "kill") == 0
    assert web.state["Status"] == "paused"
    assert "paused" in monitor.service(web.name)["overlays"]
    web.unpause()
    healed(monitor, web.name)
    assert rig.recorder.count(web, "restart") == 1


def test_stopped_by_hand_while_a_restart_is_pending(rig):
    web = rig.healthy("web", labels={**PENDING, "sentinel.heal.on": "unhealthy,exited"})
    monitor = rig.monitor()
    pending(rig, monitor, web)
    web.stop()
    monitor.wait_state(web.name, "stopped")
    due(rig, monitor)
    assert not web.running
    assert rig.recorder.count(web, "start") == 1


def test_restarted_by_hand_while_a_restart_is_pending(rig):
    web = rig.healthy("web", labels=PENDING)
    monitor = rig.monitor()
    pending(rig, monitor, web)
    web.call("POST", "/restart", t=2)
    monitor.wait_state(web.name, "healthy")
    due(rig, monitor)
    assert rig.recorder.count(web, "restart") == 1
    assert not monitor.log("heal_started", web.name)


def begun(rig, monitor, container):
    """Makes it fail and waits until the Engine has begun to restart it; it takes its whole stop timeout."""
    monitor.wait_state(container.name, "healthy")
    container.simulate("unhealthy")
    rig.recorder.wait_for(container, "kill")


def test_removed_while_it_is_being_restarted(rig):
    web = rig.healthy("web", "--ignore-sigterm", stop_timeout=4)
    monitor = rig.monitor()
    begun(rig, monitor, web)
    web.remove()
    monitor.wait_log("heal_abandoned", web.name)
    canary(rig, monitor)
    assert monitor.get("/api/v1/status").json["healing"]["in_flight"] == 0


def test_renamed_while_it_is_being_restarted(rig):
    web = rig.healthy("web", "--ignore-sigterm", stop_timeout=4)
    monitor = rig.monitor()
    begun(rig, monitor, web)
    web.rename(rig.name("renamed"))
    rig.recorder.wait_for(web, "restart")
    monitor.wait_state(web.name, "healthy")
    canary(rig, monitor)
    assert rig.recorder.count(web, "restart") == 1


def test_stopped_by_hand_while_it_is_being_restarted(rig):
    web = rig.healthy("web", "--ignore-sigterm", stop_timeout=4)
    monitor = rig.monitor()
    begun(rig, monitor, web)
    web.stop(1)  # the Engine does both at once: who is last is not ours to say
    rig.recorder.wait_for(web, "restart")
    monitor.wait_log("interference", web.name)
    monitor.wait_state(web.name, "stopped", "healthy")
    canary(rig, monitor)
    assert len(monitor.log("heal_started", web.name)) == 1, "and it stays as they left it"
    assert rig.recorder.count(web, "restart") == 1


def test_maintenance_suspends_healing(rig):
    web = rig.healthy("web")
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    done = monitor.cli("maintenance", web.name, "--for", "30m")
    assert done.returncode == 0, done.stderr
    web.simulate("unhealthy")
    monitor.wait_state(web.name, "unhealthy")
    canary(rig, monitor)
    assert rig.recorder.count(web, "kill") == 0
    assert monitor.metrics().one("sentinel_service_maintenance", service=web.name) == 1
    assert monitor.cli("maintenance", web.name, "--end").returncode == 0
    healed(monitor, web.name)

"""What is healed, how, and what can be seen of it."""
import pytest
from support.rig import CHECK


def in_order(sentences, *beginnings):
    """Each beginning is found in a sentence after the one before."""
    position = 0
    for beginning in beginnings:
        found = [i for i in range(position, len(sentences)) if sentences[i].startswith(beginning)]
        assert found, f"no '{beginning}...' from line {position} on in {sentences}"
        position = found[0] + 1


def healed(monitor, service, count=1, seconds=25):
    """The transition to healthy after a failure."""
    return monitor.wait_log("service.transition", service, seconds, count, **{"from": "recovering", "to": "healthy"})


def test_an_unhealthy_container_is_healed_seen_and_counted(rig):
    web = rig.healthy("web")
    monitor = rig.monitor(level="info")
    monitor.wait_state(web.name, "healthy")
    before = monitor.metrics()
    assert before.one("sentinel_service_transitions_total", service=web.name, **{"from": "healthy", "to": "unhealthy"}) == 0
    assert before.one("sentinel_recovery_actions_total", service=web.name, action="restart", result="healthy") == 0

    web.simulate("unhealthy")
    line = healed(monitor, web.name)

    assert rig.recorder.actions(web).count("restart") == 1
    assert rig.recorder.count(web, "kill") == 1
    assert line["down_ms"] > 0
    in_order(monitor.sentences(web.name), f"{web.name} is healthy", f"{web.name} is unhealthy: health check fails",
             f"restarting {web.name} because: health check fails", f"{web.name} is healthy (was unhealthy for ")
    told = [s for s in monitor.sentences(web.name) if "(restart 1 of 5)" in s]
    assert len(told) == 1
    after = monitor.metrics()
    assert after.state(web.name) == "healthy"
    for changed in [("healthy", "unhealthy"), ("unhealthy", "recovering"), ("recovering", "healthy")]:
        assert after.one("sentinel_service_transitions_total", service=web.name,
                         **{"from": changed[0], "to": changed[1]}) == 1, changed
    assert after.one("sentinel_recovery_actions_total", service=web.name, action="restart", result="healthy") == 1
    assert after.one("sentinel_recovery_duration_seconds_count", service=web.name) == 1
    assert after.one("sentinel_container_restarts_total", service=web.name) == 1
    assert after.one("sentinel_recovery_budget_remaining", service=web.name) == 4
    assert after.one("sentinel_service_downtime_seconds_total", service=web.name) > 0
    assert after.sum("sentinel_engine_up") == 1
    assert after.sum("sentinel_engine_requests_total", operation="restart") == 1


def test_a_failure_in_the_start_period_is_left_alone(rig):
    monitor = rig.monitor()
    web = rig.run("web", "--start-unhealthy=3s", health={"interval": 1, "timeout": 5, "retries": 1, "start_period": 60})
    monitor.wait_state(web.name, "starting")
    monitor.wait_state(web.name, "healthy")
    assert web.health == "healthy"
    assert rig.recorder.actions(web) == ["create", "start", "health_status: healthy"]
    assert not monitor.log("service.transition", web.name, to="unhealthy")


def test_a_start_grace_by_label_holds_healing_although_the_engine_says_unhealthy(rig):
    monitor = rig.monitor()
    web = rig.run("web", "--start-unhealthy=4s", labels={"sentinel.heal.start-grace": "60s"})
    rig.recorder.wait_for(web, "health_status: unhealthy")
    rig.recorder.wait_for(web, "health_status: healthy")
    monitor.wait_state(web.name, "healthy")
    assert rig.recorder.count(web, "kill") == 0
    assert not monitor.log("service.transition", web.name, to="unhealthy")


def test_three_hung_processes_are_healed_in_the_time_of_one(rig):
    stop_timeout = 4
    hung = [rig.healthy(f"hung-{i}", "--ignore-sigterm", stop_timeout=stop_timeout,
                        health={"interval": 1, "timeout": 1, "retries": 1}) for i in range(3)]
    monitor = rig.monitor()
    for one in hung:
        monitor.wait_state(one.name, "healthy")
    for one in hung:
        one.simulate("hang?for=5m")
    for one in hung:
        healed(monitor, one.name, seconds=40)
    spans = rig.recorder.spans(hung)
    assert len(spans) == 3
    for begin, end in spans:
        assert end - begin >= stop_timeout - 0.1, "the stop timeout was not given"
    # One after the other would have taken three times the stop timeout.
    assert max(end for _, end in spans) - min(begin for begin, _ in spans) < 2.5 * stop_timeout


def test_the_stop_timeout_of_the_label_wins(rig):
    web = rig.healthy("web", "--ignore-sigterm", stop_timeout=60, labels={"sentinel.heal.stop-timeout": "2s"})
    monitor = rig.monitor()
    web.simulate("unhealthy")
    healed(monitor, web.name)
    begin, end = rig.recorder.spans([web])[0]
    assert end - begin < 10


@pytest.mark.slow
def test_failing_for_ever_spends_exactly_the_budget_then_quarantine_then_trials(rig):
    monitor = rig.monitor("limits:\n  min-trial: 1s\n")
    web = rig.run("web", "--start-unhealthy", labels={
        "sentinel.heal.budget": "3/1m", "sentinel.heal.verify-timeout": "3s", "sentinel.heal.trial": "5s"})
    monitor.wait_log("quarantined", web.name, 60)
    assert rig.recorder.count(web, "restart") == 3, "as many restarts as the budget allows"
    assert len(monitor.log("heal_started", web.name)) == 3
    assert len(monitor.log("heal_failed", web.name, result="not_verified")) == 3
    metrics = monitor.metrics()
    assert metrics.state(web.name) == "quarantined"
    assert metrics.one("sentinel_recovery_budget_remaining", service=web.name) == 0
    assert metrics.one("sentinel_recovery_actions_total", service=web.name, action="restart", result="not_verified") == 3
    for number in (1, 2):
        monitor.wait_log("trial", web.name, 30, number)
        rig.recorder.wait_for(web, "restart", 20, 3 + number)
    monitor.wait_state(web.name, "quarantined", seconds=30)
    assert rig.recorder.count(web, "restart") == 5, "one restart for each trial"
    assert len(monitor.log("heal_started", web.name)) == 3, "trials are no attempts of the budget"


@pytest.mark.slow
def test_a_trial_that_succeeds_ends_the_quarantine(rig):
    # Five runs: the container's own, three of the budget, then the trial's. The fifth is told to be well.
    monitor = rig.monitor("limits:\n  min-trial: 1s\n")
    web = rig.run("web", "--start-unhealthy", labels={
        "sentinel.heal.budget": "1/1m", "sentinel.heal.verify-timeout": "20s", "sentinel.heal.trial": "3s"})
    rig.recorder.wait_for(web, "restart", 30)
    monitor.wait_log("trial", web.name, 60)
    rig.recorder.wait_for(web, "restart", 20, 2)
    web.simulate("recover")
    monitor.wait_state(web.name, "healthy", seconds=30)
    assert monitor.metrics().state(web.name) == "healthy"
    assert rig.recorder.count(web, "restart") == 2


def test_the_kill_rung_kills_and_starts(rig):
    web = rig.healthy("web", "--ignore-sigterm", stop_timeout=60, labels={"sentinel.heal": "kill"})
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    web.simulate("unhealthy")
    healed(monitor, web.name)
    assert rig.recorder.actions(web) == [
        "create", "start", "health_status: healthy", "health_status: unhealthy", "kill", "die", "start",
        "health_status: healthy"]
    assert monitor.metrics().one("sentinel_recovery_actions_total", service=web.name, action="kill", result="healthy") == 1


def test_the_stop_rung_stops_and_leaves_it(rig):
    web = rig.healthy("web", labels={"sentinel.heal": "stop"})
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    web.simulate("unhealthy")
    rig.recorder.wait_for(web, "stop")
    monitor.wait_state(web.name, "stopped")
    canary(rig, monitor)
    assert not web.running
    assert rig.recorder.count(web, "start") == 1
    web.start()
    monitor.wait_state(web.name, "healthy")


def canary(rig, monitor):
    """Another container fails and is healed: what would have happened to the others by then has happened."""
    other = rig.healthy("canary")
    monitor.wait_state(other.name, "healthy")
    other.simulate("unhealthy")
    healed(monitor, other.name)
    return other


@pytest.mark.slow
def test_the_ladder_is_climbed_rung_by_rung(rig):
    monitor = rig.monitor()
    web = rig.run("web", "--start-unhealthy", labels={
        "sentinel.heal": "restart,kill,stop", "sentinel.heal.verify-timeout": "3s"})
    # Created and not yet started it is `stopped`, too: only after the last rung does that tell anything.
    monitor.wait_log("heal_started", web.name, 40, action="stop")
    monitor.wait_state(web.name, "stopped")
    assert [line["action"] for line in monitor.log("heal_started", web.name)] == ["restart", "kill", "stop"]
    acts = [a for a in rig.recorder.actions(web) if a in ("restart", "start", "stop", "kill")]
    assert acts == ["start", "kill", "stop", "start", "restart", "kill", "start", "kill", "stop"]
    assert not web.running


def test_an_exited_container_is_started_when_the_label_says_so(rig):
    labels = {"sentinel.heal.on": "unhealthy,exited"}
    web = rig.healthy("web", labels=labels)
    # Not unhealthy before it has exited: a check may find it on its way out.
    other = rig.healthy("other", health={**CHECK, "retries": 100})
    stopped = rig.healthy("stopped", labels=labels)
    killed = rig.healthy("killed", labels=labels)
    monitor = rig.monitor()
    for one in (web, other, stopped, killed):
        monitor.wait_state(one.name, "healthy")
    other.simulate("exit?code=3")
    rig.recorder.wait_for(other, "die")
    stopped.stop()
    killed.kill()
    web.simulate("exit?code=3")
    healed(monitor, web.name)
    assert rig.recorder.count(web, "start") == 2
    for one, why in ((other, "heal.on does not name exited"), (stopped, "an operator stopped it"),
                     (killed, "an operator killed it")):
        assert rig.recorder.count(one, "start") == 1, why
        assert not one.running, why
    assert monitor.state(other.name) == "unhealthy"
    assert monitor.log("left_alone", other.name)
    assert monitor.state(stopped.name) == "stopped"
    assert monitor.state(killed.name) == "stopped"


def test_a_crash_is_no_stop(rig):
    web = rig.healthy("web", labels={"sentinel.heal.on": "exited"})
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    web.simulate("crash")
    healed(monitor, web.name)
    assert rig.recorder.count(web, "start") == 2


def test_a_restart_policy_at_work_is_left_to_it(rig):
    web = rig.healthy("web", labels={"sentinel.heal.on": "unhealthy,exited"},
                      host={"RestartPolicy": {"Name": "always"}})
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    web.simulate("exit?code=3")
    rig.recorder.wait_for(web, "start", count=2)
    monitor.wait_state(web.name, "healthy")
    assert rig.recorder.count(web, "start") == 2
    assert monitor.metrics().one("sentinel_container_restarts_total", service=web.name) == 1
    assert not monitor.log("heal_started", web.name)


def test_none_observes_only(rig):
    web = rig.healthy("web", labels={"sentinel.heal": "none"})
    monitor = rig.monitor()
    monitor.wait_state(web.name, "healthy")
    web.simulate("unhealthy")
    monitor.wait_state(web.name, "unhealthy")
    canary(rig, monitor)
    assert rig.recorder.count(web, "kill") == 0
    assert monitor.metrics().state(web.name) == "unhealthy"
    assert monitor.log("left_alone", web.name)

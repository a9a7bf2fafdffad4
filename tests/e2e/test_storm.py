"""Many at once: held, reported, then healed, never more than the cap."""
import datetime

import pytest
from support.recorder import most_at_once
from test_healing import healed

MANY = 20


def engine_time(line):
    return datetime.datetime.fromisoformat(line["time"]).timestamp()


@pytest.mark.slow
def test_twenty_unhealthy_at_once_are_held_reported_and_healed_at_the_cap(rig):
    hold = 6
    check = {"interval": 3, "timeout": 10, "retries": 1}
    # The delay lets the Engine report all of them first, as slow as this machine may be.
    labels = {"sentinel.heal.delay": "3s", "sentinel.heal.verify-timeout": "2m"}
    many = [rig.create(f"many-{i}", labels=labels, health=check) for i in range(MANY)]
    for one in many:
        one.start()
    monitor = rig.monitor(f"heal:\n  storm-hold: {hold}s\n  storm-window: 1m\n  max-concurrent: 3\n")
    for one in many:
        monitor.wait_state(one.name, "healthy", seconds=60)
    for one in many:
        one.simulate("unhealthy")
    began = monitor.wait_log("storm_began", seconds=40)
    assert f"of {MANY} services turned unhealthy" in began["msg"]
    assert monitor.get("/api/v1/status").json["healing"]["storm_hold"] is True
    ended = monitor.wait_log("storm_ended", seconds=hold + 10)
    for one in many:
        healed(monitor, one.name, seconds=90)

    kills = sorted(e.seconds for one in many for e in rig.recorder.events(one, "kill"))
    held = [k for k in kills if engine_time(began) + 0.3 < k < engine_time(ended)]
    assert held == [], "nothing is begun during the hold"
    assert engine_time(ended) - engine_time(began) == pytest.approx(hold, abs=1)
    spans = rig.recorder.spans(many)
    assert len(spans) == MANY
    assert [rig.recorder.count(one, "restart") for one in many] == [1] * MANY
    assert most_at_once(spans) <= 3
    assert most_at_once(spans) >= 2, "the cap is used"
    metrics = monitor.metrics()
    assert metrics.sum("sentinel_recovery_actions_total", result="healthy") == MANY
    assert len(monitor.log("storm_began")) == 1


def test_the_cap_holds_for_slow_restarts(rig):
    slow = [rig.healthy(f"slow-{i}", "--ignore-sigterm", stop_timeout=2) for i in range(4)]
    monitor = rig.monitor("heal:\n  max-concurrent: 2\n  storm-hold: 0s\n")
    for one in slow:
        monitor.wait_state(one.name, "healthy")
    for one in slow:
        one.simulate("unhealthy")
    for one in slow:
        healed(monitor, one.name, seconds=40)
    spans = rig.recorder.spans(slow)
    assert len(spans) == 4
    assert most_at_once(spans) == 2

"""The test bed itself: what the other tests rely on."""
from support.recorder import most_at_once


def test_containers_become_unhealthy_on_demand_and_the_recorder_sees_it(rig):
    one = rig.healthy("one", enable=False)
    one.simulate("unhealthy")
    rig.recorder.wait_for(one, "health_status: unhealthy")
    one.call("POST", "/restart", t=2)
    rig.recorder.wait_for(one, "restart")
    rig.recorder.wait_for(one, "health_status: healthy", count=2)
    assert rig.recorder.actions(one)[:2] == ["create", "start"]
    assert len(rig.recorder.spans([one])) == 1


def test_the_recorder_follows_an_engine_that_is_killed(rig):
    one = rig.healthy("one", enable=False)
    rig.engine.kill()
    rig.engine.start()
    one.start()
    rig.recorder.wait_for(one, "start", count=2)
    assert rig.recorder.count(one, "create") == 1


def test_overlapping_spans_are_counted():
    assert most_at_once([]) == 0
    assert most_at_once([(0, 2), (1, 3), (2, 4)]) == 2
    assert most_at_once([(0, 5), (1, 5), (2, 5)]) == 3

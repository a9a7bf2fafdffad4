"""Servers taken out by people, and configurations loaded anew, while users work: nobody notices."""
import pytest
from support.failover_config import pool, settings
from support.traffic import Wrk
from support.wait import eventually

pytestmark = pytest.mark.lane("failover")

RELOADS = 1000


def test_a_drained_server_finishes_what_it_has_and_gets_no_more(nat, witness):
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    download = next(one for one in (nat.kept() for _ in range(6)) if one.ask() == "s1")
    download.send("/long")
    with Wrk(nat, connections=8) as kept, Wrk(nat, connections=8, keep_alive=False) as closing:
        eventually(lambda: min(witness.counts().values()) > 100, lambda: f"all are busy: {witness.counts()}")
        done = daemon.cli("drain", "web/s1")
        assert done.returncode == 0, done.stderr
        daemon.wait_pool("web", up=2)
        witness.restart()
        eventually(lambda: witness.counts()["s2"] > 200, lambda: f"the others are busy: {witness.counts()}")
        assert witness.counts()["s1"] == 0
        # Connections that are kept alive are its own still.
        server = daemon.server("web", "s1")
        assert server["state"] == "draining"
        eventually(lambda: (daemon.server("web", "s1")["flows"] or 0) >= 2, "those that are open are counted")
        assert len(download.receive()) == 20000, "what was under way arrives whole"
        assert download.ask() == "s1"
        download.close()
    kept.assert_flawless()
    closing.assert_flawless()
    daemon.wait_server("web", "s1", "drained")
    assert daemon.server("web", "s1")["flows"] == 0
    # It may be stopped now; and a restart of the daemon does not forget it.
    daemon = nat.again(daemon)
    daemon.wait_pool("web", up=2)
    assert daemon.server("web", "s1")["state"] == "drained"
    witness.restart()
    assert None not in nat.count(30)
    assert witness.counts()["s1"] == 0
    with Wrk(nat, connections=4, keep_alive=False) as back:
        done = daemon.cli("ready", "web/s1")
        assert done.returncode == 0, done.stderr
        daemon.wait_pool("web", up=3)
        witness.restart()
        eventually(lambda: witness.counts()["s1"] > 100, "it is busy again")
    back.assert_flawless()


def test_a_drain_ends_connections_at_its_deadline(nat):
    daemon = nat.failover(settings(pool("web", drain_deadline="1s")))
    daemon.wait_pool("web", up=3)
    connection = next(one for one in (nat.kept() for _ in range(6)) if one.ask() == "s1")
    assert daemon.cli("drain", "web/s1").returncode == 0
    daemon.wait_server("web", "s1", "drained")
    with pytest.raises(ConnectionError):
        connection.ask()


def test_the_last_server_is_not_drained_by_mistake(nat):
    daemon = nat.failover(settings(pool("web", servers=("s1", "s2"))))
    daemon.wait_pool("web", up=2)
    assert daemon.cli("drain", "web/s1").returncode == 0
    daemon.wait_pool("web", up=1)
    refused = daemon.cli("drain", "web/s2")
    assert refused.returncode == 1 and "last" in refused.stderr, refused.stderr
    assert daemon.cli("drain", "web/nobody").returncode == 1
    assert daemon.cli("drain", "nothing/s1").returncode == 1
    assert nat.count(6) == {"s2": 6}


@pytest.mark.slow
def test_a_thousand_reloads_cost_no_request(nat, witness):
    """Each changes something: a weight, a server, a pool, or nothing."""
    variants = [settings(pool("web")), settings(pool("web", servers=("s1", "s2"))),
                settings(pool("web", schedule="weighted", weights={"s1": 3, "s2": 2, "s3": 1})),
                settings(pool("web"), pool("other", port=81))]
    daemon = nat.failover(variants[0], level="info")
    daemon.wait_pool("web", up=3)
    with Wrk(nat, connections=4) as kept, Wrk(nat, connections=4, keep_alive=False) as closing:
        for number in range(1, RELOADS + 1):
            before = daemon.loaded()
            daemon.rewrite(variants[number % len(variants)])
            eventually(lambda: daemon.loaded() > before, lambda: f"reload {number}: {daemon.tail()}", every=0.005)  # pylint: disable=cell-var-from-loop
        eventually(lambda: witness.counts()["s2"] > 100, "requests were made")
    kept.assert_flawless()
    closing.assert_flawless()
    daemon.wait_pool("web", up=3)
    assert set(nat.count(12)) == {"s1", "s2", "s3"}


def test_a_bad_file_keeps_the_old_configuration(nat):
    good = settings(pool("web"))
    daemon = nat.failover(good)
    daemon.wait_pool("web", up=3)
    before = nat.rules()
    daemon.rewrite(good.replace("servers:", "serverz:"))
    eventually(lambda: any("serverz" in line for line in daemon.sentences()), lambda: daemon.tail())
    assert nat.rules() == before
    assert set(nat.count(12)) == {"s1", "s2", "s3"}

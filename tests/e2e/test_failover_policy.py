"""When no server is left, or it seems so; and what a host's failure means to its other services."""
import time

import pytest
from support.failover_bed import VIP, VIP6
from support.failover_config import pool, settings
from support.wait import eventually

pytestmark = pytest.mark.lane("failover")

TWO = ("s1", "s2")


def mirrored(**keys):
    """The original use case: a pair of servers that run web, mail and DNS."""
    return [pool("web", servers=TWO, **keys), pool("mail", port=25, checks=["smtp"], servers=TWO, **keys),
            pool("dns", port=53, protocol="udp", checks=["dns"], servers=TWO, **keys)]


def up(daemon):
    for name in ("web", "mail", "dns"):
        daemon.wait_pool(name, up=2)


def in_use(daemon):
    return {name: daemon.in_use(name) for name in ("web", "mail", "dns")}


def answers(nat, address):
    """Who answers for each service."""
    def dns():
        with nat.udp(address) as client:
            return client.ask()
    return {"web": {nat.ask(address) for _ in range(6)}, "mail": {nat.greeting(address) for _ in range(6)},
            "dns": {dns() for _ in range(6)}}


@pytest.mark.parametrize("service", ["web", "mail", "dns"])
def test_by_host_any_failing_service_takes_the_host_out_of_all_pools(nat, service):
    daemon = nat.failover(settings(*mirrored(eject="host")))
    up(daemon)
    getattr(nat.hosts[0], service).kill()
    daemon.wait_pool(service, up=1)
    # In one transaction: when one is changed, all are.
    assert in_use(daemon) == {name: ["s2"] for name in ("web", "mail", "dns")}
    assert answers(nat, VIP) == {name: {"s2"} for name in ("web", "mail", "dns")}
    assert answers(nat, VIP6) == {name: {"s2"} for name in ("web", "mail", "dns")}
    getattr(nat.hosts[0], service).start()
    up(daemon)


def test_a_check_of_the_host_takes_it_out_of_all_pools(nat):
    daemon = nat.failover(settings(*mirrored(), host_checks=["ping"]))
    up(daemon)
    with nat.hosts[1].net.fault("icmp type echo-request drop", "icmpv6 type echo-request drop"):
        daemon.wait_pool("web", up=1)
        assert in_use(daemon) == {name: ["s1"] for name in ("web", "mail", "dns")}
    up(daemon)


def all_down(nat):
    for host in nat.hosts:
        host.flag("sick")


def test_all_down_reject(nat):
    daemon = nat.failover(settings(pool("web", all_down="reject")))
    daemon.wait_pool("web", up=3)
    all_down(nat)
    daemon.wait_pool("web", up=0)
    for address in (VIP, VIP6):
        start = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            nat.connect(address)
        assert time.monotonic() - start < 2, "told at once"
    daemon.wait_log("failover.pool", pool="web")
    nat.hosts[0].flag("sick", False)
    daemon.wait_pool("web", up=1)
    assert nat.count(6) == {"s1": 6}


def test_all_down_backup(nat):
    daemon = nat.failover(settings(pool("web", backups=["s3"], all_down="backup")))
    daemon.wait_pool("web", up=2)
    assert set(nat.count(12)) == {"s1", "s2"}, "a backup is not used before"
    for host in nat.hosts[:2]:
        host.flag("sick")
    eventually(lambda: daemon.in_use("web") == ["s3"], "the backup is in use")
    assert nat.count(6) == {"s3": 6}
    nat.hosts[1].flag("sick", False)
    eventually(lambda: daemon.in_use("web") == ["s2"], "the server that is back is in use")
    assert nat.count(6) == {"s2": 6}


def test_all_down_last_known(nat):
    daemon = nat.failover(settings(pool("web", all_down="last-known")))
    daemon.wait_pool("web", up=3)
    all_down(nat)
    eventually(lambda: daemon.pools()["web"]["state"] == "last-known", lambda: f"{daemon.pools()['web']}")
    # Only their health pages are ill: those that are sent to them are answered.
    assert None not in nat.count(12)


def test_no_more_are_ejected_than_allowed(nat):
    daemon = nat.failover(settings(pool("web", max_ejected=40)))
    daemon.wait_pool("web", up=3)
    nat.hosts[0].flag("sick")
    daemon.wait_pool("web", up=2)
    nat.hosts[1].flag("sick")
    daemon.wait_server("web", "s2", "failed")
    server = daemon.server("web", "s2")
    assert server["in_use"] and server["kept"], server
    assert set(nat.count(12)) == {"s2", "s3"}


def test_a_blind_firewall_takes_nobody_out(nat):
    daemon = nat.failover(settings(*mirrored(), **{"gateways": {"router": {"url": "icmp://198.51.100.13", "interval": "500ms",
                                                                          "fast-interval": "200ms", "timeout": "400ms"}}}))
    up(daemon)
    with nat.firewall.link_down("lan"):
        eventually(lambda: daemon.status()["blind"], lambda: f"it says that it is blind: {daemon.status()}")
        assert in_use(daemon) == {name: ["s1", "s2"] for name in ("web", "mail", "dns")}
    eventually(lambda: not daemon.status()["blind"], "it sees again")
    # From here on failures count again, and the first answers over the new link may be slow.
    up(daemon)
    eventually(lambda: answers(nat, VIP) == {name: {"s1", "s2"} for name in ("web", "mail", "dns")},
               lambda: f"all answer: {in_use(daemon)}")

"""A server that fails, in each way servers fail: it is left in time, and taken back."""
import contextlib
import time

import pytest
from support.failover_bed import VIP, VIP6
from support.failover_config import BOUND, SLACK, pool, settings
from support.traffic import Load
from support.wait import eventually

pytestmark = pytest.mark.lane("failover")


@contextlib.contextmanager
def process_killed(nat, host):
    host.web.kill()
    yield
    host.web.start()


@contextlib.contextmanager
def process_stopped(nat, host):
    """SIGSTOP: the kernel still accepts connections for it."""
    host.web.pause()
    yield
    host.web.resume()


@contextlib.contextmanager
def link_down(nat, host):
    with host.net.link_down("eth0"):
        yield


@contextlib.contextmanager
def cable_pulled(nat, host):
    with nat.firewall.link_down(host.port):
        yield


@contextlib.contextmanager
def packets_dropped(nat, host):
    with host.net.drop("tcp dport { 8080, 8443 }"):
        yield


@contextlib.contextmanager
def packets_rejected(nat, host):
    with host.net.fault("tcp dport { 8080, 8443 } reject with icmpx type admin-prohibited"):
        yield


@contextlib.contextmanager
def errors_answered(nat, host):
    host.flag("broken")
    yield
    host.flag("broken", False)


@contextlib.contextmanager
def certificate_expired(nat, host):
    nat.certify(host, "expired")
    yield
    nat.certify(host, "good")


FAULTS = [(process_killed, "http", "refused"), (process_stopped, "http", "timeout"), (link_down, "http", None),
          (cable_pulled, "http", None), (packets_dropped, "http", "timeout"), (packets_rejected, "http", "unreachable"),
          (errors_answered, "http", "status"), (certificate_expired, "https", "certificate_expired")]


@pytest.mark.parametrize("fault,kind,reason", FAULTS, ids=[fault.__name__ for fault, _, _ in FAULTS])
def test_a_server_that_fails_is_left_in_time_and_taken_back(nat, witness, fault, kind, reason):
    # Kinds that need a certificate of ours are checked with it.
    daemon = nat.failover(settings(pool("web", checks=[nat.check(kind)], to=8080)))
    daemon.wait_pool("web", up=3)
    victim, others = nat.hosts[1], {"s1", "s3"}
    with Load(nat, threads=1) as load:
        load.wait(20)
        start = time.monotonic()
        with fault(nat, victim):
            daemon.wait_pool("web", up=2)
            left = time.monotonic()
            assert left - start < BOUND + SLACK
            witness.restart()
            for address in (VIP, VIP6):
                assert nat.open_many(150, address) == 150
            assert witness.counts()["s2"] == 0
            assert set(nat.count(12)) | set(nat.count(12, VIP6)) == others
            server = daemon.server("web", "s2")
            assert server["state"] == "failed", server
            line = daemon.wait_log("failover.server", pool="web", server="s2", to="failed")
            if reason is not None:
                assert line["reason"] == reason, line
            # Sooner than the bound by the daemon's own account, too.
            assert 0 < line["detection_ms"] < (BOUND + SLACK) * 1000, line
            load.wait(20)
        daemon.wait_pool("web", up=3)
        daemon.wait_log("failover.server", pool="web", server="s2", to="up")
        eventually(lambda: set(nat.count(12)) == {"s1", "s2", "s3"}, "it is back")
    late = [failure for failure in load.failures if failure.began > left]
    assert not late, f"requests that began after it was left: {late}"


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
@pytest.mark.parametrize("address", [VIP, VIP6])
def test_a_udp_client_on_one_port_recovers(nat, address, silent):
    daemon = nat.failover(settings(pool("dns", port=53, protocol="udp", checks=["dns"])))
    daemon.wait_pool("dns", up=3)
    with nat.udp(address) as client:
        first = client.ask()
        assert client.ask() == first, "its flow stays where it is"
        victim = next(host for host in nat.hosts if host.name == first)
        start = time.monotonic()
        if silent:
            victim.dns.pause()
        else:
            victim.dns.kill()
        # It asks without pause, which keeps its flow in the kernel alive.
        eventually(lambda: client.ask(0.1) not in (None, first), lambda: f"another server answers; {daemon.tail()}", 10)
        assert time.monotonic() - start < BOUND + SLACK
        line = daemon.wait_log("failover.server", pool="dns", server=first, to="failed")
        assert line["flows"] >= 1, "its flow was ended"


@pytest.mark.parametrize("old", [False, True], ids=["new-port", "used-port"])
def test_connections_to_a_failed_server_end_instead_of_hanging(nat, old):
    """Even when the others would answer for them, since a connection by the same port is left there."""
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    victim, *others = nat.hosts
    ports = nat.fresh_ports(6)
    connections = [nat.kept(source_port=port) for port in ports]
    servers = [one.ask() for one in connections]
    assert "s1" in servers
    for port, server in zip(ports, servers):
        for host in others if old and server == "s1" else []:
            nat.abandoned(host, port)
    victim.web.pause()
    # A machine so busy that checks of the others time out, too, keeps it for a while: then it is told twice.
    eventually(lambda: any(line.get("flows", 0) >= servers.count("s1") for line in
                           daemon.log("failover.server", pool="web", server="s1", to="failed")),
               lambda: f"its connections are ended; {daemon.tail()}", 20)
    for one, server in zip(connections, servers):
        if server == "s1":
            start = time.monotonic()
            with pytest.raises(ConnectionError):
                one.ask()
            assert time.monotonic() - start < 2
        else:
            assert one.ask() == server, "the connections of the others go on"
        one.close()


def test_a_server_that_only_one_family_reaches_is_left(nat):
    """A server of a pool with virtual addresses of both families answers on both, or it is out."""
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    with nat.hosts[2].net.drop("meta nfproto ipv6 tcp dport 8080"):
        daemon.wait_pool("web", up=2)
        assert set(nat.count(12)) | set(nat.count(12, VIP6)) == {"s1", "s2"}
    daemon.wait_pool("web", up=3)


def test_a_single_failure_is_no_reason(nat):
    """Fewer failures in a row than `fall` change nothing."""
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    victim = nat.hosts[0]
    # Two connections are reset: one check over IPv4 and one over IPv6 fail once.
    with victim.net.fault("meta nfproto ipv4 tcp dport 8080 tcp flags & (syn | ack) == syn limit rate 1/day burst 1 packets reject with tcp reset",
                          "meta nfproto ipv6 tcp dport 8080 tcp flags & (syn | ack) == syn limit rate 1/day burst 1 packets reject with tcp reset"):
        eventually(lambda: daemon.checks("s1").count("fail") >= 2, lambda: f"checks fail: {daemon.checks('s1')}")
        eventually(lambda: daemon.checks("s1")[-4:] == ["pass"] * 4, "they pass again")
    assert daemon.checks("s1").count("fail") == 2
    assert not daemon.log("failover.server", server="s1", to="failed")

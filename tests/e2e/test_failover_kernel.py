"""The kernel's rules outlive the daemon, come back when they are flushed, and leave those of others alone."""
import subprocess
import time

import pytest
from support.failover_bed import VIP, VIP6
from support.failover_config import pool, settings
from support.traffic import Load, Wrk
from support.wait import Growing, eventually

pytestmark = pytest.mark.lane("failover")


def test_killed_and_started_again_without_a_dropped_connection(nat):
    daemon = nat.failover(settings(pool("web"), pool("dns", port=53, protocol="udp", checks=["dns"])))
    daemon.wait_pool("web", up=3)
    daemon.wait_pool("dns", up=3)
    kept = [nat.kept() for _ in range(6)]
    servers = [one.ask() for one in kept]
    before = nat.rules()
    with Wrk(nat, connections=4) as old, Wrk(nat, connections=4, keep_alive=False) as new, nat.udp() as dns:
        first = dns.ask()
        daemon.kill()
        assert set(nat.count(12)) == {"s1", "s2", "s3"}, "traffic goes on without the daemon"
        assert dns.ask() == first
        daemon = nat.again(daemon)
        daemon.wait_pool("web", up=3)
        assert nat.rules() == before, "it has taken over what was there"
        assert dns.ask() == first
        assert [one.ask() for one in kept] == servers
    old.assert_flawless()
    new.assert_flawless()
    # It works with what it has adopted.
    nat.hosts[0].web.kill()
    daemon.wait_pool("web", up=2)
    assert set(nat.count(12)) == {"s2", "s3"}
    for one, server in zip(kept, servers):
        if server != "s1":
            assert one.ask() == server


def test_a_server_that_died_while_the_daemon_was_dead_is_left(nat):
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    daemon.kill()
    nat.hosts[0].web.kill()
    daemon = nat.again(daemon)
    daemon.wait_pool("web", up=2)
    assert set(nat.count(12)) == {"s2", "s3"}


class Monitor:
    """`nft monitor`: when tables come and go."""

    def __init__(self, namespace):
        self._process = subprocess.Popen(namespace.command("stdbuf", "-oL", "nft", "monitor"),
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = Growing()
        import threading  # pylint: disable=import-outside-toplevel
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._process.stdout:
            self.lines.append((time.monotonic(), line.strip()))

    def close(self):
        self._process.kill()
        self._process.wait(10)
        self._thread.join(10)


def test_restored_when_the_ruleset_is_flushed(nat):
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    monitor = Monitor(nat.firewall)
    try:
        # It listens once it has told of something.
        eventually(lambda: nat.firewall.nft("add table ip elsewhere\ndelete table ip elsewhere") == ""
                   and monitor.lines.snapshot(), "nft monitor speaks")
        before = nat.rules()
        kept = nat.kept()
        server = kept.ask()
        times = []
        for number in range(1, 6):
            nat.firewall.run("nft", "flush", "ruleset")
            eventually(lambda: nat.rules() == before, lambda: f"restored: {nat.rules()}\n{daemon.tail()}")

            def moments(lines, what, count=number):
                found = [moment for moment, line in lines if line == what]
                return found[count - 1] if len(found) >= count else None

            gone = monitor.lines.wait(lambda lines: moments(lines, "delete table ip sentinel"), "it was deleted")
            back = monitor.lines.wait(lambda lines: moments(lines, "add table ip sentinel"), "it was added")
            times.append(back - gone)
            assert set(nat.count(6)) == {"s1", "s2", "s3"}
            assert kept.ask() == server, "connections that were open do not notice"
        print("restored after", [f"{seconds * 1000:.1f} ms" for seconds in times])
        assert sorted(times)[len(times) // 2] < 0.1, times
    finally:
        monitor.close()


def test_restored_when_only_a_part_is_deleted(nat):
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    before = nat.rules()
    for command in ("flush chain ip sentinel pre", "delete table ip6 sentinel"):
        nat.firewall.nft(command)
        eventually(lambda: nat.rules() == before, lambda: f"restored: {nat.rules()}\n{daemon.tail()}")
    assert set(nat.count(6)) == set(nat.count(6, VIP6)) == {"s1", "s2", "s3"}


# As Docker's Engine has them with one container that publishes a port, and a policy of DROP.
DOCKER = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080
COMMIT
"""
OTHERS = """table inet others {
  set blocked { type ipv4_addr; elements = { 192.0.2.66 } }
  chain input { type filter hook input priority 10; policy accept; ip saddr @blocked drop; }
  chain pre { type nat hook prerouting priority -100; policy accept; tcp dport 2222 redirect to :22; }
}
"""


@pytest.fixture
def docker(nat):
    nat.firewall.run("iptables-restore", input=DOCKER)
    nat.firewall.nft(OTHERS)
    yield nat
    for table in ("ip filter", "ip nat", "inet others"):
        subprocess.run(nat.firewall.command("nft", "delete", "table", *table.split()), stderr=subprocess.DEVNULL, check=False)


def others(nat):
    """All rules but ours, without counters."""
    saved = nat.firewall.run("iptables-save")
    tables = [nat.firewall.run("nft", "-s", "list", "table", *table.split()) for table in ("ip filter", "ip nat", "inet others")]
    return [line.split(" [")[0] for line in saved.splitlines() if not line.startswith("#")], tables


def test_beside_docker_nothing_of_others_is_touched(docker):
    nat = docker
    # What preflight advises: Docker leaves this chain to people.
    nat.firewall.run("iptables", "-I", "DOCKER-USER", "-d", "198.51.100.0/24", "-j", "ACCEPT")
    nat.firewall.run("iptables", "-I", "DOCKER-USER", "-s", "198.51.100.0/24", "-j", "ACCEPT")
    before = others(nat)
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    # Docker publishes port 80 of all addresses of this host; the virtual one comes first.
    assert set(nat.count(12)) == {"s1", "s2", "s3"}
    assert others(nat) == before
    nat.hosts[0].web.kill()
    daemon.wait_pool("web", up=2)
    nat.hosts[0].web.start()
    daemon.wait_pool("web", up=3)
    assert others(nat) == before
    daemon.rewrite(settings(pool("web", servers=("s1", "s2"))))
    daemon.wait_pool("web", up=2)
    assert daemon.stop() == 0
    assert others(nat) == before


def test_preflight_says_what_docker_would_drop_and_how_to_allow_it(docker):
    nat = docker
    config = nat.write(settings(pool("web")))
    said = nat.sentinel("failover", "--preflight", "--config", config)
    text = said.stdout + said.stderr
    assert "DOCKER-USER" in text and "FORWARD" in text, text
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    assert nat.ask(seconds=1) is None, "Docker's policy is in force"


def test_preflight_finds_forwarding_off(nat):
    nat.firewall.sysctl("net.ipv4.ip_forward=0")
    try:
        said = nat.sentinel("failover", "--preflight", "--config", nat.write(settings(pool("web"))))
        assert said.returncode == 1 and "ip_forward" in said.stdout + said.stderr
    finally:
        nat.firewall.sysctl("net.ipv4.ip_forward=1")
    said = nat.sentinel("failover", "--preflight", "--config", nat.write(settings(pool("web"))))
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("leave", [True, False])
def test_rules_at_exit_as_configured(nat, leave):
    daemon = nat.failover(settings(pool("web"), **{"on-exit": "keep" if leave else "remove"}))
    daemon.wait_pool("web", up=3)
    assert daemon.stop() == 0
    if leave:
        assert set(nat.count(12)) == {"s1", "s2", "s3"}
    else:
        assert nat.rules() == ""
        with pytest.raises(OSError):
            nat.connect(VIP, seconds=1)


def test_load_is_spread_while_the_kernel_is_changed(nat):
    """Drains and returns in quick succession: never a miss."""
    daemon = nat.failover(settings(pool("web")))
    daemon.wait_pool("web", up=3)
    with Load(nat, threads=2) as load:
        for number in range(20):
            assert daemon.cli("drain" if number % 2 == 0 else "ready", "web/s1").returncode == 0
            load.wait(10)
    assert not load.failures, load.failures

"""The pair of firewalls as deploy/ha has it: one dies, and open connections go on through the other."""
import socket
import time

import pytest
from support.ha_bed import HaBed
from support.wait import eventually

pytestmark = pytest.mark.lane("ha")

VIPS = {"IPv4": "203.0.113.10", "IPv6": "2001:db8:ff::10"}


@pytest.fixture
def pair():
    one = HaBed()
    yield one
    one.close()


class Connection:
    """HTTP/1.1 by hand, so that nothing is opened again behind the test's back."""

    def __init__(self, bed, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = bed.client.call(lambda: socket.socket(family, socket.SOCK_STREAM))
        self._socket.settimeout(20)
        self._socket.connect((address, 80))
        self._buffer = b""

    def ask(self, path="/"):
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: www.example.net\r\n\r\n".encode())
        return self

    def read(self):
        """The body of one answer."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(rest) < length:
            self._buffer = b""
            more = self._more()
            rest += more
        self._buffer = rest[length:]
        return rest[:length].decode().strip()

    def _more(self):
        data = self._socket.recv(65536)
        assert data, "the connection was closed"
        self._buffer += data
        return data

    def close(self):
        self._socket.close()


def roles(pair):
    """Who carries the traffic, and who does not, when both know: until then either may still change its mind."""
    first, second = pair.firewalls

    def settled():
        for active, standby in ((first, second), (second, first)):
            if active.carries and not standby.carries and active.settled and standby.settled:
                return active, standby
        return None

    return eventually(settled, lambda: f"one carries the traffic, the other is in standby: {first.moves()}, {second.moves()}", 60)


def test_a_firewall_dies_and_connections_go_on(pair):
    pair.start()
    active, standby = roles(pair)
    kept = {name: Connection(pair, vip) for name, vip in VIPS.items()}
    busy = {name: Connection(pair, vip) for name, vip in VIPS.items()}
    servers = {name: one.ask().read() for name, one in kept.items()}
    for one in busy.values():
        one.ask("/long")
    # What the standby has been told is what it can go on with.
    eventually(lambda: standby.known() >= 4, lambda: f"the standby knows of all: {standby.known()}")
    start = time.monotonic()
    active.pull_plug()
    eventually(lambda: standby.carries, "the other carries the traffic", 30)
    for name, one in kept.items():
        assert one.ask().read() == servers[name], "the same connection, to the same server"
    print(f"open connections answered {time.monotonic() - start:.2f} s after the crash")
    for one in busy.values():
        assert len(one.read()) == 20000, "an answer that was under way arrives whole"
    for vip in VIPS.values():
        new = Connection(pair, vip)
        assert new.ask().read() in ("s1", "s2")
        new.close()
    eventually(lambda: standby.settled, lambda: f"it has moved the connections: {standby.moves()}")


def test_a_daemon_that_fails_its_check_steps_back(pair):
    pair.start()
    active, standby = roles(pair)
    active.daemon.pause()
    eventually(lambda: standby.carries and not active.carries, "the other carries the traffic", 30)
    new = Connection(pair, VIPS["IPv4"])
    assert new.ask().read() in ("s1", "s2")
    active.daemon.resume()
    # It is well again, and stays in standby.
    eventually(lambda: active.moves()[-1] == "backup" and active.settled, lambda: f"it is in standby: {active.moves()}", 30)
    assert standby.carries and not active.carries
    assert new.ask().read() in ("s1", "s2")


@pytest.mark.parametrize("device", ["wan", "lan"])
def test_a_firewall_that_loses_a_link_steps_back(pair, device):
    pair.start()
    active, standby = roles(pair)
    kept = Connection(pair, VIPS["IPv4"])
    server = kept.ask().read()
    eventually(lambda: standby.known() >= 1, "the standby knows of it")
    active.net.ip("link", "set", device, "down")
    eventually(lambda: standby.carries, "the other carries the traffic", 30)
    assert kept.ask().read() == server

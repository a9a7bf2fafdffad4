"""How new connections are spread over the servers."""
import collections
import random

import pytest
from support.failover_bed import VIP, VIP6
from support.failover_config import pool, settings

pytestmark = pytest.mark.lane("failover")


def shares(witness, nat, connections, address):
    witness.restart()
    assert nat.open_many(connections, address) == connections
    counts = witness.counts()
    assert sum(counts.values()) == connections, counts
    return {name: count / connections for name, count in counts.items()}


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_round_robin_is_even_within_a_percent(nat, witness, address):
    nat.failover(settings(pool("web"))).wait_pool("web", up=3)
    found = shares(witness, nat, 6000, address)
    for share in found.values():
        assert abs(share * 3 - 1) < 0.01, found


def test_round_robin_of_pools_that_share_a_counter(nat, witness):
    """Connections to one pool do not make another one uneven."""
    daemon = nat.failover(settings(pool("web"), pool("other", port=81)))
    daemon.wait_pool("web", up=3)
    daemon.wait_pool("other", up=3)
    rng = random.Random(7)
    witness.restart()
    for _ in range(1500):
        nat.open_many(1, VIP, 80)
        if rng.random() < 0.5:
            nat.open_many(1, VIP, 81)
    total = sum(witness.counts().values())
    for count in witness.counts().values():
        # A walk of the shared counter at random: 2,250 connections, so about 1.4 % at one sigma.
        assert abs(count * 3 / total - 1) < 0.08, witness.counts()


def test_weights_hold_within_two_percent(nat, witness):
    weights = {"s1": 5, "s2": 3, "s3": 1}
    nat.failover(settings(pool("web", schedule="weighted", weights=weights))).wait_pool("web", up=3)
    found = shares(witness, nat, 9000, VIP)
    for name, weight in weights.items():
        assert abs(found[name] / (weight / 9) - 1) < 0.02, found


@pytest.mark.parametrize("schedule", ["source-hash", "sticky"])
@pytest.mark.parametrize("address", [VIP, VIP6])
def test_a_client_keeps_its_server(nat, schedule, address):
    nat.failover(settings(pool("web", schedule=schedule))).wait_pool("web", up=3)
    first = nat.ask(address)
    assert first in ("s1", "s2", "s3")
    assert nat.count(30, address) == {first: 30}


def test_a_hash_moves_only_the_clients_of_the_server_that_is_lost(nat):
    daemon = nat.failover(settings(pool("web", schedule="source-hash")))
    daemon.wait_pool("web", up=3)
    clients = nat.other_clients(120)
    before = {client: nat.ask(source=client) for client in clients}
    spread = collections.Counter(before.values())
    assert set(spread) == {"s1", "s2", "s3"} and min(spread.values()) > 20, spread
    nat.hosts[1].web.kill()
    daemon.wait_pool("web", up=2)
    after = {client: nat.ask(source=client) for client in clients}
    moved = [client for client in clients if after[client] != before[client]]
    assert {before[client] for client in moved} == {"s2"}
    assert all(after[client] in ("s1", "s3") for client in clients)
    nat.hosts[1].web.start()
    daemon.wait_pool("web", up=3)
    assert {client: nat.ask(source=client) for client in clients} == before, "each is back where it was"


def test_a_sticky_client_leaves_a_server_that_is_lost(nat):
    daemon = nat.failover(settings(pool("web", schedule="sticky")))
    daemon.wait_pool("web", up=3)
    first = nat.ask()
    next(host for host in nat.hosts if host.name == first).web.kill()
    daemon.wait_pool("web", up=2)
    second = nat.ask()
    assert second not in (first, None)
    assert nat.count(20) == {second: 20}


def test_the_firewall_itself_and_the_servers_use_the_virtual_address(nat):
    """Local output, and hairpin: a server that reaches its own pool, by way of itself too."""
    nat.failover(settings(pool("web"))).wait_pool("web", up=3)
    for address in (VIP, VIP6):
        for place in (nat.firewall, *(host.net for host in nat.hosts)):
            found = nat.count(9, address, namespace=place)
            assert set(found) == {"s1", "s2", "s3"}, (place.role, address, found)


def test_the_servers_see_the_client_unless_masqueraded(nat):
    daemon = nat.failover(settings(pool("web"), pool("hidden", port=81, masquerade=True)))
    daemon.wait_pool("web", up=3)
    daemon.wait_pool("hidden", up=3)
    for address, family in ((VIP, 0), (VIP6, 1)):
        assert nat.peer_seen(address, 80) == ("192.0.2.2", "2001:db8:1::2")[family]
        assert nat.peer_seen(address, 81) == ("198.51.100.1", "2001:db8:2::1")[family]


def test_ports_as_lists_and_ranges(nat):
    daemon = nat.failover(settings(pool("web", port="80,8000-8003")))
    daemon.wait_pool("web", up=3)
    for port in (80, 8000, 8003):
        assert set(nat.count(6, VIP, port)) == {"s1", "s2", "s3"}
    assert nat.ask(VIP, 8004, seconds=1) is None

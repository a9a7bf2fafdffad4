"""Every panel of the failover's dashboard shows something: a real Prometheus that scrapes a real daemon is asked."""
import time

import pytest
from support.board import Board
from support.failover_config import pool, settings
from support.prometheus import Prometheus
from support.wait import eventually

pytestmark = pytest.mark.lane("failover")

BOARD = Board("failover")
# What the test makes happen has to be seen, not merely be there at zero.
HAPPENED = {"State of each pool", "State of each server", "New connections", "Open connections", "Bytes", "Servers in use",
            "Slots", "Ejections", "Detection", "Ended connections", "Swap", "Time to end connections", "Failed checks",
            "Taken out"}


def test_every_panel_returns_data(nat):
    daemon = nat.failover(settings(pool("web"), pool("spare", port=81, servers=("s2",))))
    prometheus = Prometheus(lambda: daemon.get("/metrics"), "sentinel-failover", "failover:8091")
    try:
        began = time.time()
        daemon.wait_pool("web", up=3)
        daemon.wait_pool("spare", up=1)
        # So that what happens next is an increase.
        eventually(lambda: prometheus.values("sum(sentinel_pool_servers_in_use)") == [4], "all is scraped", 30)
        connections = [nat.kept() for _ in range(6)]
        assert {one.ask() for one in connections} == {"s1", "s2", "s3"}
        eventually(lambda: sum(prometheus.values("sum(sentinel_server_flows)")) >= 6, "open connections are counted", 40)
        nat.hosts[1].web.kill()
        daemon.wait_log("failover.server", pool="web", server="s2", to="failed")
        daemon.wait_pool("spare", up=0)
        missing = lambda: [what for what, seen in BOARD.shown(prometheus, began).items() if not seen]  # noqa: E731
        eventually(lambda: not missing(), lambda: f"every query returns data; not: {missing()}", 60, 1)
        silent = lambda: [what for what, values in BOARD.shown(prometheus, began).items()  # noqa: E731
                          if what[0] in HAPPENED and not any(values)]
        eventually(lambda: not silent(), lambda: f"nothing but zeros: {silent()}", 60, 1)
        assert {what[0] for what in BOARD.shown(prometheus, began)} >= HAPPENED
        BOARD.check_variables(prometheus)
        assert prometheus.values('sum(sentinel_server_state{state="failed"})') == [2]
        assert prometheus.values('sum(sentinel_pool_state{state="down"})') == [1]
    finally:
        prometheus.close()

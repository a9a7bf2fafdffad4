"""Every panel of the dashboard shows something: its queries against a real Prometheus that scrapes a real monitor."""
import contextlib
import socket
import ssl
import threading
import time
from datetime import timedelta

import pytest
from support.board import Board
from support.http import in_namespace
from support.pki import Authority
from support.prometheus import Prometheus
from support.wait import eventually
from test_healing import healed

pytestmark = pytest.mark.slow
BOARD = Board("sentinel")
# What the test makes happen has to be seen, not merely be there at zero.
HAPPENED = {"Recovery actions", "Time to recover", "Transitions", "Downtime", "Probe failures by reason", "Probes",
            "Probe time", "Where the time of a probe goes", "Certificates end in", "Engine requests", "Memory", "CPU",
            "Own share of a healing", "Descriptors", "State of each service", "Services by state", "Restart budget",
            "Healed, 24 hours", "Availability, 30 days", "Unhealthy and healed"}
PROBE = {"sentinel.probe.http": "http://:8080/health", "sentinel.probe.http.interval": "1s",
         "sentinel.probe.http.fall": "2", "sentinel.probe.http.rise": "1"}


class TlsServer:
    """Accepts, shakes hands, closes; on an address in an Engine's network."""

    def __init__(self, engine, address, certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
        self._context = context
        self._listener = in_namespace(engine.pid, lambda: socket.create_server((address, 0)))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            with contextlib.suppress(OSError), self._context.wrap_socket(connection, server_side=True) as one:
                one.recv(1)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def gateway(engine):
    """The Engine's own address on the network of its containers."""
    return engine.call("GET", "/networks/bridge")["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")


@pytest.fixture
def sealed(engine, tmp_path):
    """A TLS server whose certificate ends in ten days."""
    address = gateway(engine)
    certificate = Authority(tmp_path).self_signed("soon", [address], ends=timedelta(days=10))
    one = TlsServer(engine, address, certificate)
    yield f"{address}:{one.port}"
    one.close()


@pytest.mark.version("26.1")
def test_every_panel_returns_data(rig, sealed):
    # Its failure is told by the Engine: the way from the event to the restart is one of the panels.
    plain = rig.healthy("plain")
    web = rig.run("web", labels=PROBE, health=None)
    api = rig.run("api", labels={**PROBE, "sentinel.probe.http.timeout": "500ms"}, health=None)
    config = f"""
targets:
  sealed:
    probe.tls: tls://{sealed}
    probe.tls.interval: 1s
    probe.tls.tls.verify: false
"""
    monitor = rig.prepare(config, inside=True, level="info")
    prometheus = Prometheus(lambda: monitor.get("/metrics"))
    try:
        began = time.time()
        monitor.start()
        monitor.wait_ready()
        for one in (plain, web, api):
            monitor.wait_state(one.name, "healthy")
        # So that what happens next is an increase.
        eventually(lambda: prometheus.values("min(sentinel_probe_success)") == [1], "all probes are scraped", 30)
        plain.simulate("unhealthy")
        web.simulate("unhealthy")
        healed(monitor, plain.name)
        healed(monitor, web.name)
        api.simulate("hang?for=5m")
        healed(monitor, api.name)
        missing = lambda: [what for what, seen in BOARD.shown(prometheus, began).items() if not seen]  # noqa: E731
        eventually(lambda: not missing(), lambda: f"every query returns data; not: {missing()}", 60, 1)
        seen = BOARD.shown(prometheus, began)
        silent = [what for what, values in seen.items() if what[0] in HAPPENED and not any(values)]
        assert not silent, f"nothing but zeros: {silent}"
        assert {what[0] for what in seen} >= HAPPENED
        check_values(prometheus)
        BOARD.check_variables(prometheus)
        check_rules(prometheus)
    finally:
        prometheus.close()


def check_values(prometheus):
    """A few by their meaning."""
    # Of the one whose certificate ends soon its probe warns.
    states = 'sum by (state) (sentinel_service_state) > 0'
    eventually(lambda: sorted(prometheus.values(states)) == [1, 3],
               lambda: f"three are healthy, one is degraded: {prometheus.api('query', query=states)}", 30)
    assert prometheus.values('sum(sentinel_service_state{state="degraded"})') == [1]
    (left,) = prometheus.values("sentinel_probe_cert_not_after_timestamp_seconds - time()")
    assert 9.9 * 86400 < left < 10 * 86400
    reasons = {one["metric"]["reason"] for one in
               prometheus.api("query", query="sum by (reason) (sentinel_probe_failures_total) > 0")["result"]}
    assert {"status", "timeout"} <= reasons, reasons


def check_rules(prometheus):
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert rules and not [rule["name"] for rule in rules if rule["health"] != "ok"]
    # Its end is near, and nothing else is wrong with what healed.
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert firing == {"SentinelCertificateExpiring"}, firing

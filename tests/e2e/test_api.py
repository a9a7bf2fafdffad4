"""The API as documented: every answer and every error against docs/openapi.yaml, the stream, the token."""
import http.client
import json
import re
import socket
import tempfile

import pytest
from support.contract import check_answer, check_schema
from support.daemon import Daemon
from support.engine import STATE
from support.http import exchange

TOKEN = "an-e2e-token-of-some-length"
CONFIG = """
targets:
  gone:
    group: shop
    probe.port: tcp://127.0.0.1:1
    probe.port.interval: 1s
    probe.port.fall: 1
  lost:
    group: blog
    probe.port: tcp://127.0.0.1:1
status-page:
  services: [{service: shop/gone, name: Shop}, {service: shop/later, name: Later}]
"""


class Served(Daemon):
    """A monitor of two targets that do not answer, on a TCP port of its own choice."""

    def __init__(self, token=True):
        super().__init__("monitor", tempfile.mkdtemp(prefix=".e2e-", dir=STATE), CONFIG)
        if token:
            secret = self.folder / "token"
            secret.write_text(TOKEN + "\n", encoding="utf-8")
            secret.chmod(0o600)
            self.environment["SENTINEL_TOKEN_FILE"] = str(secret)
        self.start().wait_ready()
        line = self.wait_log("listen")
        self.port = int(re.search(r"port (\d+)", line["msg"]).group(1))

    def arguments(self):
        return [*super().arguments(), "--engine", "none", "--listen", "127.0.0.1:0"]

    def call(self, method, path, body=None, token=None, **fields):
        """Checked against the document."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        answer = exchange(connection, method, path, body, headers)
        return answer, check_answer(method, path, answer)


@pytest.fixture(scope="module")
def served():
    monitor = Served()
    yield monitor
    monitor.dispose()


def status_of(call):
    return call[0].status


def test_every_view_is_as_documented(served):
    names = [row["full_name"] for row in served.call("GET", "/api/v1/services")[1]["services"]]
    assert len(names) == 2
    for path in ["/livez", "/readyz", "/metrics", "/api/v1/status", "/api/v1/services?limit=1", "/api/v1/decisions",
                 f"/api/v1/services/{names[0]}", f"/api/v1/explain?service={names[0]}", "/api/v1/maintenance",
                 f"/api/v1/decisions?service={names[0]}", "/api/v1/engines", "/api/v1/pools", "/api/v1/alerts",
                 "/api/v1/silences", "/api/v1/status-page"]:
        assert status_of(served.call("GET", path)) == 200, path
    for path in ["/api/v1/incidents", "/api/v1/history", f"/api/v1/services/{names[0]}/timeline",
                 f"/api/v1/services/{names[0]}/latency", f"/api/v1/services/{names[0]}/availability"]:
        assert status_of(served.call("GET", path)) in (200, 503), path


def test_every_documented_error_of_reading(served):
    for path, status in [
            ("/api/v1/services/nobody", 404), ("/api/v1/explain", 400),
            ("/api/v1/explain?service=nobody", 404), ("/api/v1/decisions?service=nobody", 404),
            ("/api/v1/services?limit=0", 400), ("/api/v1/services?after=nobody", 400),
            ("/api/v1/services/nobody/timeline", 404), ("/api/v1/services/nobody/latency", 404),
            ("/api/v1/services/shop/gone/timeline?from=yesterday", 400),
            ("/api/v1/services/shop/gone/latency?step=day", 400), ("/api/v1/services/nobody/availability", 404),
            ("/api/v1/incidents?state=lost", 400), ("/api/v1/incidents?service=nobody", 404),
            ("/api/v1/incidents?before=1", 400), ("/api/v1/incidents/nothing", 404),
            ("/api/v1/history?after=1&before=2", 400), ("/api/v1/history?incident=x", 400),
            ("/api/v1/history?service=nobody", 404), ("/api/v1/events?after=x", 400)]:
        assert status_of(served.call("GET", path)) == status, path
    assert status_of(served.call("POST", "/api/v1/status", {})) == 405
    assert status_of(served.call("DELETE", "/api/v1/maintenance")) == 405


def test_nothing_has_changed_is_said_without_a_body(served):
    answer, _ = served.call("GET", "/api/v1/services")
    again, body = served.call("GET", "/api/v1/services", If_None_Match=answer.headers["ETag"])
    # A probe may have run between the two.
    assert again.status in (200, 304)
    assert (body is None) == (again.status == 304)


def test_changes_need_the_token_and_our_own_page(served):
    path, body = "/api/v1/maintenance", {"service": "shop/gone", "for": "30m"}
    assert status_of(served.call("POST", path, body)) == 401
    assert status_of(served.call("POST", path, body, TOKEN, Origin="http://evil.example")) == 403
    assert status_of(served.call("POST", path, b"service=shop/gone", TOKEN, Content_Type="text/plain")) == 415
    assert status_of(served.call("POST", path, {"service": "shop/gone"}, TOKEN)) == 400
    assert status_of(served.call("POST", path, {"service": "nobody", "for": "1h"}, TOKEN)) == 404
    own = f"http://127.0.0.1:{served.port}"
    assert status_of(served.call("POST", path, body, TOKEN, Origin=own)) == 200
    listed = served.call("GET", path)[1]["maintenance"]
    assert len(listed) == 1 and "gone" in listed[0]["service"] and listed[0]["until"]
    assert re.search(r"; in maintenance: asked for, .* left, until 20\d\d-", served.cli("status").stdout)
    assert status_of(served.call("POST", path, {"service": "shop/gone", "end": True}, TOKEN)) == 200
    for method, there, what in [("POST", "/api/v1/alerts/test", {"receiver": "nobody"}),
                                ("DELETE", "/api/v1/silences/01ARZ3NDEKTSV4RRFFQ69G5FAV", None),
                                ("POST", "/api/v1/alerts/deliveries/1/retry", {}),
                                ("POST", "/api/v1/services/nobody/restart", {}),
                                ("POST", "/api/v1/services/nobody/release", {}),
                                ("DELETE", "/api/v1/alerts/deliveries/1", None)]:
        assert status_of(served.call(method, there, what)) in (401, 415), there
        assert status_of(served.call(method, there, what, TOKEN)) == 404, there
    assert status_of(served.call("POST", "/api/v1/silences", {"match": [], "for": "1h"}, TOKEN)) == 400


def test_what_cannot_be_done_is_refused_with_the_reason(served):
    restart, release = "/api/v1/services/shop/gone/restart", "/api/v1/services/shop/gone/release"
    for path in (restart, release):
        assert status_of(served.call("POST", path, b"[]", TOKEN, Content_Type="application/json")) == 400
        assert status_of(served.call("POST", path, {}, TOKEN, Origin="http://evil.example")) == 403
        assert status_of(served.call("GET", path)) == 405
        assert status_of(served.call("DELETE", path, None, TOKEN)) == 405
    answer, problem = served.call("POST", restart, {"by": "a test"}, TOKEN)
    assert answer.status == 409 and problem["detail"].endswith("it is a target of the file: it has no container")
    answer, problem = served.call("POST", release, {}, TOKEN)
    assert answer.status == 409 and problem["detail"].endswith("it is not quarantined")
    refused = served.cli("restart", "shop/gone", "--reason", "a test")
    assert refused.returncode == 1 and "it is a target of the file" in refused.stderr
    refused = served.cli("release", "shop/gone")
    assert refused.returncode == 1 and "it is not quarantined" in refused.stderr
    assert served.call("GET", "/api/v1/status")[1]["actions"] == ["maintenance", "silence"]


def test_guessing_is_slowed_down():
    monitor = Served()
    try:
        body = {"service": "shop/gone", "for": "30m"}
        found = {status_of(monitor.call("POST", "/api/v1/maintenance", body, f"guess-{n}")) for n in range(15)}
        assert found == {401, 429}
        answer, _ = monitor.call("POST", "/api/v1/maintenance", body, TOKEN)
        assert answer.status == 429 and int(answer.headers["Retry-After"]) >= 1
        assert monitor.cli("maintenance", "shop/gone", "--for", "30m").returncode == 0
    finally:
        monitor.dispose()


def test_without_a_token_nothing_is_changed_over_tcp():
    monitor = Served(token=False)
    try:
        assert monitor.call("GET", "/api/v1/status")[1]["changes"] == "off"
        assert status_of(monitor.call("POST", "/api/v1/maintenance", {"service": "shop/gone", "for": "1h"}, "x" * 20)) == 403
    finally:
        monitor.dispose()


class Stream:
    """Server-sent events over a socket of our own."""

    def __init__(self, port, last=None):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        more = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        self._socket.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
        self._file = self._socket.makefile("rb")
        assert b" 200 " in self._file.readline()
        while self._file.readline() != b"\r\n":
            pass

    def next(self):
        event = {}
        for line in iter(self._file.readline, b""):
            line = line.decode().rstrip("\n")
            if not line:
                if "data" in event:
                    return event["event"], int(event["id"]), json.loads(event["data"])
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value
        raise AssertionError("the stream ended")

    def close(self):
        self._file.close()
        self._socket.close()


SCHEMAS = {"service": "Service", "gone": "Gone", "history": "HistoryEntry", "engine": "Engine", "incident": "Incident",
           "alert": "Receiver", "silences": "Silences", "failover": "Failover", "pool": "Pool"}


def test_the_stream_tells_what_changes_and_what_was_missed(served):
    stream = Stream(served.port)
    kind, first, snapshot = stream.next()
    assert kind == "snapshot"
    check_schema("Snapshot", snapshot)
    assert served.cli("maintenance", "shop/gone", "--for", "30m").returncode == 0
    seen = {}
    while "service" not in seen or "history" not in seen or "maintenance" not in seen["service"]["overlays"]:
        kind, last, data = stream.next()
        check_schema(SCHEMAS[kind], data)
        assert last >= first
        if kind == "history" or data.get("full_name", "").startswith("shop"):
            seen[kind] = data
    stream.close()
    assert served.cli("maintenance", "shop/gone", "--end").returncode == 0
    again = Stream(served.port, last)
    assert again.next()[0] == "snapshot"
    kind, sequence, data = again.next()
    assert kind == "history" and sequence > last
    check_schema("HistoryEntry", data)
    again.close()

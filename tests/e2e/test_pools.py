"""The monitor shows the failover's pools and passes drains on: against a scripted failover, and against a real one."""
import contextlib
import http.client
import http.server
import json
import os
import socket
import socketserver
import tempfile
import threading
from pathlib import Path

import pytest
from support.contract import check_answer, check_schema
from support.engine import STATE
from support.failover_config import pool, settings
from support.http import exchange
from support.monitor import Watch
from support.page import Control, browse
from support.relay import Relay
from support.traffic import Wrk
from support.wait import eventually
from test_api import TOKEN, Served, Stream, status_of

SERVER = {"name": "alpha", "pool": "web", "state": "up", "reason": "", "since": "2026-01-01T00:00:00.000Z", "for_seconds": 1,
          "in_use": True, "kept": False, "addresses": ["198.51.100.11"], "port": None, "weight": 1, "role": "active",
          "share": 1, "slots": 61, "flows": 4, "ejections": 0, "hold_down_seconds": 0, "mark": 256, "mark_mask": 65280,
          "drain": None}
POOL = {"name": "web", "state": "up", "listen": [{"address": "203.0.113.10", "protocol": "tcp", "port": 80}],
        "schedule": "round-robin", "eject": "service", "all_down": "reject", "masquerade": False, "slots": 61,
        "servers": [SERVER]}


class ScriptedFailover:
    """Answers over a Unix socket what a test has put down: status and JSON, or bytes in place of any HTTP."""

    def __init__(self, path):
        self.path = path
        self.pools = (200, {"pools": [POOL]})
        self.change = (200, {"pool": "web", "server": "alpha"})
        self.asked = []  # changes: path and body
        self.hold = threading.Event()  # changes are answered while it is set
        self.hold.set()
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer(*script.pools)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.asked.append((self.path, body))
                script.hold.wait(30)
                self.answer(*script.change)

            def answer(self, status, what):
                with contextlib.suppress(OSError):
                    if isinstance(what, bytes):
                        self.wfile.write(what)
                        self.close_connection = True
                        return
                    text = json.dumps(what).encode()
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self._server = Server(path, Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


class Beside(Served):
    """A monitor that looks for a failover at a socket in its own folder. `named`: in its configuration."""

    def __init__(self, socket=None):
        self.at = socket or tempfile.mkdtemp(prefix=".e2e-f-", dir=STATE) + "/failover.sock"
        super().__init__()

    def arguments(self):
        return [*super().arguments(), "--failover-socket", self.at]

    def failover(self):
        return self.call("GET", "/api/v1/pools")[1]["failover"]

    def server(self):
        return self.call("GET", "/api/v1/pools")[1]["pools"][0]["servers"][0]


@pytest.fixture
def beside():
    monitor = Beside()
    yield monitor
    monitor.dispose()


@pytest.fixture
def scripted(beside):
    one = ScriptedFailover(beside.at)
    eventually(lambda: beside.failover()["up"], "it is found")
    yield one
    one.close()


def test_without_a_failover_nothing_is_said_of_it():
    served = Beside("none")
    try:
        answer = served.call("GET", "/api/v1/pools")[1]
        assert answer["pools"] == [] and answer["failover"]["configured"] is False
        refused, problem = served.call("POST", "/api/v1/drain", {"server": "alpha"}, TOKEN)
        assert refused.status == 409, problem
        assert not served.log("failover")
    finally:
        served.dispose()


def test_one_that_is_named_ought_to_be_there(beside):
    eventually(lambda: "there is no socket at" in beside.failover()["reason"], lambda: str(beside.failover()))
    state = beside.failover()
    assert state["configured"] and not state["up"] and state["as_of"] is None
    answer, problem = beside.call("POST", "/api/v1/ready", {"server": "alpha"}, TOKEN)
    assert answer.status == 502 and "there is no socket" in problem["detail"]
    one = ScriptedFailover(beside.at)
    eventually(lambda: beside.failover()["up"], "it is found")
    beside.wait_log("failover", level="info", msg=f"the failover at {beside.at} answers")
    one.close()
    eventually(lambda: not beside.failover()["up"], "it is missed")
    assert beside.failover()["as_of"] and beside.server()["name"] == "alpha", "as it was told last"
    assert len([line for line in beside.log("failover") if line["level"] == "warning"]) == 1


@pytest.mark.parametrize("answer,reason", [
    ((500, {"title": "Internal Server Error", "detail": "out of\x1b luck"}), "it answered 500: out of\\x1b luck"),
    ((200, {"pools": [POOL, POOL]}), "what it says cannot be shown: pools: one comes twice"),
    ((200, {"pools": [{**POOL, "state": "<b>"}]}), "what it says cannot be shown: state: "),
    ((200, []), "what it says cannot be shown: "),
    ((200, b"SSH-2.0-OpenSSH_9.9\r\n"), "malformed HTTP answer"),
    ((200, b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n"), "an answer of more than 1048576 bytes"),
    ((200, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"), "the failover closed the connection in mid-answer"),
    ((200, b""), "the failover closed the connection without an answer")])
def test_whatever_answers_there_is_told_and_survived(beside, scripted, answer, reason):
    before = beside.server()
    scripted.pools = answer
    eventually(lambda: reason in beside.failover()["reason"], lambda: str(beside.failover()))
    assert beside.server() == before
    scripted.pools = (200, {"pools": [POOL]})
    eventually(lambda: beside.failover()["up"], "it is well again")


def test_every_documented_answer_to_a_change(beside, scripted):
    for path in ("/api/v1/drain", "/api/v1/ready"):
        assert status_of(beside.call("POST", path, {"server": "alpha"})) == 401
        assert status_of(beside.call("POST", path, {"server": "alpha"}, TOKEN, Origin="http://evil.example")) == 403
        assert status_of(beside.call("POST", path, b"{}", TOKEN, Content_Type="text/plain")) == 415
        assert status_of(beside.call("POST", path, {"server": "a\nb"}, TOKEN)) == 400
        assert status_of(beside.call("GET", path)) == 405
        assert not scripted.asked
        scripted.change = (409, {"title": "Conflict", "detail": "alpha is the last\nserver"})
        answer, problem = beside.call("POST", path, {"server": "alpha"}, TOKEN)
        assert answer.status == 409 and problem["detail"] == "alpha is the last server"
        scripted.change = (400, {"title": "Bad Request"})
        answer, problem = beside.call("POST", path, {"server": "alpha"}, TOKEN)
        assert answer.status == 400 and problem["detail"] == "Bad Request"
        scripted.change = (403, {"title": "Forbidden"})
        assert status_of(beside.call("POST", path, {"server": "alpha"}, TOKEN)) == 502
        scripted.change = (200, b"")
        assert status_of(beside.call("POST", path, {"server": "alpha"}, TOKEN)) == 502
        scripted.change = (200, {"server": "alpha"})
        answer, body = beside.call("POST", path, {"server": "alpha"}, TOKEN)
        assert answer.status == 200 and body == {"server": "alpha"}
        scripted.asked.clear()
    own = f"http://127.0.0.1:{beside.port}"
    assert status_of(beside.call("POST", "/api/v1/drain", {"server": "alpha", "pool": "web", "for": "5m"}, TOKEN, Origin=own)) == 200
    assert scripted.asked == [("/api/v1/drain", {"server": "alpha", "pool": "web", "by": "the dashboard", "for": "5m"})]


def test_one_change_at_a_time(beside, scripted):
    scripted.hold.clear()
    first = []
    thread = threading.Thread(target=lambda: first.append(beside.call("POST", "/api/v1/drain", {"server": "alpha"}, TOKEN)))
    thread.start()
    eventually(lambda: scripted.asked, "the first is on its way")
    answer, _ = beside.call("POST", "/api/v1/ready", {"server": "alpha"}, TOKEN)
    assert answer.status == 503 and answer.headers["Retry-After"] == "1"
    scripted.hold.set()
    thread.join()
    assert status_of(first[0]) == 200
    assert len(scripted.asked) == 1


def test_those_who_listen_are_told_what_changes(beside, scripted):
    stream = Stream(beside.port)
    kind, _, snapshot = stream.next()
    assert kind == "snapshot" and snapshot["failover"]["up"] and snapshot["pools"][0]["servers"][0]["flows"] == 4
    check_schema("Snapshot", snapshot)

    def wait(wanted):
        while True:
            kind, _, data = stream.next()
            if kind == wanted:
                check_schema({"pool": "Pool", "failover": "Failover", "gone": "Gone"}[kind], data)
                return data

    scripted.pools = (200, {"pools": [{**POOL, "servers": [{**SERVER, "flows": 3}]}]})
    assert wait("pool")["servers"][0]["flows"] == 3
    scripted.pools = (500, {})
    assert not wait("failover")["up"]
    scripted.pools = (200, {"pools": [{**POOL, "name": "mail"}]})
    assert wait("failover")["up"]
    found = {wait("gone")["full_name"]}
    assert found == {"pool:web"}
    stream.close()
    assert [one["name"] for one in beside.call("GET", "/api/v1/pools")[1]["pools"]] == ["mail"]


class RealOne:
    """A failover on the firewall, and a monitor beside it with a token and a TCP port there."""

    def __init__(self, nat):
        self.nat = nat
        folder = Path(tempfile.mkdtemp(prefix="monitor-", dir=nat.folder))
        (folder / "token").write_text(TOKEN, encoding="utf-8")
        self._link = folder / "failover.sock"  # one path, whichever process listens
        self.failover = None
        self.monitor = Watch(tempfile.mkdtemp(prefix="monitor-", dir=nat.folder), "{}\n", nat.firewall,
                             listen="127.0.0.1:8090", environment={"SENTINEL_FAILOVER_SOCKET": str(self._link),
                                                                   "SENTINEL_TOKEN_FILE": str(folder / "token")})

    def start(self):
        self.begin(self.nat.failover(settings(pool("web"))))
        self.monitor.start().wait_ready()
        return self

    def begin(self, failover):
        self.failover = failover
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(failover.socket)
        failover.wait_pool("web", up=3)

    def again(self):
        self.begin(self.nat.again(self.failover))

    def connect(self):
        def make():
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                one.connect(("127.0.0.1", 8090))
            except OSError:
                one.close()
                raise
            return one

        return self.nat.firewall.call(make)

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", 8090, timeout=20)
        connection.sock = self.connect()
        answer = exchange(connection, method, path, body, {"Authorization": f"Bearer {TOKEN}"})
        return answer.status, check_answer(method, path, answer)

    def shown(self):
        """Whether the failover answers, and the state of each server."""
        found = self.call("GET", "/api/v1/pools")[1]
        return found["failover"]["up"], {one["name"]: one["state"] for each in found["pools"] for one in each["servers"]}


ALL_UP = {"s1": "up", "s2": "up", "s3": "up"}


@pytest.fixture
def real(nat):
    one = RealOne(nat)
    try:
        yield one.start()
    finally:
        one.monitor.dispose()
        one.monitor.dump()


@pytest.mark.lane("failover")
def test_a_real_failover_is_shown_and_drained_through_the_monitor(nat, witness, real):
    assert real.shown() == (True, ALL_UP)
    s1 = {"pool": "web", "server": "s1"}
    with Wrk(nat, connections=4, keep_alive=False) as traffic:
        assert real.call("POST", "/api/v1/drain", {**s1, "by": "a test"}) == (200, s1)
        real.failover.wait_pool("web", up=2)
        witness.restart()
        eventually(lambda: witness.counts()["s2"] > 200, lambda: f"the others are busy: {witness.counts()}")
        assert witness.counts()["s1"] == 0
        assert real.shown()[1]["s1"] in ("draining", "drained")
        assert real.failover.server("web", "s1")["drain"]["by"] == "a test"
        assert real.call("POST", "/api/v1/drain", {"pool": "web", "server": "nobody"})[0] == 409
        assert real.call("POST", "/api/v1/ready", s1) == (200, s1)
        eventually(lambda: real.shown() == (True, ALL_UP), lambda: str(real.shown()))
        witness.restart()
        eventually(lambda: witness.counts()["s1"] > 100, "it is busy again")
    traffic.assert_flawless()
    assert real.failover.stop() == 0
    eventually(lambda: real.shown() == (False, ALL_UP), lambda: str(real.shown()))
    assert real.call("POST", "/api/v1/drain", s1)[0] == 502
    real.again()
    eventually(lambda: real.shown() == (True, ALL_UP), lambda: str(real.shown()))


@pytest.mark.slow
@pytest.mark.lane("failover")
def test_the_page_drains_a_real_server(nat, real):
    held = []

    def hold():
        held.append(next(one for one in (nat.kept() for _ in range(6)) if one.ask() == "s1"))

    with Relay(None, real.connect) as relay, Control(hold=hold, leave=lambda: held.pop().close(), start=real.again,
                                                     stop=lambda: real.failover.stop()) as control:  # pylint: disable=unnecessary-lambda
        browse("real_pools.mjs", relay.port, control, TOKEN, 3, 300)

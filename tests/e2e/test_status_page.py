"""The public status page: of real containers, through a reload, and behind the reverse proxy that the documentation shows."""
import http.client
import re
import tempfile

import pytest
from support.contract import check_answer
from support.engine import ROOT, STATE
from support.http import exchange
from support.monitor import Watch
from support.netns import Namespace
from support.servers import nginx
from support.wait import eventually
from test_intent import compose

PAGE = "/api/v1/status-page"
WATCHED = {"sentinel.heal": "none"}
CONFIG = """
status-page:
  title: Shop status
  services:
    - {service: hidden-shop/web, name: Shop}
    - {service: hidden-shop/ledger, name: Checkout}
    - {service: nobody/yet, name: Later}
"""
TARGETS = """
targets:
  closed:
    group: inner
    probe.port: tcp://127.0.0.1:1
"""


def page(monitor, **headers):
    answer = monitor.get(PAGE, headers)
    return check_answer("GET", PAGE, answer)


def states(monitor):
    shown = page(monitor)
    return {one["name"]: one["state"] for one in shown["services"]} | {"": shown["state"]}


def wait_states(monitor, **wanted):
    def reached():
        return all(states(monitor)[name] == state for name, state in wanted.items())

    eventually(reached, lambda: f"the page says {wanted}; it says {states(monitor)}; {monitor.tail()}", 30)


def test_what_happens_to_containers_is_told_to_everybody_and_nothing_else(rig):
    web = [rig.healthy(f"web-{n}", labels={**WATCHED, **compose("web", "hidden-shop", n)}) for n in (1, 2)]
    ledger = rig.healthy("ledger", labels={**WATCHED, **compose("ledger", "hidden-shop")})
    monitor = rig.monitor(CONFIG)
    wait_states(monitor, Shop="up", Checkout="up", Later="unknown")
    assert states(monitor)[""] == "unknown"

    web[0].simulate("unhealthy")
    wait_states(monitor, Shop="degraded", Checkout="up")
    assert states(monitor)[""] == "degraded"
    web[1].simulate("unhealthy")
    wait_states(monitor, Shop="down", Checkout="up")
    shown = page(monitor)
    assert shown["state"] == "down" and shown["title"] == "Shop status"
    assert [one["services"] for one in shown["incidents"]] == [["Shop"], ["Shop"]]
    assert all(one["ended"] is None for one in shown["incidents"])

    for number in (1, 2):
        assert monitor.cli("maintenance", f"hidden-shop/web/{number}", "--for", "30m").returncode == 0
    wait_states(monitor, Shop="maintenance", Checkout="up")
    for number in (1, 2):
        assert monitor.cli("maintenance", f"hidden-shop/web/{number}", "--end").returncode == 0
    for one in web:
        one.simulate("recover")
    wait_states(monitor, Shop="up")
    # Those that ended are read from the journal, which keeps them a moment later.
    eventually(lambda: [one["services"] for one in page(monitor)["incidents"] if one["ended"]] == [["Shop"], ["Shop"]],
               lambda: page(monitor))
    ledger.pause()
    wait_states(monitor, Checkout="down")
    ledger.unpause()
    wait_states(monitor, Checkout="up")

    said = monitor.get(PAGE).text
    for inner in ["hidden", "ledger", rig.prefix, rig.engine.image, *(one.id[:12] for one in web), web[0].address]:
        assert inner not in said, inner


def test_the_past_is_that_of_the_journal(rig):
    web = rig.healthy("web", labels={**WATCHED, **compose("web", "hidden-shop")})
    monitor = rig.monitor(CONFIG)
    wait_states(monitor, Shop="up")
    web.simulate("unhealthy")
    wait_states(monitor, Shop="down")
    web.simulate("recover")
    wait_states(monitor, Shop="up")
    assert monitor.stop() == 0
    # A new process asks anew, and waits for the answer.
    monitor.start().wait_ready()
    wait_states(monitor, Shop="up")
    again = page(monitor)
    shop, checkout = again["services"][:2]
    assert 0 < shop["availability"] < 1 and len(shop["days"]) == 90
    assert shop["days"][0] is None and 0 < shop["days"][-1] < 1
    assert checkout["availability"] is None and checkout["days"] == []
    assert len(again["incidents"]) == 1 and again["incidents"][0]["ended"]


@pytest.fixture
def inner():
    """A namespace of its own: there the documented addresses are free."""
    one = Namespace("page")
    yield one
    one.close()


@pytest.fixture
def watch(inner):
    made = []

    def make(config, **options):
        one = Watch(tempfile.mkdtemp(prefix=".e2e-", dir=STATE), config, inner, **options)
        made.append(one)
        return one.start().wait_ready()

    yield make
    for one in made:
        one.dispose()
        one.dump()


def test_it_is_there_as_long_as_it_is_configured(watch):
    def status(path):
        answer = monitor.get(path, {"Accept-Encoding": "gzip"})
        check_answer("GET", path, answer)
        return answer.status

    monitor = watch(TARGETS)
    assert (status(PAGE), status("/status")) == (404, 404)
    lines = "  services: [{service: inner/closed, name: Shop}]\n"
    monitor.config.write_text(TARGETS + "status-page:\n  titel: Shop\n" + lines, encoding="utf-8")
    monitor.reload()
    problem = monitor.wait_log("sentinel.config", level="error", count=2)
    assert "sentinel.yaml:7:3: status-page.titel: unknown key; did you mean 'title'?" in problem["msg"], problem
    assert status(PAGE) == 404
    monitor.config.write_text(TARGETS + "status-page:\n" + lines, encoding="utf-8")
    monitor.reload()
    eventually(lambda: status(PAGE) == 200, "the page is there")
    assert status("/status") == 200
    assert page(monitor)["title"] == "Status"
    wait_states(monitor, Shop="down")
    answer = monitor.get(PAGE)
    assert answer.headers["Cache-Control"] == "public, max-age=10"
    again = monitor.get(PAGE, {"If-None-Match": answer.headers["ETag"]})
    check_answer("GET", PAGE, again)
    assert again.status in (200, 304)  # the minute may have turned
    assert check_answer("POST", PAGE, monitor.post(PAGE, {}))["status"] == 405
    monitor.config.write_text(TARGETS, encoding="utf-8")
    monitor.reload()
    eventually(lambda: status(PAGE) == 404, "the page is gone")
    assert status("/status") == 404


def documented_proxy():
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    return re.search(r"```nginx\n(.*?)```", text, re.DOTALL).group(1)


def test_the_documented_proxy_publishes_the_page_and_nothing_else(inner, watch):
    lines = "status-page: {services: [{service: inner/closed, name: Shop}]}\n"
    monitor = watch(TARGETS + lines, listen="127.0.0.1:8090")
    config = documented_proxy()
    assert config.count("/var/cache/nginx/status") == 1
    proxy = nginx(inner, "proxy", config.replace("/var/cache/nginx/status", "{folder}/cache"), [("127.0.0.1", 80)])

    def call(method, target, port=80, **headers):
        def exchanged():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            return exchange(connection, method, target, None, {"Host": "status.example.org", **headers} if port == 80 else headers)

        return inner.call(exchanged)

    try:
        proxy.start()
        answer = call("GET", PAGE)
        shown = check_answer("GET", PAGE, answer)
        assert [one["name"] for one in shown["services"]] == ["Shop"]
        assert call("GET", PAGE, **{"If-None-Match": answer.headers["ETag"]}).status == 304
        html = call("GET", "/status", **{"Accept-Encoding": "gzip"})
        assert html.status == 200 and html.headers["Content-Type"].startswith("text/html")
        assert call("GET", "/").headers["Location"].endswith("/status")
        # All of the API that can be read, and what climbs out of what is let through.
        readable = ["/metrics", "/livez", "/readyz", "/api/v1/status", "/api/v1/services", "/api/v1/services/inner/closed",
                    "/api/v1/history", "/api/v1/incidents", "/api/v1/events", "/api/v1/decisions", "/api/v1/alerts"]
        climbing = ["/ui/../api/v1/services", "/ui/%2e%2e/api/v1/services", "/ui/..%2fapi/v1/services", "/ui//../metrics",
                    "/ui/%252e%252e/metrics", "/status/../metrics", "/api/v1/status-page/../services", "//metrics",
                    "/api/v1/status-page/", "/status/"]
        for target in readable + climbing:
            outside = call("GET", target)
            assert outside.status in (400, 404), f"{target}: {outside.status} {outside.text[:200]}"
            assert "inner" not in outside.text and "sentinel_" not in outside.text, target
        assert all(call("GET", target, 8090).status == 200 for target in readable if not target.endswith("/events"))
        for method in ("POST", "PUT", "DELETE"):
            assert call(method, PAGE).status == 405
            assert call(method, "/api/v1/maintenance").status == 404
        # The monitor is not asked by each of a crowd.
        before = monitor.metrics().sum("sentinel_http_requests_total")
        for _ in range(50):
            assert call("GET", PAGE).status == 200
        assert monitor.metrics().sum("sentinel_http_requests_total") - before < 25
    finally:
        proxy.close()

"""The monitor without an Engine, watching real servers from its file: what changes, what is told, and what it cannot see."""
import contextlib
import re
import tempfile
from datetime import datetime, timedelta, timezone

import pytest
import yaml
from support.monitor import Watch
from support.probe_bed import BIND, DNSMASQ, DNSMASQ6, MAIL, WEB, WEB6
from support.wait import eventually

pytestmark = pytest.mark.lane("probes")

QUICK = {"interval": "1s", "fast-interval": "1s", "timeout": "500ms", "fall": 2, "rise": 2}


def probe(url, **options):
    return {"url": url, "options": {**QUICK, **{key.replace("_", "-"): value for key, value in options.items()}}}


def settings(targets, **more):
    """`targets`: probes by name of the target and of the probe."""
    listed = {}
    for name, probes in targets.items():
        keys = listed[name] = {}
        for label, one in probes.items():
            keys[f"probe.{label}"] = one["url"]
            keys |= {f"probe.{label}.{option}": value for option, value in one["options"].items()}
    return yaml.safe_dump({"targets": listed, **more}, sort_keys=False)


def all_kinds(bed):
    return {
        "web": {"http": probe(f"http://{WEB}/ok"), "https": probe(f"https://{WEB}", **{"tls.ca": str(bed.ca.file)})},
        "mail": {"smtp": probe(f"smtp://{MAIL}?starttls=required", **{"tls.ca": str(bed.ca.file), "tls.name": "www.example.net"})},
        "names": {"dns": probe(f"dns://{BIND}/www.example.net?expect=192.0.2.10")},
        "host": {"ping": probe(f"icmp://{WEB}"), "tcp": probe(f"tcp://[{WEB6}]:80")},
    }


@pytest.fixture
def watch(bed):
    """Makes monitors in the namespace that probes."""
    made = []

    def make(config, **options):
        one = Watch(tempfile.mkdtemp(prefix="watch-", dir=bed.folder), config, bed.here, **options)
        made.append(one)
        one.start()
        return one.wait_ready()

    yield make
    for one in made:
        one.dispose()
        one.dump()


def states(monitor, names, state, seconds=30):
    for name in names:
        monitor.wait_state(name, state, seconds=seconds)


def test_every_kind_is_watched_and_a_failure_told(bed, watch):
    targets = all_kinds(bed)
    monitor = watch(settings(targets))
    states(monitor, targets, "healthy")
    bed.mail.pause()
    try:
        monitor.wait_state("mail", "unhealthy")
        line = monitor.wait_log("service.transition", "mail", to="unhealthy")
        assert line["error.type"] == "timeout" and "500 ms" in line["msg"], line
    finally:
        bed.mail.resume()
    monitor.wait_state("mail", "healthy")
    line = monitor.wait_log("service.transition", "mail", to="healthy", count=2)
    assert re.search(r"healthy \(was unhealthy for [\d.]+ s\)", line["msg"]), line
    # The others were never told of.
    for name in ("web", "names", "host"):
        assert not monitor.log("service.transition", name, to="unhealthy")

    # Each of the latest probes passes again: one that came late on a busy machine is no failure of the service.
    probes = [("mail", "smtp"), ("web", "http"), ("web", "https"), ("names", "dns"), ("host", "ping")]

    def when_all_pass():
        found = monitor.metrics()
        passing = all(found.one("sentinel_probe_success", service=service, probe=name) == 1 for service, name in probes)
        return found if passing else None

    metrics = eventually(when_all_pass, lambda: f"all of the latest probes pass: {monitor.metrics().text}")
    assert metrics.one("sentinel_service_info", service="mail", project="targets", replica="1")
    assert metrics.one("sentinel_probe_failures_total", service="mail", probe="smtp", reason="timeout") >= 2
    assert metrics.one("sentinel_probe_smtp_reply_code", service="mail", probe="smtp") == 250
    assert metrics.one("sentinel_probe_http_status_code", service="web", probe="http") == 200
    assert metrics.one("sentinel_probe_dns_rcode", service="names", probe="dns") == 0
    assert metrics.one("sentinel_probe_loss_ratio", service="host", probe="ping") == 0
    end = bed.certificates["good"].not_after.timestamp()
    for service, name in (("web", "https"), ("mail", "smtp")):
        found = metrics.one("sentinel_probe_cert_not_after_timestamp_seconds", service=service, probe=name)
        assert found == end
        assert metrics.one("sentinel_probe_phase_duration_seconds", service=service, probe=name, phase="tls") > 0
    assert metrics.one("sentinel_probe_schedule_lag_seconds_count") > 0


def test_a_name_is_as_long_as_it_must_be(bed, watch):
    here = {"probe.tcp": f"tcp://{WEB}:80"}
    config = {"targets": {"web": here, "shop": {**here, "group": "front"}}}
    monitor = watch(yaml.safe_dump(config))
    states(monitor, ["web", "shop"], "healthy")
    assert {row["full_name"] for row in monitor.services().values()} == {"targets/web/1", "front/shop/1"}
    for name in ("shop", "front/shop", "front/shop/1"):
        assert monitor.service(name)["name"] == "shop"
    done = monitor.cli("explain", "front/shop/1")
    assert done.returncode == 0 and done.stdout.startswith("front/shop/1 is healthy"), done
    assert monitor.wait_log("service.transition", "front/shop/1", to="healthy")["service"] == "front/shop/1"


def test_a_reload_keeps_what_is_known_of_unchanged_targets(bed, watch):
    targets = {"web": {"http": probe(f"http://{WEB}/ok")}, "sick": {"http": probe(f"http://{WEB}/status/503")},
               "gone": {"tcp": probe(f"tcp://{WEB}:80")}}
    monitor = watch(settings(targets))
    states(monitor, ("web", "gone"), "healthy")
    monitor.wait_state("sick", "unhealthy")
    begin = [monitor.wait_log("service.transition", name) for name in ("web", "sick")]
    del targets["gone"]
    targets["names"] = {"dns": probe(f"dns://{BIND}/www.example.net")}
    monitor.config.write_text(settings(targets), encoding="utf-8")
    monitor.reload()
    monitor.wait_state("names", "healthy")
    assert set(monitor.services()) == {"web", "sick", "names"}
    assert (monitor.state("web"), monitor.state("sick")) == ("healthy", "unhealthy")
    told = [line for name in ("web", "sick") for line in monitor.log("service.transition", name)]
    assert told == begin, "nothing is told of those that did not change"
    assert not monitor.metrics().find("sentinel_probe_success", service="gone")
    assert monitor.metrics().one("sentinel_config_last_reload_successful") == 1

    # A file that is wrong changes nothing, and is told with its line.
    wrong = settings(targets).replace("fast-interval", "fast-intervall", 1)
    line = next(number for number, text in enumerate(wrong.splitlines(), 1) if "fast-intervall" in text)
    monitor.config.write_text(wrong, encoding="utf-8")
    monitor.reload()
    eventually(lambda: any(f"sentinel.yaml:{line}:" in text and "fast-intervall" in text and "did you mean" in text
                           for text in monitor.sentences()), monitor.tail)
    assert monitor.metrics().one("sentinel_config_last_reload_successful") == 0
    assert set(monitor.services()) == {"web", "sick", "names"}
    seen = monitor.metrics().one("sentinel_probes_total", service="web", probe="http", result="pass")
    eventually(lambda: monitor.metrics().one("sentinel_probes_total", service="web", probe="http", result="pass") > seen,
               "the old configuration goes on")
    monitor.config.write_text(settings(targets), encoding="utf-8")
    monitor.reload()
    eventually(lambda: monitor.metrics().one("sentinel_config_last_reload_successful") == 1, "it is read again")


def test_secrets_and_variables(bed, watch, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("hunter2-one\n", encoding="utf-8")
    config = yaml.safe_dump({"targets": {"web": {
        "probe.http": "http://${WEB_HOST}${WEB_PATH:-/echo}", "probe.http.interval": "1s", "probe.http.fall": 1,
        "probe.http.header.X-Key_file": str(secret), "probe.http.expect.body": "${WEB_ANSWER}"}}})
    monitor = watch(config, environment={"WEB_HOST": WEB, "WEB_ANSWER": "-one"})
    states(monitor, ["web"], "healthy")
    secret.write_text("hunter2-two\n", encoding="utf-8")
    monitor.reload()
    monitor.wait_state("web", "unhealthy")
    shown = "\n".join(str(line) for line in monitor.lines.snapshot()) + monitor.get("/api/v1/services/web").text
    shown += monitor.metrics().text + monitor.cli("explain", "web").stdout
    assert "hunter2" not in shown
    # A variable that is not there is an error, and the name is in it, not what others hold.
    monitor.config.write_text(config.replace("WEB_HOST", "NO_HOST"), encoding="utf-8")
    monitor.reload()
    eventually(lambda: any("NO_HOST" in text for text in monitor.sentences()), monitor.tail)
    assert monitor.service("web")["state"] == "unhealthy"


def test_a_maintenance_window_of_the_file(bed, watch):
    began = datetime.now(timezone.utc) - timedelta(minutes=5)
    window = {"name": "works", "services": ["targets/s*"], "start": began.strftime("%H:%M"), "duration": "1h"}
    targets = {"sick": {"http": probe(f"http://{WEB}/status/503")}, "web": {"http": probe(f"http://{WEB}/status/503")}}
    monitor = watch(settings(targets, maintenance=[window]))
    states(monitor, targets, "unhealthy")
    assert "maintenance" in monitor.services()["sick"]["overlays"]
    assert "maintenance" not in monitor.services()["web"]["overlays"]
    metrics = monitor.metrics()
    assert metrics.one("sentinel_service_maintenance", service="sick") == 1
    assert metrics.one("sentinel_service_maintenance", service="web") == 0
    eventually(lambda: monitor.metrics().one("sentinel_service_downtime_seconds_total", service="web") > 0, "it is down")
    assert monitor.metrics().one("sentinel_service_downtime_seconds_total", service="sick") == 0
    monitor.config.write_text(settings(targets), encoding="utf-8")
    monitor.reload()
    eventually(lambda: "maintenance" not in monitor.services()["sick"]["overlays"], "the window is gone")
    eventually(lambda: monitor.metrics().one("sentinel_service_downtime_seconds_total", service="sick") > 0, "it counts now")


HOSTS = {f"host{number}": {"tcp": probe(f"tcp://{address}:{port}")} for number, (address, port) in enumerate(
    [(WEB, 80), (f"[{WEB6}]", 80), (MAIL, 25), (BIND, 53), (DNSMASQ, 53), (f"[{DNSMASQ6}]", 53)])}


def blind_and_back(monitor, names, outage):
    """All are said to be out of sight while it lasts, and none to be down."""
    states(monitor, names, "healthy")
    with outage:
        eventually(lambda: all("blind" in row["overlays"] for row in monitor.services().values()),
                   lambda: f"all are blind: {monitor.services()}; {monitor.tail()}", 30)
        assert {row["state"] for row in monitor.services().values()} == {"healthy"}
        assert monitor.metrics().one("sentinel_services_blind") == len(names)
        line = monitor.wait_log("sentinel.blind")
        assert "our own network or resolver" in line["msg"], line
    eventually(lambda: not any("blind" in row["overlays"] for row in monitor.services().values()),
               lambda: f"it sees again: {monitor.services()}; {monitor.tail()}", 40)
    states(monitor, names, "healthy")
    assert not monitor.log("service.transition", to="unhealthy")
    assert monitor.metrics().one("sentinel_services_blind") == 0


def test_blind_when_our_own_link_is_down(bed, watch):
    """Many hosts vanish at once: that is us, and nobody is called unhealthy."""
    blind_and_back(watch(settings(HOSTS)), HOSTS, bed.here.link_down("eth0"))


@contextlib.contextmanager
def silent(server):
    server.pause()
    try:
        yield
    finally:
        server.resume()


def test_blind_when_no_name_can_be_resolved(bed, watch):
    # This one's answers are not kept: each probe asks anew.
    bed.here.resolver(f"nameserver {DNSMASQ}", "options timeout:1 attempts:1")
    try:
        names = {f"name{number}": {"tcp": probe(f"tcp://n{number}.www.example.org:80", timeout="900ms")}
                 for number in range(6)}
        blind_and_back(watch(settings(names)), names, silent(bed.dns2))
    finally:
        bed.here.resolver(f"nameserver {BIND}", "options timeout:1 attempts:1")


def test_a_real_outage_of_one_is_told_while_others_are_seen(bed, watch):
    monitor = watch(settings(HOSTS))
    states(monitor, HOSTS, "healthy")
    with bed.peer.fault(f"ip daddr {MAIL} reject with icmp type host-unreachable"):
        monitor.wait_state("host2", "unhealthy", seconds=40)
        assert monitor.metrics().one("sentinel_services_blind") == 0
    monitor.wait_state("host2", "healthy", seconds=30)


def test_a_slow_target_does_not_delay_others(bed, watch):
    """Fifty that never answer or a byte a second, beside one that does: its probes start when they are due."""
    slow = {f"slow{number}": {"http": probe(f"http://{WEB}/{'never' if number % 2 else 'trickle'}?{number}",
                                            timeout="900ms", **{"expect.body": "the end"})} for number in range(50)}
    monitor = watch(settings({**slow, "quick": {"http": probe(f"http://{WEB}/ok")}}), level="info")
    states(monitor, ["quick"], "healthy")
    states(monitor, slow, "unhealthy", 60)
    passed = lambda: monitor.metrics().one(  # noqa: E731
        "sentinel_probes_total", service="quick", probe="http", result="pass")
    first = passed()
    eventually(lambda: passed() >= first + 5, "it goes on")
    assert monitor.state("quick") == "healthy"
    metrics = monitor.metrics()
    assert metrics.sum("sentinel_probes_total", service="quick", result="fail") == 0
    # Each of the slow ones took its whole time meanwhile; nobody waited for that.
    late = metrics.one("sentinel_probe_schedule_lag_seconds_count") - metrics.one(
        "sentinel_probe_schedule_lag_seconds_bucket", le="0.5")
    assert late <= 0.1 * metrics.one("sentinel_probe_schedule_lag_seconds_count")

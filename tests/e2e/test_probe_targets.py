"""The monitor without an Engine, watching real servers from its file: what changes, what is told, and what it cannot see."""
import re
import tempfile

import pytest
import yaml
from support.daemon import Metrics
from support.monitor import Watch
from support.probe_bed import BIND, MAIL, WEB, WEB6
from support.wait import eventually

pytestmark = pytest.mark.lane("probes")

QUICK = {"interval": "1s", "fast-interval": "200ms", "timeout": "500ms", "fall": 2, "rise": 2}


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
        monitor.wait_state(f"targets/{name}", state, seconds=seconds)


def test_every_kind_is_watched_and_a_failure_told(bed, watch):
    targets = all_kinds(bed)
    monitor = watch(settings(targets))
    states(monitor, targets, "healthy")
    bed.mail.pause()
    try:
        monitor.wait_state("targets/mail", "unhealthy")
        line = monitor.wait_log("service.transition", "mail", to="unhealthy")
        assert line["error.type"] == "timeout" and "500 ms" in line["msg"], line
    finally:
        bed.mail.resume()
    monitor.wait_state("targets/mail", "healthy")
    line = monitor.wait_log("service.transition", "mail", to="healthy", count=2)
    assert re.search(r"healthy \(was unhealthy for [\d.]+ s\)", line["msg"]), line
    # The others were never told of.
    for name in ("web", "names", "host"):
        assert not monitor.log("service.transition", name, to="unhealthy")

    metrics = monitor.metrics()
    assert isinstance(metrics, Metrics)
    assert metrics.one("sentinel_probe_success", service="targets/mail", probe="smtp") == 1
    assert metrics.one("sentinel_probe_failures_total", service="targets/mail", probe="smtp", reason="timeout") >= 2
    assert metrics.one("sentinel_probe_smtp_reply_code", service="targets/mail", probe="smtp") == 250
    assert metrics.one("sentinel_probe_http_status_code", service="targets/web", probe="http") == 200
    assert metrics.one("sentinel_probe_dns_rcode", service="targets/names", probe="dns") == 0
    assert metrics.one("sentinel_probe_loss_ratio", service="targets/host", probe="ping") == 0
    end = bed.certificates["good"].not_after.timestamp()
    for service, name in (("web", "https"), ("mail", "smtp")):
        found = metrics.one("sentinel_probe_cert_not_after_timestamp_seconds", service=f"targets/{service}", probe=name)
        assert found == end
        assert metrics.one("sentinel_probe_phase_duration_seconds", service=f"targets/{service}", probe=name, phase="tls") > 0
    assert metrics.one("sentinel_probe_schedule_lag_seconds_count") > 0


def test_a_reload_keeps_what_is_known_of_unchanged_targets(bed, watch):
    targets = {"web": {"http": probe(f"http://{WEB}/ok")}, "sick": {"http": probe(f"http://{WEB}/status/503")},
               "gone": {"tcp": probe(f"tcp://{WEB}:80")}}
    monitor = watch(settings(targets))
    states(monitor, ("web", "gone"), "healthy")
    monitor.wait_state("targets/sick", "unhealthy")
    before = {name: monitor.service(f"targets/{name}")["since"] for name in ("web", "sick")}
    count = len(monitor.log("service.transition"))
    del targets["gone"]
    targets["names"] = {"dns": probe(f"dns://{BIND}/www.example.net")}
    monitor.config.write_text(settings(targets), encoding="utf-8")
    monitor.reload()
    monitor.wait_state("targets/names", "healthy")
    assert set(monitor.services()) == {"targets/web", "targets/sick", "targets/names"}
    assert {name: monitor.service(f"targets/{name}")["since"] for name in ("web", "sick")} == before
    later = [line for line in monitor.log("service.transition")[count:] if "names" not in line["service"]]
    assert not later, "nothing is told of those that did not change"
    assert not monitor.metrics().find("sentinel_probe_success", service="targets/gone")

    # A file that is wrong changes nothing, and is told with its line.
    monitor.config.write_text(settings(targets).replace("fast-interval", "fast-intervall"), encoding="utf-8")
    monitor.reload()
    eventually(lambda: any("fast-intervall" in text and "did you mean" in text for text in monitor.sentences()),
               lambda: monitor.tail())
    assert set(monitor.services()) == {"targets/web", "targets/sick", "targets/names"}
    assert monitor.state("targets/web") == "healthy"


def test_blind_when_our_own_link_is_down(bed, watch):
    """Many hosts vanish at once: that is us, and nobody is called unhealthy."""
    hosts = {f"host{number}": {"tcp": probe(f"tcp://{address}:{port}")} for number, (address, port) in enumerate(
        [(WEB, 80), (f"[{WEB6}]", 80), (MAIL, 25), (BIND, 53), ("192.0.2.54", 53), ("[2001:db8:2::53]", 53)])}
    monitor = watch(settings(hosts))
    states(monitor, hosts, "healthy")
    with bed.here.link_down("eth0"):
        eventually(lambda: all("blind" in row["overlays"] for row in monitor.services().values()),
                   lambda: f"all are blind: {monitor.services()}; {monitor.tail()}", 30)
        assert {row["state"] for row in monitor.services().values()} == {"healthy"}
        assert monitor.metrics().one("sentinel_services_blind") == len(hosts)
    eventually(lambda: not any("blind" in row["overlays"] for row in monitor.services().values()),
               lambda: f"it sees again: {monitor.services()}; {monitor.tail()}", 30)
    states(monitor, hosts, "healthy")
    assert not monitor.log("service.transition", to="unhealthy")


def test_a_real_outage_of_one_is_told_while_others_are_seen(bed, watch):
    hosts = {f"host{number}": {"tcp": probe(f"tcp://{address}:{port}")} for number, (address, port) in enumerate(
        [(WEB, 80), (f"[{WEB6}]", 80), (MAIL, 25), (BIND, 53), ("192.0.2.54", 53), ("[2001:db8:2::53]", 53)])}
    monitor = watch(settings(hosts))
    states(monitor, hosts, "healthy")
    with bed.peer.fault(f"ip daddr {MAIL} reject with icmp type host-unreachable"):
        monitor.wait_state("targets/host2", "unhealthy", seconds=40)
        assert monitor.metrics().one("sentinel_services_blind") == 0
    monitor.wait_state("targets/host2", "healthy", seconds=30)


def test_a_slow_target_does_not_delay_others(bed, watch):
    """Fifty that never answer beside one that does: its probes start when they are due."""
    targets = {f"slow{number}": {"http": probe(f"http://{WEB}/never?{number}", timeout="900ms")} for number in range(50)}
    targets["quick"] = {"http": probe(f"http://{WEB}/ok", interval="1s")}
    monitor = watch(settings(targets), level="info")
    monitor.wait_state("targets/quick", "healthy")
    states(monitor, ["slow0", "slow49"], "unhealthy")
    first = monitor.metrics().one("sentinel_probes_total", service="targets/quick", probe="http", result="pass")
    eventually(lambda: monitor.metrics().one("sentinel_probes_total", service="targets/quick", probe="http", result="pass")
               >= first + 5, "it goes on", 20)
    assert monitor.state("targets/quick") == "healthy"
    assert monitor.metrics().sum("sentinel_probes_total", service="targets/quick", result="fail") == 0

"""People are told what matters, once, and that it is over; whatever happens to Sentinel, the disk or the receiver."""
import hashlib
import hmac
import json
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from support.monitor import SENTINEL, Watch
from support.netns import Namespace
from support.receivers import Hook, Patients
from support.wait import eventually

pytestmark = pytest.mark.lane("alerts")

# For many at once, on a busy machine.
CALM = {"probe.http.interval": "5s", "probe.http.fast-interval": "5s", "probe.http.timeout": "4s"}
AT_ONCE = {"group-wait": "0s", "group-interval": "1s"}


class Ward:
    """A namespace with services that fall ill, receivers, and monitors that watch."""

    def __init__(self):
        self.net = Namespace("alerts")
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-alerts-"))
        self.patients = Patients(self.net)
        self.hooks = []
        self.monitors = []

    def hook(self, *script):
        one = Hook(self.net, script or ("take",))
        self.hooks.append(one)
        return one

    def settings(self, names, alerts, options=None, **more):
        targets = {name: self.patients.target(name, **(options or {})) for name in names}
        return yaml.safe_dump({"limits": {"min-probe-interval": "200ms"}, "targets": targets, "alerts": {"host": "ward", **alerts}, **more}, sort_keys=False)

    def monitor(self, config, **options):
        one = Watch(tempfile.mkdtemp(prefix="monitor-", dir=self.folder), config, self.net, **options)
        self.monitors.append(one)
        one.start()
        # Not ready: without a store it never is.
        eventually(one.listening, lambda: f"the monitor listens; {one.tail()}")
        return one

    def again(self, monitor):
        """Another process with the files and data of one that has ended."""
        return self.monitor(monitor.config.read_text(encoding="utf-8"), data_dir=monitor.data_dir)

    def close(self):
        for monitor in self.monitors:
            monitor.dispose()
            monitor.dump()
        for hook in self.hooks:
            hook.close()
        self.patients.close()
        self.net.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def ward():
    one = Ward()
    yield one
    one.close()


def told(messages, status, name=None):
    """The incidents of messages with this status, in order."""
    return [incident for message in messages for incident in message["incidents"]
            if incident["status"] == status and (name is None or incident["title"] == name)]


def test_one_message_when_it_fails_and_one_when_it_is_over(ward):
    hook = ward.hook()
    monitor = ward.monitor(ward.settings(["web", "other"], {
        "receivers": {"team": {"webhook": {"url": hook.url, "secret": "sixteen characters"}}},
        "routes": [{"receivers": ["team"], **AT_ONCE}], "dashboard": "https://sentinel.example.net",
        "runbooks": {"status": "https://wiki.example.net/503"}}))
    monitor.wait_state("web", "healthy")
    ward.patients.ill.add("web")
    hook.wait(lambda m: told(m, "firing", "web"), "the failure is told")
    ward.patients.ill.clear()
    messages = hook.wait(lambda m: told(m, "resolved", "web") and m, "the end is told")
    assert [one["kind"] for one in messages] == ["firing", "resolved"]

    first, last = told(messages, "firing")[0], told(messages, "resolved")[0]
    assert first["id"] == last["id"]
    assert first["subject"].startswith("service:targets/web")
    assert first["cause"] == "status" and "503" in first["sentence"]
    assert first["host"] == "ward"
    assert first["runbook"] == "https://wiki.example.net/503"
    assert first["link"] == f"https://sentinel.example.net#incident/{first['id']}"
    assert last["ended"] > first["began"] and last["lasted"]
    monitor.wait_log("service.transition", "web", to="unhealthy", incident_id=first["id"])
    monitor.wait_log("service.transition", "web", to="healthy", incident_id=first["id"])

    headers, body = hook.taken.snapshot()[0]
    assert body["status"] == "firing" and body["alerts"][0]["labels"]["severity"] == "critical"
    assert headers["Idempotency-Key"] == messages[0]["key"]
    # The receiver has it before its answer is back.
    eventually(lambda: monitor.metrics().one("sentinel_notifications_total", receiver="team") == 2, "both count as accepted")
    metrics = monitor.metrics()
    assert metrics.one("sentinel_incidents_total") == 1
    assert metrics.one("sentinel_incidents_open") == 0
    assert "sixteen characters" not in json.dumps(monitor.lines.snapshot())


def test_the_signature_is_of_what_arrives(ward):
    hook = ward.hook()
    monitor = ward.monitor(ward.settings(["web"], {
        "receivers": {"team": {"webhook": {"url": hook.url, "secret": "sixteen characters"}}},
        "routes": [{"receivers": ["team"], **AT_ONCE}]}))
    monitor.wait_state("web", "healthy")
    ward.patients.ill.add("web")
    hook.wait(lambda m: told(m, "firing", "web"), "the failure is told")
    headers, body = hook.raw.snapshot()[0]
    stamp, _, signature = headers["X-Sentinel-Signature"].partition(",")
    wanted = hmac.new(b"sixteen characters", stamp.removeprefix("t=").encode() + b"." + body, hashlib.sha256).hexdigest()
    assert signature == f"v1={wanted}"


def test_killed_at_any_moment_nothing_is_lost(ward):
    """A hundred alerts in flight to a receiver that fails in every way, and a monitor that is killed again and again."""
    names = [f"svc{number:03}" for number in range(100)]
    hook = ward.hook("take", "take", (500, {}), "take", "take", "take", "close", "take", "take", (429, {"Retry-After": "1"}),
                     "take", "take", "take", "stall", "take", "take")
    monitor = ward.monitor(ward.settings(names, {
        "receivers": {"team": {"webhook": {"url": hook.url, "timeout": "1s"}, "rate": 1000}},
        "routes": [{"receivers": ["team"], "group-by": ["service"], **AT_ONCE}]}, CALM), level="info")
    for name in names:
        monitor.wait_state(name, "healthy", seconds=60)
    dice = random.Random(5)

    def all_told(status):
        return lambda m: {one["title"] for one in told(m, status)} >= set(names)

    for status, ill in (("firing", set(names)), ("resolved", set())):
        ward.patients.ill = ill
        for _ in range(4):
            # At so many requests from now, wherever the monitor is then.
            at = len(hook.seen.snapshot()) + dice.randrange(1, 25)
            hook.seen.wait(lambda seen, at=at: len(seen) >= at, f"request {at}", 60)
            monitor.kill()
            monitor = ward.again(monitor)
        hook.wait(all_told(status), f"all are {status}", 240)

    messages = hook.messages()
    keys = {}
    for message in messages:
        for incident in message["incidents"]:
            keys.setdefault((incident["id"], incident["status"], incident["sequence"]), set()).add(message["key"])
    assert all(len(found) == 1 for found in keys.values()), "copies of one message carry one key"
    for name in names:
        own = [(one["id"], one["sequence"]) for message in messages for one in message["incidents"] if one["title"] == name]
        first_seen = {}
        for place, (ident, sequence) in enumerate(own):
            first_seen.setdefault((ident, sequence), place)
        for ident in {ident for ident, _ in own}:
            places = [first_seen[key] for key in sorted(key for key in first_seen if key[0] == ident)]
            assert places == sorted(places), f"{name}: the order of one incident is kept: {own}"
    assert eventually(lambda: monitor.metrics().one("sentinel_notification_queue_length", receiver="team") == 0,
                      "nothing is left on the way")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_takes_nothing_silences_nobody(ward, fault):
    hook = ward.hook()
    disk = ward.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,ro" if fault == "read-only" else "size=1m", "none", disk], check=True)
    try:
        monitor = ward.monitor(ward.settings(["web"], {
            "receivers": {"team": {"webhook": {"url": hook.url}}},
            "routes": [{"receivers": ["team"], **AT_ONCE}]}), data_dir=disk)
        monitor.wait_state("web", "healthy")
        if fault == "full":
            with open(disk / "filler", "wb", buffering=0) as filler:
                try:
                    while filler.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
        ward.patients.ill.add("web")
        hook.wait(lambda m: told(m, "firing", "web"), "the failure is told")
        hook.wait(lambda m: [one for one in told(m, "firing") if one["cause"] == "journal"], "the disk's fault is told")
        assert monitor.metrics().one("sentinel_journal_durable") == 0
        if fault == "full":
            (disk / "filler").unlink()
        else:
            # In its own view of the file systems.
            subprocess.run(["nsenter", "--mount", f"--target={monitor.process.pid}", "mount", "-o", "remount,rw", disk], check=True)
        ward.patients.ill.clear()
        hook.wait(lambda m: told(m, "resolved", "web"), "the end is told")
        hook.wait(lambda m: [one for one in told(m, "resolved") if one["cause"] == "journal"], "the disk is well", 60)
        assert monitor.metrics().one("sentinel_journal_durable") == 1
        monitor.stop()
    finally:
        for one in ward.monitors:
            if one.process.poll() is None:
                one.kill()
        subprocess.run(["umount", disk], check=True)


def test_a_heartbeat_while_it_lives(ward):
    hook = ward.hook()
    monitor = ward.monitor(ward.settings(["web"], {"heartbeat": {"webhook": {"url": hook.url}, "interval": "10s"}}))
    hook.wait(lambda m: len(m) >= 1, "the first heartbeat")
    assert "ward is alive" in hook.messages()[0]["note"]
    assert monitor.metrics().one("sentinel_heartbeats_total") >= 1
    assert monitor.metrics().one("sentinel_heartbeats_failed_total") == 0


@pytest.mark.parametrize("text, wanted", [
    ("{receivers: {team: {webhook: {url: 'http://127.0.0.1/'}}}, routes: [{receivers: [teem]}]}",
     "alerts.routes.receivers: expected names of alerts.receivers (team)"),
    ("{receivers: {team: {webhook: {}}}}", "alerts.receivers.team.webhook.url: expected this key"),
    ("{recievers: {}}", "did you mean 'receivers'?"),
    ("{inhibit: [{source: 'severity=critical'}]}", "alerts.inhibit: expected matchers in source and in target"),
    ("{heartbeat: {interval: 1m}}", "alerts.heartbeat.webhook: expected this key"),
])
def test_bad_configuration_is_named(ward, text, wanted):
    path = ward.folder / "bad.yaml"
    path.write_text(f"alerts: {text}\n", encoding="utf-8")
    done = subprocess.run([str(SENTINEL), "config", "check", str(path)], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode != 0
    assert f"{path}:1:" in done.stdout + done.stderr and wanted in done.stdout + done.stderr

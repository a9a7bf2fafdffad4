"""`sentinel failover` alone on a firewall mails the team when a server falls, and when it returns."""
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from support.failover_config import pool, settings
from support.monitor import Watch
from support.receivers import Hook, MailServer

pytestmark = pytest.mark.lane("failover")

PASSWORD = "correct horse"


@pytest.fixture
def mail(nat):
    """A mail server on the firewall's loopback."""
    folder = Path(tempfile.mkdtemp(prefix="e2e-mail-"))
    folder.chmod(0o755)
    one = MailServer(nat.firewall, folder, nat.ca.issue("mail", ["mail.example.net", "127.0.0.1"]), password=PASSWORD)
    nat.firewall.resolver("nameserver 198.51.100.11")
    one.server.start()
    yield one
    one.server.dump()
    one.server.close()
    shutil.rmtree(folder, ignore_errors=True)


def with_mail(nat, *pools, port=587, **more):
    document = yaml.safe_load(settings(*pools, **more))
    document["alerts"] = {
        "host": "fw-1",
        "receivers": {"team": {"email": {
            "server": "127.0.0.1", "port": port, "user": "sentinel", "password": PASSWORD, "tls.ca": str(nat.ca.file),
            "from": "Sentinel <sentinel@example.net>", "to": ["team@example.net"]}}},
        "routes": [{"receivers": ["team"], "group-wait": "0s", "group-interval": "1s"}]}
    return yaml.safe_dump(document, sort_keys=False)


class Beside:
    """A monitor on the same firewall, whose webhook is the one that people read."""

    def __init__(self, nat):
        self.nat = nat
        self.hook = Hook(nat.firewall)
        self.config = yaml.safe_dump({"alerts": {
            "host": "fw-1", "receivers": {"team": {"webhook": {"url": self.hook.url}}},
            "routes": [{"receivers": ["team"], "group-wait": "0s", "group-interval": "1s"}]}})
        self.monitors = []
        self.socket = str(Path(nat.folder) / "monitor.sock")

    def start(self, data_dir=None):
        one = Watch(tempfile.mkdtemp(prefix="monitor-", dir=self.nat.folder), self.config, self.nat.firewall, data_dir=data_dir)
        self.monitors.append(one)
        # One path for failover, whichever process listens.
        link = Path(self.socket)
        link.unlink(missing_ok=True)
        link.symlink_to(one.socket)
        one.start()
        return one.wait_ready()

    def failover(self, *pools):
        """Its file has receivers as well: where one file serves both daemons, they are the monitor's."""
        document = yaml.safe_load(settings(*pools))
        document["failover"].update({"alerts": "monitor", "monitor-socket": self.socket})
        document.update(yaml.safe_load(self.config))
        return self.nat.failover(yaml.safe_dump(document, sort_keys=False))

    def told(self):
        """Copies, which carry the same key, count once."""
        messages = {one["key"]: (one["kind"], one["incidents"][0]["subject"]) for one in self.hook.messages()}
        return list(messages.values())

    def wait(self, kind):
        return self.hook.wait(lambda m: [one for one in m if one["kind"] == kind], f"{kind} is told", 90)[0]

    def close(self):
        for one in self.monitors:
            one.dispose()
            one.dump()
        self.hook.close()


@pytest.fixture
def beside(nat):
    one = Beside(nat)
    yield one
    one.close()


def plain(message):
    return message.get_body(("plain",)).get_content()


@pytest.mark.parametrize("port", [587, 465])
def test_a_fall_and_a_return_are_mailed(nat, mail, port):
    daemon = nat.failover(with_mail(nat, pool("web"), port=port))
    daemon.wait_pool("web", 3)
    nat.hosts[1].web.kill()
    fall = mail.wait(1)[0]
    nat.hosts[1].web.start()
    back = mail.wait(2)[1]

    assert "s2" in fall["Subject"] and "s2" in back["Subject"]
    assert fall["From"].addresses[0].addr_spec == "sentinel@example.net"
    assert fall["To"].addresses[0].addr_spec == "team@example.net"
    assert fall["Date"].datetime and fall["Message-ID"] != back["Message-ID"]
    assert fall["References"] and fall["References"] == back["References"], "both are one conversation"
    assert fall["Auto-Submitted"] == "auto-generated"
    assert fall["X-Sentinel-Status"] == "firing" and back["X-Sentinel-Status"] == "resolved"
    # Which check, what it answered, since when, what was done.
    text = plain(fall)
    assert "http" in text and "connection refused" in text and "fw-1" in text
    assert "2 of 3 servers" in text
    assert "<html" in fall.get_body(("html",)).get_content()
    # The certificate, the pool and the incident: one id from the log to the mail.
    line = daemon.log("failover.server", server="s2", to="failed")[0]
    assert line["incident_id"] in text and line["incident_id"] in plain(back)
    assert PASSWORD not in str(daemon.lines.snapshot())


def test_mail_waits_for_its_server(nat, mail):
    """Neither a server that is away nor one that hangs loses a mail, and the daemon's death does not either."""
    daemon = nat.failover(with_mail(nat, pool("web")))
    daemon.wait_pool("web", 3)
    mail.server.kill()
    nat.hosts[0].web.kill()
    daemon.wait_log("alert.retried", receiver="team")
    daemon.kill()
    daemon = nat.failover(daemon.config.read_text(encoding="utf-8"), data_dir=daemon.data_dir)
    mail.server.start()
    fall = mail.wait(1, 90)[0]
    assert "s1" in fall["Subject"] and fall["X-Sentinel-Status"] == "firing"
    # It accepts connections and says nothing.
    mail.server.pause()
    nat.hosts[0].web.start()
    daemon.wait_log("alert.retried", receiver="team", seconds=60)
    mail.server.resume()
    back = mail.wait(2, 90)[1]
    assert back["X-Sentinel-Status"] == "resolved"


def test_beside_a_monitor_the_monitor_is_the_one_that_sends(nat, beside):
    monitor = beside.start()
    daemon = beside.failover(pool("web"))
    daemon.wait_pool("web", 3)
    nat.hosts[1].web.kill()
    fall = beside.wait("firing")
    # By the monitor alone: what failover sends goes to the monitor.
    daemon.wait_log("alert.accepted", receiver="monitor")
    assert {line["receiver"] for line in daemon.log("alert.accepted")} == {"monitor"}
    assert fall["receiver"] == "team" and fall["severity"] == "warning"
    assert "connection refused" in fall["text"] and "2 of 3 servers" in fall["text"]
    # It is an incident of the monitor as any other, and can be silenced there.
    page = monitor.get("/api/v1/incidents?state=open").json["incidents"]
    assert [one["id"] for one in page] == [fall["incidents"][0]["id"]]
    nat.hosts[1].web.start()
    beside.wait("resolved")
    monitor.wait_log("alert.accepted", receiver="team", count=2)
    assert beside.told() == [("firing", "server:web/s2"), ("resolved", "server:web/s2")]
    assert len(beside.hook.messages()) == 2


def test_what_happens_while_the_monitor_is_away_is_told_once_when_it_is_back(nat, beside):
    monitor = beside.start()
    daemon = beside.failover(pool("web"))
    daemon.wait_pool("web", 3)
    monitor.kill()
    nat.hosts[0].web.kill()
    daemon.wait_log("alert.retried", receiver="monitor")
    # Not even failover's death loses it.
    daemon.kill()
    daemon = nat.again(daemon)
    monitor = beside.start(data_dir=monitor.data_dir)
    beside.wait("firing")
    # A restart of the monitor ends nothing, and begins nothing anew.
    monitor.kill()
    beside.start(data_dir=monitor.data_dir)
    nat.hosts[0].web.start()
    beside.wait("resolved")
    assert beside.told() == [("firing", "server:web/s1"), ("resolved", "server:web/s1")]


def test_nobody_tells_the_monitor_anything_over_tcp(nat, beside):
    monitor = beside.start()
    refused = monitor.post("/api/v1/relay", {"message": "of nobody"})
    assert refused.status == 400, refused.text
    assert not beside.hook.messages()

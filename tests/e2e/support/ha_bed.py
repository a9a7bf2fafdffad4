"""Two firewalls by the files of deploy/ha: keepalived moves the addresses, conntrackd the connections.

    client 192.0.2.9 --- [switch] --- wan [first]  lan --- [switch] --- s1, s2 198.51.100.11-12
                            |             | peer              |
                            +-------- wan [second] lan -------+
"""
import contextlib
import shutil
import tempfile
from pathlib import Path

from .daemon import SENTINEL
from .failover_bed import WEB
from .failover_config import ADDRESSES, Failover, check, pool, settings
from .netns import Namespace, addresses, bridge, veth
from .servers import Server, nginx

HA = Path(__file__).resolve().parents[3] / "deploy/ha"
ROLES = ["first", "second"]


class Firewall:
    """One of the pair. Its configuration is the files as they are shipped, with paths of this test."""

    def __init__(self, bed, role):
        self.role = role
        self.number = ROLES.index(role) + 1
        self.net = Namespace(role)
        self.folder = Path(tempfile.mkdtemp(prefix=f"e2e-ha-{role}-"))
        veth(self.net, "wan", bed.switch, f"wan{self.number}")
        veth(self.net, "lan", bed.switch, f"lan{self.number}")
        addresses(self.net, "wan", f"192.0.2.{self.number + 1}/24", f"2001:db8:1::{self.number + 1}/64")
        addresses(self.net, "lan", f"198.51.100.{self.number + 1}/24", f"2001:db8:2::{self.number + 1}/64")
        self.net.run("sysctl", "-q", "-p", HA / "sysctl.conf")
        self.net.run("nft", "-f", HA / "nftables.conf")
        self.daemon = None
        self.keepalived = self.conntrackd = None

    def start(self, config):
        """The daemon, and when it is ready what decides whether this one carries the traffic."""
        self.daemon = Failover(tempfile.mkdtemp(prefix="daemon-", dir=self.folder), config, self.net)
        self.daemon.start()
        self.daemon.wait_ready()
        peers = {"169.254.77.1": "169.254.77.2", "169.254.77.2": "169.254.77.1"}
        conntrackd = (HA / "conntrackd.conf").read_text(encoding="utf-8")
        if self.number == 2:
            conntrackd = "".join(swapped(conntrackd, peers))
        conntrackd = conntrackd.replace("/run/conntrackd", "{folder}/conntrackd")
        self.conntrackd = Server(self.net, f"{self.role}-conntrackd", ["conntrackd", "-C", "{folder}/conntrackd.conf"],
                                 {"conntrackd.conf": conntrackd}, [])
        self.conntrackd.start()
        script = self.folder / "connections"
        script.write_text("#!/bin/sh\n"
                          f"export CONNTRACKD_CONFIG={self.conntrackd.folder}/conntrackd.conf\n"
                          f'echo "$1" >>{self.folder}/calls\n'
                          f'{HA}/connections "$@"\n'
                          f'echo "$1" >>{self.folder}/moves\n', encoding="utf-8")
        script.chmod(0o755)
        check = self.folder / "check"
        check.write_text(f"#!/bin/sh\nexec {SENTINEL} healthcheck failover --run-dir {self.daemon.run_dir}\n", encoding="utf-8")
        check.chmod(0o755)
        text = (HA / "keepalived.conf").read_text(encoding="utf-8")
        for shipped, ours in (("/etc/sentinel/ha/connections", str(script)), ("/usr/bin/sentinel healthcheck failover", str(check))):
            assert shipped in text
            text = text.replace(shipped, ours)
        self.keepalived = Server(self.net, f"{self.role}-keepalived", [
            "keepalived", "-n", "-l", "-D", "-P", "-i", self.role, "-f", "{folder}/keepalived.conf", "-p", "{folder}/pid",
            "-r", "{folder}/vrrp.pid"], {"keepalived.conf": text}, [])
        self.keepalived.start()

    @property
    def carries(self):
        """It has the addresses of the pair."""
        return "192.0.2.1/24" in self.net.ip("-4", "addr", "show", "dev", "wan")

    def known(self):
        """Of how many connections of clients the other firewall has told it."""
        listing = self.net.run("conntrackd", "-C", self.conntrackd.folder / "conntrackd.conf", "-e")
        return sum(" dport=80 " in line for line in listing.splitlines())  # not 8080: the checks of the other

    def _read(self, name):
        path = self.folder / name
        return path.read_text(encoding="utf-8").split() if path.exists() else []

    def moves(self):
        """What keepalived has called `connections` with, and has been done."""
        return self._read("moves")

    @property
    def settled(self):
        """Who carries the traffic is decided here, and conntrackd knows."""
        moves = self.moves()
        return len(moves) == len(self._read("calls")) and ("master" if self.carries else "backup") in moves

    def pull_plug(self):
        """What the machine's death is to the others: silence. Nothing has a chance to say goodbye."""
        for server in (self.keepalived, self.conntrackd):
            server.kill()
        if self.daemon is not None:
            self.daemon.kill()
        for device in ("wan", "lan", "peer"):
            self.net.ip("link", "set", device, "down")

    def close(self):
        for server in (self.keepalived, self.conntrackd):
            if server is not None:
                server.dump()
                server.close()
        if self.daemon is not None:
            self.daemon.dispose()
            self.daemon.dump()
        self.net.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def swapped(text, pairs):
    """The two addresses of the cable change places, but in the list of those to ignore, where it makes no difference."""
    for line in text.splitlines(keepends=True):
        for one, other in pairs.items():
            if one in line:
                line = line.replace(one, other)
                break
        yield line


class HaBed:
    def __init__(self):
        self.closing = contextlib.ExitStack()
        with contextlib.ExitStack() as on_error:
            on_error.push(self.closing)
            self._build()
            on_error.pop_all()

    def _space(self, role):
        one = Namespace(role)
        self.closing.callback(one.close)
        return one

    def _build(self):
        self.switch = self._space("switch")
        self.client = self._space("client")
        veth(self.client, "eth0", self.switch, "client")
        addresses(self.client, "eth0", "192.0.2.9/24", "2001:db8:1::9/64")
        self.client.ip("route", "add", "default", "via", "192.0.2.1")
        self.client.ip("route", "add", "default", "via", "2001:db8:1::1")
        self.firewalls = []
        for role in ROLES:
            one = Firewall(self, role)
            self.closing.callback(one.close)
            self.firewalls.append(one)
        first, second = self.firewalls
        veth(first.net, "peer", second.net, "peer")
        addresses(first.net, "peer", "169.254.77.1/24")
        addresses(second.net, "peer", "169.254.77.2/24")
        self.servers = []
        for number in (1, 2):
            host = self._space(f"s{number}")
            veth(host, "eth0", self.switch, f"s{number}")
            addresses(host, "eth0", f"198.51.100.1{number}/24", f"2001:db8:2::1{number}/64")
            host.ip("route", "add", "default", "via", "198.51.100.1")
            host.ip("route", "add", "default", "via", "2001:db8:2::1")
            blocks = WEB[:WEB.index("server {{\n  listen 8443")].format(name=f"s{number}")
            web = nginx(host, f"s{number}-nginx", blocks, [(f"198.51.100.1{number}", 8080)], {"html/long": "x" * 20000})
            self.closing.callback(web.close)
            self.servers.append(web)
            web.start()
        bridge(self.switch, "outer", ["client", "wan1", "wan2"])
        bridge(self.switch, "inner", ["s1", "s2", "lan1", "lan2"])

    def start(self):
        # Pings of both servers tell a firewall that has lost its own link from servers that are gone.
        gateways = {name: {**check("ping"), "url": f"icmp://{ADDRESSES[name][0]}"} for name in ("s1", "s2")}
        config = settings(pool("web", servers=("s1", "s2")), hosts=("s1", "s2"), gateways=gateways)
        for one in self.firewalls:
            one.start(config)
        for one in self.firewalls:
            one.daemon.wait_pool("web", up=2)

    def close(self):
        self.closing.close()

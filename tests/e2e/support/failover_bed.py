"""A client, a firewall and three servers, each a network namespace, with real nginx, OpenSMTPD and BIND.

    client 192.0.2.2 --- wan 192.0.2.1 [firewall] lan (bridge) 198.51.100.1 --- s1..s3 198.51.100.11-13
           2001:db8:1::2    2001:db8:1::1            2001:db8:2::1                2001:db8:2::11-13

Virtual addresses are 203.0.113.10 and 2001:db8:ff::10; the client has a route to them by the firewall, which has them
on its loopback so that it may use them itself.
"""
import collections
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

from .daemon import SENTINEL
from .failover_config import Failover, check
from .netns import Namespace, addresses, bridge, veth
from .pki import DAY, Authority
from .servers import bind, nginx, opensmtpd
from .traffic import DnsClient, KeptConnection, family_of

VIP, VIP6 = "203.0.113.10", "2001:db8:ff::10"
CLIENT, CLIENT6 = "192.0.2.2", "2001:db8:1::2"
NAMES = ["s1", "s2", "s3"]

WEB = """
server {{
  listen 8080 backlog=4096; listen [::]:8080 backlog=4096; listen 80; listen [::]:80;
  location / {{
    if (-f {{folder}}/broken) {{ return 503; }}
    return 200 "{name}\\n";
  }}
  location = /health {{
    if (-f {{folder}}/broken) {{ return 503; }}
    if (-f {{folder}}/sick) {{ return 503; }}
    return 200 "fine\\n";
  }}
  location = /who {{ return 200 "$remote_addr\n"; }}
  location = /long {{ limit_rate 8000; }}
}}
server {{
  listen 8443 ssl; listen [::]:8443 ssl; listen 443 ssl; listen [::]:443 ssl;
  ssl_certificate {{folder}}/tls.pem; ssl_certificate_key {{folder}}/tls.key;
  location / {{ return 200 "{name}\\n"; }}
}}
"""

ZONE = """$TTL 60
@ IN SOA ns.example.net. admin.example.net. ( 1 3600 600 86400 60 )
@ IN NS ns
ns IN A 198.51.100.11
www IN A 203.0.113.10
who IN TXT "{name}"
"""


class Host:
    """One of the servers."""

    def __init__(self, bed, number):
        self.bed = bed
        self.name = f"s{number}"
        self.address, self.address6 = f"198.51.100.1{number}", f"2001:db8:2::1{number}"
        self.port = f"s{number}"  # its port of the firewall's bridge
        self.net = Namespace(self.name)
        veth(self.net, "eth0", bed.firewall, self.port)
        addresses(self.net, "eth0", f"{self.address}/24", f"{self.address6}/64")
        self.web = self.mail = self.dns = None

    def route(self):
        self.net.ip("route", "add", "default", "via", "198.51.100.1")
        self.net.ip("route", "add", "default", "via", "2001:db8:2::1")
        self.net.sysctl("net.core.somaxconn=4096", "net.ipv4.tcp_max_syn_backlog=8192")

    def start(self, certificate):
        self.web = nginx(self.net, f"{self.name}-nginx", WEB.format(name=self.name),
                         [(self.address, 8080), (self.address6, 8080), (self.address, 8443)],
                         {"tls.pem": certificate.chain.read_text(), "tls.key": certificate.key.read_text(),
                          "html/long": "x" * 20000})
        self.mail = opensmtpd(self.net, f"{self.name}-opensmtpd", f"""
pki own cert "{certificate.chain}"
pki own key "{certificate.key}"
listen on {self.address} port 25 tls pki own hostname {self.name}.example.net
listen on {self.address6} port 25 tls pki own hostname {self.name}.example.net
action "keep" relay host smtp://127.0.0.1:9
match from any for domain "example.net" action "keep"
""", [(self.address, 25), (self.address6, 25)])
        self.dns = bind(self.net, f"{self.name}-named", [self.address, self.address6],
                        {"example.net": ZONE.format(name=self.name)})
        self.net.resolver(f"nameserver {self.address}")  # the mail server looks up who connects
        for server in self.servers:
            server.start()

    @property
    def servers(self):
        return [one for one in (self.web, self.dns, self.mail) if one]

    def flag(self, name, on=True):
        """`broken`: the web answers errors; `sick`: only its health page does."""
        path = self.web.folder / name
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def restore(self):
        """Everything as it was at first, whatever a test did to it."""
        for name in ("broken", "sick"):
            self.flag(name, False)
        for server in self.servers:
            server.resume()
            if not server.running:
                server.start()

    def close(self):
        for server in self.servers:
            server.close()
        self.net.close()


class FailoverBed:
    def __init__(self):
        self.closing = contextlib.ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-failover-"))
        self.folder.chmod(0o755)
        self.closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.daemons = []
        with contextlib.ExitStack() as on_error:
            on_error.push(self.closing)
            self._network()
            self.ca = Authority(self.folder / "pki")
            self.certificates = {"good": self.ca.issue("good", ["www.example.net"]),
                                 "expired": self.ca.issue("expired", ["www.example.net"], -30 * DAY, -DAY)}
            for host in self.hosts:
                host.start(self.certificates["good"])
            on_error.pop_all()

    def _network(self):
        self.client, self.firewall = Namespace("client"), Namespace("firewall")
        for namespace in (self.client, self.firewall):
            self.closing.callback(namespace.close)
        veth(self.client, "eth0", self.firewall, "wan")
        addresses(self.client, "eth0", f"{CLIENT}/24", f"{CLIENT6}/64")
        addresses(self.firewall, "wan", "192.0.2.1/24", "2001:db8:1::1/64")
        addresses(self.firewall, "lo", f"{VIP}/32", f"{VIP6}/128")
        self.client.ip("route", "add", "default", "via", "192.0.2.1")
        self.client.ip("route", "add", "default", "via", "2001:db8:1::1")
        self.client.sysctl("net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1")
        self.firewall.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                             "net.netfilter.nf_conntrack_max=262144")
        self.hosts = []
        for number in (1, 2, 3):
            host = Host(self, number)
            self.closing.callback(host.close)
            self.hosts.append(host)
        bridge(self.firewall, "lan", NAMES)
        for name in NAMES:
            # As the preflight advises where net.bridge.bridge-nf-call-iptables is on, as beside Docker: a server is
            # its own client.
            self.firewall.ip("link", "set", "dev", name, "type", "bridge_slave", "hairpin", "on")
        addresses(self.firewall, "lan", "198.51.100.1/24", "2001:db8:2::1/64")
        for host in self.hosts:
            host.route()

    # --- the daemon -----------------------------------------------------------------------------------

    def failover(self, config, wait=True, **options):
        """`sentinel failover` on the firewall."""
        one = Failover(tempfile.mkdtemp(prefix="daemon-", dir=self.folder), config, self.firewall, **options)
        self.daemons.append(one)
        one.start()
        return one.wait_ready() if wait else one

    def again(self, daemon):
        """Another process in the place of one that has ended, or is ended; with its files and data."""
        if daemon.process.poll() is None:
            daemon.stop()
        return self.failover(daemon.config.read_text(encoding="utf-8"), data_dir=daemon.data_dir)

    def check(self, kind, **more):
        """A check that can tell a certificate of ours."""
        return kind, check(kind, **({"tls.ca": str(self.ca.file)} if kind == "https" else {}), **more)

    def certify(self, host, label):
        """Gives its web server another certificate, by a reload."""
        certificate = self.certificates[label]
        host.web.write("tls.pem", certificate.chain.read_text(encoding="ascii"))
        host.web.write("tls.key", certificate.key.read_text(encoding="ascii"))
        host.web.reload()

    def write(self, config):
        path = Path(tempfile.mkstemp(dir=self.folder, suffix=".yaml")[1])
        path.write_text(config, encoding="utf-8")
        return path

    def sentinel(self, *arguments):
        """A run of the binary on the firewall."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SENTINEL_")}
        return subprocess.run(self.firewall.command(SENTINEL, *arguments), capture_output=True, text=True, timeout=30,
                              env=environment, check=False)

    def rules(self):
        """Our tables as nft lists them, without counters and what is learned of clients; empty: there are none."""
        listed = [subprocess.run(self.firewall.command("nft", "-s", "list", "table", family, "sentinel"), capture_output=True,
                                 text=True, check=False).stdout for family in ("ip", "ip6")]
        return "".join(listed)

    def restore(self):
        """After a test: no daemon, nothing of ours in the kernel, all servers well."""
        for daemon in self.daemons:
            daemon.dispose()
            daemon.dump()
        self.daemons = []
        for family in ("ip", "ip6"):
            self.firewall.run("sh", "-c", f"nft delete table {family} sentinel 2>/dev/null || true")
        self.firewall.run("sh", "-c", "conntrack -F 2>/dev/null || true")
        for host in self.hosts:
            host.restore()
            for server in host.servers:
                server.dump()

    def close(self):
        self.closing.close()

    # --- clients --------------------------------------------------------------------------------------

    def other_clients(self, count):
        """Addresses that the client has as well."""
        self.client.run("ip", "route", "replace", "local", "192.0.2.128/25", "dev", "lo")
        return [f"192.0.2.{128 + number}" for number in range(count)]

    def peer_seen(self, address=VIP, port=80):
        """Whom the server takes for the client."""
        return self.ask(address, port, path="/who")

    def kept(self, address=VIP, port=80, source_port=0):
        """A connection that is kept alive."""
        return KeptConnection(self, address, port, source_port=source_port)

    def fresh_ports(self, count):
        """Ports that the client does not use, and by which no server has a connection left, as of clients that were cut
        off by a fault."""
        def ports(place, column):
            return {line.split()[column].rpartition(":")[2] for line in place.run("ss", "-Htan").splitlines()}

        taken = ports(self.client, 3).union(*(ports(host.net, 4) for host in self.hosts))
        return [port for port in range(20001, 30000) if str(port) not in taken][:count]

    def abandoned(self, host, source_port, port=8080):
        """A connection that only the server still knows of: what is left of a client, or of an earlier connection."""
        with self.client.drop("tcp flags & rst == rst", hook="output"):
            self.connect(host.address, port, source_port=source_port).close()
        self.firewall.run("conntrack", "-D", "-p", "tcp", "--orig-dst", host.address, "--sport", str(source_port))

    def ask(self, address=VIP, port=80, seconds=3.0, namespace=None, source="", path="/"):
        """Which server answers one HTTP request on a connection of its own; None when none does."""
        try:
            with self.connect(address, port, seconds, namespace, source) as one:
                one.sendall(f"GET {path} HTTP/1.0\r\nHost: www.example.net\r\n\r\n".encode())
                answer = b""
                while chunk := one.recv(4096):
                    answer += chunk
        except OSError:
            return None
        head, _, body = answer.partition(b"\r\n\r\n")
        return body.decode().strip() if b" 200 " in head.split(b"\r\n")[0] else None

    def connect(self, address=VIP, port=80, seconds=3.0, namespace=None, source="", source_port=0):
        one = (namespace or self.client).call(lambda: socket.socket(family_of(address), socket.SOCK_STREAM))
        try:
            one.settimeout(seconds)
            # An aborted close, so that thousands of connections leave nothing behind.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if source or source_port:
                # A port may be in use for connections to others.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((source, source_port))
            one.connect((address, port))
        except OSError:
            one.close()
            raise
        return one

    def count(self, requests, address=VIP, port=80, **options):
        """How often each server answered; `None` counts those that failed."""
        return collections.Counter(self.ask(address, port, **options) for _ in range(requests))

    def open_many(self, connections, address=VIP, port=80):
        """Opens and aborts so many TCP connections, which is how the kernel's choice is counted in quantity."""
        def run():
            done = 0
            for _ in range(connections):
                with socket.socket(family_of(address), socket.SOCK_STREAM) as one:
                    one.settimeout(3)
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    done += one.connect_ex((address, port)) == 0
            return done

        return self.client.call(run)

    def udp(self, address=VIP, source_port=0):
        """A DNS client on one socket, so on one port."""
        return DnsClient(self.client, address, source_port)

    def greeting(self, address=VIP, port=25):
        """Which server's SMTP greets; None when none does."""
        try:
            with self.connect(address, port) as one:
                line = one.makefile("rb").readline().decode()
                one.sendall(b"QUIT\r\n")
        except OSError:
            return None
        return line.split()[1].split(".")[0] if line.startswith("220 ") else None

"""Two namespaces: one that probes, and one with real servers that answer well and badly."""
import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from .daemon import SENTINEL
from .netns import Namespace, addresses, veth
from .pki import DAY, Authority
from .servers import bind, dnsmasq, nginx, opensmtpd

HERE = ("192.0.2.1", "2001:db8:2::1")
WEB, WEB6 = "192.0.2.10", "2001:db8:2::10"
MAIL, MAIL6 = "192.0.2.25", "2001:db8:2::25"
BIND, BIND6 = "192.0.2.53", "2001:db8:2::53"
DNSMASQ, DNSMASQ6 = "192.0.2.54", "2001:db8:2::54"
BARE, BARE6 = "192.0.2.99", "2001:db8:2::99"  # a host that is up, with no service at all
NOWHERE, NOWHERE6 = "198.51.100.1", "2001:db8:dead::1"  # a router says that there is no way

# Ports of the HTTPS server by what is wrong with it.
TLS = {"good": 443, "expired": 8441, "early": 8442, "self": 8443, "name": 8444, "soon": 8445, "old": 8446,
       "tls12": 8447, "foreign": 8448, "asks": 8449}

PLAIN = """
server {
  listen 192.0.2.10:80 backlog=4096; listen [2001:db8:2::10]:80;
  location = /ok { return 200 "all is fine\\n"; }
  location = /echo { echo_read_request_body; echo "$request_method $http_x_key $host"; echo_request_body; }
  location = /status/204 { return 204; }
  location = /status/404 { return 404 "said 404\\n"; }
  location = /status/503 { return 503 "said 503\\n"; }
  location /health/ { types { } default_type application/health+json; }
  location /data/ { types { } default_type application/json; }
  location = /moved { return 302 /ok; }
  location = /loop { return 302 /loop; }
  location = /away { return 302 http://192.0.2.99/; }
  location = /trickle { limit_rate 1; }
  location = /late { echo_sleep 1; echo "late"; }
  location = /never { echo_sleep 30; echo "never"; }
  location = /cut { return 444; }
}
server { listen 192.0.2.10:8004; return 200 "IPv4 only\\n"; }
server { listen [2001:db8:2::10]:8006 ipv6only=on; return 200 "IPv6 only\\n"; }
"""


def https(port, certificate, more=""):
    return f"""
server {{
  listen 192.0.2.10:{port} ssl; listen [2001:db8:2::10]:{port} ssl;
  ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};
  {more}
  location / {{ return 200 "sealed\\n"; }}
}}
"""


ZONE = """$TTL 60
@ IN SOA ns.example.net. admin.example.net. ( 1 3600 600 86400 60 )
@ IN NS ns
ns IN A 192.0.2.53
@ IN MX 10 mail
@ IN MX 20 backup.example.org.
@ IN TXT "v=spf1 -all" "second part"
www IN A 192.0.2.10
www IN AAAA 2001:db8:2::10
mail IN A 192.0.2.25
alias IN CNAME www
both IN A 192.0.2.10
both IN AAAA 2001:db8:2::10
bare IN A 192.0.2.99
_sip._tcp IN SRV 1 2 5060 mail
@ IN CAA 0 issue "ca.example.org"
""" + "".join(f'big IN TXT "{number:03} {"x" * 200}"\n' for number in range(30))


class ProbeBed:
    def __init__(self):
        self.closing = contextlib.ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-probes-"))
        self.folder.chmod(0o755)
        self.closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
        with contextlib.ExitStack() as on_error:
            on_error.push(self.closing)
            self._network()
            self._servers()
            on_error.pop_all()

    def _network(self):
        self.here, self.peer = Namespace("here"), Namespace("peer")
        for namespace in (self.here, self.peer):
            self.closing.callback(namespace.close)
        veth(self.here, "eth0", self.peer, "eth0")
        addresses(self.here, "eth0", *(f"{one}/{64 if ':' in one else 24}" for one in HERE))
        addresses(self.peer, "eth0", *(f"{one}/{64 if ':' in one else 24}" for one in (
            "192.0.2.2", "2001:db8:2::2", WEB, WEB6, MAIL, MAIL6, BIND, BIND6, DNSMASQ, DNSMASQ6, BARE, BARE6)))
        self.here.ip("route", "add", "default", "via", "192.0.2.2")
        self.here.ip("route", "add", "default", "via", "2001:db8:2::2")
        # Not icmp_ratelimit=0: it takes the tokens by which a router's "no route" is counted.
        self.peer.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratemask=0",
                         "net.ipv6.icmp.ratelimit=0")
        for namespace in (self.here, self.peer):
            namespace.resolver(f"nameserver {BIND}", "options timeout:1 attempts:1")

    def _servers(self):
        ca = Authority(self.folder / "pki")
        foreign = Authority(self.folder / "foreign", "Another authority")
        self.ca = ca
        names = ["www.example.net", WEB, WEB6]
        certificates = {
            "good": ca.issue("good", names),
            "expired": ca.issue("expired", names, -30 * DAY, -DAY),
            "early": ca.issue("early", names, 2 * DAY, 30 * DAY),
            "self": ca.self_signed("self", names),
            "name": ca.issue("name", ["other.example.net"]),
            "soon": ca.issue("soon", names, -DAY, 3 * DAY + DAY / 2),
            "foreign": foreign.issue("foreign", names),
        }
        self.certificates = certificates
        blocks = PLAIN + "".join(https(TLS[label], one) for label, one in certificates.items())
        blocks += https(TLS["old"], certificates["good"], "ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;")
        blocks += https(TLS["tls12"], certificates["good"], "ssl_protocols TLSv1.2;")
        blocks += https(TLS["asks"], certificates["good"], f"ssl_verify_client on; ssl_client_certificate {ca.file};")
        documents = {
            "html/health/pass": json.dumps({"status": "pass"}),
            "html/health/warn": json.dumps({"status": "warn", "output": "disk is 91 % full"}),
            "html/health/fail": json.dumps({"status": "fail", "output": "no database"}),
            "html/data/one": json.dumps({"queue": {"depth": 7, "name": "in/out"}, "ok": True, "list": [1, 2, 3]}),
            "html/data/broken": '{"queue": {"depth": ',
            "html/trickle": "x" * 4000,
        }
        ready = [(WEB, 80), (WEB6, 80), (WEB, 8004), (WEB6, 8006)] + [(WEB, port) for port in TLS.values()]
        self.web = self._start(nginx(self.peer, "nginx", blocks, ready, documents))
        zones = {"example.net": ZONE, "broken.example.net": None}
        # Before the mail server, which looks up who connects.
        self.dns = self._start(bind(self.peer, "named", [BIND, BIND6], zones))
        self.dns2 = self._start(dnsmasq(self.peer, "dnsmasq", [DNSMASQ, DNSMASQ6], "--address=/www.example.org/192.0.2.10",
                                        "--mx-host=example.org,mail.example.org,10", "--local=/example.org/",
                                        "--txt-record=example.org,hello"))
        self.mail = self._start(opensmtpd(self.peer, "opensmtpd", self._mail(certificates), [
            (MAIL, port) for port in (25, 26, 27, 465, 2421, 2554, 2525)] + [(MAIL6, 25)]))

    @staticmethod
    def _mail(certificates):
        good, expired = certificates["good"], certificates["expired"]
        return f"""
pki good cert "{good.chain}"
pki good key "{good.key}"
pki expired cert "{expired.chain}"
pki expired key "{expired.key}"
table anyone {{ "0.0.0.0/0", "::/0" }}
filter busy phase connect match src <anyone> disconnect "421 too busy"
filter closed phase connect match src <anyone> disconnect "554 no service here"
filter picky1 phase ehlo match src <anyone> reject "550 I do not talk to you"
filter picky2 phase helo match src <anyone> reject "550 I do not talk to you"
filter picky chain {{ picky1, picky2 }}
listen on {MAIL} port 25 tls pki good
listen on {MAIL6} port 25 tls pki good
listen on {MAIL} port 26
listen on {MAIL} port 27 tls pki expired
listen on {MAIL} port 465 smtps pki good
listen on {MAIL} port 2421 filter busy
listen on {MAIL} port 2554 filter closed
listen on {MAIL} port 2525 filter picky
action "keep" relay host smtp://127.0.0.1:9
match from any for domain "example.net" rcpt-to "known@example.net" action "keep"
"""

    def _start(self, server):
        self.closing.callback(server.close)
        return server.start()

    @property
    def servers(self):
        return [self.web, self.mail, self.dns, self.dns2]

    # --- probing --------------------------------------------------------------------------------------

    def probe(self, url, *options, address=None, seconds=40, namespace=None):
        """`sentinel probe URL`: what it found, as its JSON says, with the exit status as `exit`."""
        arguments = [SENTINEL, "probe", url, "--json"]
        for option in options:
            arguments += ["-o", option]
        if address:
            arguments += ["--address", address]
        done = subprocess.run((namespace or self.here).command(*arguments), capture_output=True, text=True,
                              timeout=seconds, check=False)
        assert done.returncode in (0, 1), f"{url} {options}: exit {done.returncode}: {done.stderr}{done.stdout}"
        found = json.loads(done.stdout)
        print(url, options, found)
        assert (found["verdict"] == "fail") == (done.returncode == 1), found
        return found

    def peer_script(self, talk, port, address=BARE, tls=None):
        """A tiny scripted peer for what no real server does; see Peer."""
        return Peer(self.peer, address, port, talk, tls)

    @contextlib.contextmanager
    def lying_dns(self, lie, address=BARE):
        """A name server over UDP that sends each of lie(query)."""
        def bound():
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind((address, 53))
            return one

        one = self.peer.call(bound)
        stop = threading.Event()

        def serve():
            one.settimeout(0.1)
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    query, client = one.recvfrom(4096)
                    for answer in lie(query):
                        one.sendto(answer, client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5)
            one.close()

    def dump(self):
        for server in self.servers:
            server.dump()

    def close(self):
        self.closing.close()


class Peer:
    """Accepts connections in a namespace and runs talk(connection, stop) for each; `stop` is an Event."""

    def __init__(self, namespace, address, port, talk, tls=None):
        self._stop = threading.Event()
        self._talk = talk
        self._tls = tls

        def listen():
            one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address, port))
            one.listen(16)
            return one

        self._listener = namespace.call(listen)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            one = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(one)
            one.start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._talk(connection, self._stop)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        # Its number may be the next listener's as soon as it is closed.
        self._threads[0].join(5)
        self._listener.close()
        for one in self._threads:
            one.join(5)

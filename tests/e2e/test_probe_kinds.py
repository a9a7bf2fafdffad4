"""Each kind of probe against real servers: it passes, and fails for each of its reasons."""
import socket
import time

import pytest
from support.probe_bed import (BARE, BARE6, BIND, BIND6, DNSMASQ, DNSMASQ6, MAIL, MAIL6, NOWHERE, NOWHERE6, TLS, WEB,
                               WEB6)

pytestmark = pytest.mark.lane("probes")

QUICK = "timeout=1s"


def sealed(label, host="www.example.net"):
    return f"https://{host}:{TLS[label]}/"


def check(found, verdict, reason, sentence=""):
    """`sentence`: a part of what it says to people."""
    assert (found["verdict"], found["reason"]) == (verdict, reason), found
    assert sentence in found["sentence"], found
    assert "\n" not in found["sentence"]


# Name of the case, URL, options, verdict, reason, a part of the sentence.
HTTP = [
    ("passes", f"http://{WEB}/ok", [], "pass", "none", ""),
    ("passes over IPv6", f"http://[{WEB6}]/ok", [], "pass", "none", ""),
    ("method, header and body are sent", f"http://{WEB}/echo",
     ["method=POST", "header=X-Key: k1", "body=ping", "expect.regex=^POST k1 [^\\n]*\\nping"], "pass", "none", ""),
    ("status", f"http://{WEB}/status/503", [], "fail", "status", "expected 2xx, got 503"),
    ("status wanted", f"http://{WEB}/status/503", ["expect.status=503"], "pass", "none", ""),
    ("status among others", f"http://{WEB}/status/404", ["expect.status=200-299,404"], "pass", "none", ""),
    ("status other than wanted", f"http://{WEB}/ok", ["expect.status=204"], "fail", "status", "expected 204, got 200"),
    ("no content", f"http://{WEB}/status/204", [], "pass", "none", ""),
    ("body", f"http://{WEB}/ok", ["expect.body=all is fine"], "pass", "none", ""),
    ("body other", f"http://{WEB}/ok", ["expect.body=all is lost"], "fail", "body", ""),
    ("regex", f"http://{WEB}/ok", ["expect.regex=f[aeiou]ne"], "pass", "none", ""),
    ("regex other", f"http://{WEB}/ok", ["expect.regex=f[eou]ne"], "fail", "body", ""),
    ("json", f"http://{WEB}/data/one", ['expect.json=/queue/depth < 10\n/ok = true\n/list/2 = 3\n/queue/name = "in/out"'],
     "pass", "none", ""),
    ("json other", f"http://{WEB}/data/one", ["expect.json=/queue/depth < 7"], "fail", "body", "/queue/depth"),
    ("json missing", f"http://{WEB}/data/one", ["expect.json=/nothing exists"], "fail", "body", "/nothing"),
    ("json broken", f"http://{WEB}/data/broken", ["expect.json=/queue exists"], "fail", "body", "JSON"),
    ("health pass", f"http://{WEB}/health/pass", [], "pass", "none", ""),
    ("health warn", f"http://{WEB}/health/warn", [], "warn", "health", "disk is 91 % full"),
    ("health fail", f"http://{WEB}/health/fail", [], "fail", "health", "no database"),
    ("redirect is an answer", f"http://{WEB}/moved", [], "fail", "status", "302"),
    ("redirect wanted", f"http://{WEB}/moved", ["expect.status=302"], "pass", "none", ""),
    ("redirect followed", f"http://{WEB}/moved", ["redirects=true", "expect.body=all is fine"], "pass", "none", ""),
    ("redirect loop", f"http://{WEB}/loop", ["redirects=true"], "fail", "redirect", ""),
    ("redirect elsewhere", f"http://{WEB}/away", ["redirects=true"], "fail", "redirect", ""),
    ("latency budget", f"http://{WEB}/late", ["slow=200ms", "timeout=10s"], "warn", "slow", ""),
    ("refused", f"http://{BARE}/", [], "fail", "refused", "connection refused"),
    ("refused over IPv6", f"http://[{BARE6}]/", [], "fail", "refused", "connection refused"),
    ("unreachable", f"http://{NOWHERE}/", [], "fail", "unreachable", ""),
    ("unreachable over IPv6", f"http://[{NOWHERE6}]/", [], "fail", "unreachable", ""),
    ("no answer", f"http://{WEB}/never", [QUICK], "fail", "timeout", "within 1 s"),
    ("a byte a second", f"http://{WEB}/trickle", [QUICK], "fail", "timeout", "within 1 s"),
    ("cut off", f"http://{WEB}/cut", [], "fail", "reset", ""),
    ("not HTTP", f"http://{MAIL}:26/", [], "fail", "protocol", ""),
    ("not HTTPS", f"https://{WEB}:80/", [], "fail", "tls", ""),
    ("not plain", f"http://{WEB}:443/", [], "fail", "status", "got 400"),
    ("name", "http://www.example.net/ok", ["expect.body=all is fine"], "pass", "none", ""),
    ("name by way of an alias", "http://alias.example.net/ok", [], "pass", "none", ""),
    ("name unknown", "http://nobody.example.net/", [], "fail", "resolve", "nobody.example.net"),
    ("name server broken", "http://www.broken.example.net/", [], "fail", "resolve", "www.broken.example.net"),
    ("name of a host without service", "http://bare.example.net/", [], "fail", "refused", "connection refused"),
]

TLS_CASES = [
    ("good", [], "pass", "none", ""),
    ("expired", [], "fail", "certificate_expired", "expired"),
    ("early", [], "fail", "certificate_expired", "not valid yet"),
    ("self", [], "fail", "certificate_untrusted", "self-signed"),
    ("foreign", [], "fail", "certificate_untrusted", ""),
    ("name", [], "fail", "certificate_name", "other.example.net"),
    ("name", ["tls.name=other.example.net"], "pass", "none", ""),
    ("soon", [], "warn", "expiring", "expires in 3 days"),
    ("soon", ["tls.expiry-warn=1d"], "pass", "none", ""),
    ("soon", ["tls.expiry-fail=7d"], "fail", "certificate_expired", "expires in 3 days"),
    ("old", [], "fail", "tls", ""),
    ("tls12", [], "pass", "none", ""),
    ("tls12", ["tls.min-version=1.3"], "fail", "tls", ""),
    ("self", ["tls.verify=false"], "pass", "none", ""),
    ("name", ["tls.verify=false"], "pass", "none", ""),
    ("expired", ["tls.verify=false"], "fail", "certificate_expired", "expired"),
]

DNS = [
    ("A", f"dns://{BIND}/www.example.net?expect=192.0.2.10", [], "pass", "none", ""),
    ("A over IPv6", f"dns://[{BIND6}]/www.example.net", ["expect=192.0.2.10"], "pass", "none", ""),
    ("A over TCP", f"dns://{BIND}/www.example.net?transport=tcp", ["expect=192.0.2.10"], "pass", "none", ""),
    ("AAAA", f"dns://{BIND}/www.example.net?type=AAAA", ["expect=2001:db8:2::10"], "pass", "none", ""),
    ("AAAA written otherwise", f"dns://{BIND}/www.example.net?type=AAAA", ["expect=2001:DB8:2:0::10"], "pass", "none", ""),
    ("alias", f"dns://{BIND}/alias.example.net", ["expect=192.0.2.10"], "pass", "none", ""),
    ("CNAME", f"dns://{BIND}/alias.example.net?type=CNAME", ["expect=www.example.net"], "pass", "none", ""),
    ("MX", f"dns://{BIND}/example.net?type=MX", ["expect=10 mail.example.net\n20 backup.example.org"], "pass", "none", ""),
    ("TXT", f"dns://{BIND}/example.net?type=TXT", ['expect="v=spf1 -all" "second part"'], "pass", "none", ""),
    ("NS", f"dns://{BIND}/example.net?type=NS", ["expect=ns.example.net"], "pass", "none", ""),
    ("SOA", f"dns://{BIND}/example.net?type=SOA", [], "pass", "none", ""),
    ("SRV", f"dns://{BIND}/_sip._tcp.example.net?type=SRV", ["expect=1 2 5060 mail.example.net"], "pass", "none", ""),
    ("CAA", f"dns://{BIND}/example.net?type=CAA", ['expect=0 issue "ca.example.org"'], "pass", "none", ""),
    ("truncated, then TCP", f"dns://{BIND}/big.example.net?type=TXT", [f'expect="029 {"x" * 200}"'], "pass", "none", ""),
    ("answer other", f"dns://{BIND}/www.example.net", ["expect=192.0.2.11"], "fail", "answer", "192.0.2.1"),
    ("answer incomplete", f"dns://{BIND}/www.example.net", ["expect=192.0.2.10\n192.0.2.11"], "fail", "answer", "192.0.2.11"),
    ("no record of the type", f"dns://{BIND}/mail.example.net?type=AAAA", [], "fail", "answer", ""),
    ("NXDOMAIN", f"dns://{BIND}/nobody.example.net", [], "fail", "rcode", "NXDOMAIN"),
    ("NXDOMAIN wanted", f"dns://{BIND}/nobody.example.net?rcode=NXDOMAIN", [], "pass", "none", ""),
    ("NXDOMAIN wanted, but it exists", f"dns://{BIND}/www.example.net?rcode=NXDOMAIN", [], "fail", "rcode", "NXDOMAIN"),
    ("SERVFAIL", f"dns://{BIND}/www.broken.example.net", [], "fail", "rcode", "SERVFAIL"),
    ("REFUSED", f"dns://{BIND}/www.example.com", [], "fail", "rcode", "REFUSED"),
    ("port closed", f"dns://{BARE}/www.example.net", [], "fail", "refused", ""),
    ("port closed over TCP", f"dns://{BARE}/www.example.net?transport=tcp", [], "fail", "refused", ""),
    ("unreachable", f"dns://{NOWHERE}/www.example.net", [], "fail", "unreachable", ""),
    ("not DNS", f"dns://{WEB}:80/www.example.net?transport=tcp", [QUICK], "fail", None, ""),
    ("dnsmasq A", f"dns://{DNSMASQ}/www.example.org", ["expect=192.0.2.10"], "pass", "none", ""),
    ("dnsmasq A over IPv6 and TCP", f"dns://[{DNSMASQ6}]/www.example.org?transport=tcp", ["expect=192.0.2.10"], "pass", "none", ""),
    ("dnsmasq MX", f"dns://{DNSMASQ}/example.org?type=MX", ["expect=10 mail.example.org"], "pass", "none", ""),
    ("dnsmasq TXT", f"dns://{DNSMASQ}/example.org?type=TXT", ['expect="hello"'], "pass", "none", ""),
    ("dnsmasq NXDOMAIN", f"dns://{DNSMASQ}/nobody.example.org", [], "fail", "rcode", "NXDOMAIN"),
    ("dnsmasq REFUSED", f"dns://{DNSMASQ}/www.example.com", [], "fail", "rcode", "REFUSED"),
    ("server by name", "dns://ns.example.net/www.example.net", ["expect=192.0.2.10"], "pass", "none", ""),
]

SMTP = [
    ("passes", f"smtp://{MAIL}", [], "pass", "none", ""),
    ("passes over IPv6", f"smtp://[{MAIL6}]", [], "pass", "none", ""),
    ("STARTTLS", f"smtp://{MAIL}?starttls=required", [], "pass", "none", ""),
    ("STARTTLS if it is there", f"smtp://{MAIL}?starttls=optional", [], "pass", "none", ""),
    ("STARTTLS if it is there, and it is not", f"smtp://{MAIL}:26?starttls=optional", [], "pass", "none", ""),
    ("STARTTLS missing", f"smtp://{MAIL}:26?starttls=required", [], "fail", "starttls", "STARTTLS"),
    ("STARTTLS with an expired certificate", f"smtp://{MAIL}:27?starttls=required", [], "fail", "certificate_expired", "expired"),
    ("certificate of another name", f"smtp://{MAIL}?starttls=required", ["tls.name=mx.example.net"], "fail", "certificate_name", ""),
    ("TLS from the first byte", f"smtps://{MAIL}", [], "pass", "none", ""),
    ("TLS from the first byte, where there is none", f"smtps://{MAIL}:26", [QUICK], "fail", "tls", ""),
    ("421 at once", f"smtp://{MAIL}:2421", [], "fail", "status", "got 421 too busy"),
    ("554 at once", f"smtp://{MAIL}:2554", [], "fail", "status", "got 554 no service here"),
    ("EHLO refused", f"smtp://{MAIL}:2525", [], "fail", "status", "550"),
    ("recipient known", f"smtp://{MAIL}", ["from=<>", "to=known@example.net"], "pass", "none", ""),
    ("recipient unknown", f"smtp://{MAIL}", ["from=probe@example.org", "to=nobody@example.net"], "fail", "status", "550"),
    ("sender only", f"smtp://{MAIL}", ["from=probe@example.org"], "pass", "none", ""),
    ("recipient by way of STARTTLS", f"smtp://{MAIL}?starttls=required", ["from=<>", "to=known@example.net"], "pass", "none", ""),
    ("refused", f"smtp://{BARE}", [], "fail", "refused", "connection refused"),
    ("not SMTP", f"smtp://{WEB}:80", [QUICK], "fail", None, ""),
]

TCP = [
    ("passes", f"tcp://{WEB}:80", [], "pass", "none", ""),
    ("passes over IPv6", f"tcp://[{WEB6}]:80", [], "pass", "none", ""),
    ("greeting", f"tcp://{MAIL}:25", ["expect=220 "], "pass", "none", ""),
    ("question and answer", f"tcp://{WEB}:80", ["send=GET /ok HTTP/1.0\\r\\n\\r\\n", "expect=all is fine"], "pass", "none", ""),
    ("answer other", f"tcp://{WEB}:80", ["send=GET /ok HTTP/1.0\\r\\n\\r\\n", "expect=all is lost"], "fail", "body", ""),
    ("says nothing", f"tcp://{WEB}:80", ["expect=220 ", QUICK], "fail", "timeout", ""),
    ("refused", f"tcp://{BARE}:80", [], "fail", "refused", "connection refused"),
    ("unreachable", f"tcp://{NOWHERE}:80", [], "fail", "unreachable", ""),
    ("name unknown", "tcp://nobody.example.net:80", [], "fail", "resolve", ""),
]

ICMP = [
    ("passes", f"icmp://{BARE}", [], "pass", "none", ""),
    ("passes over IPv6", f"icmp://[{BARE6}]", [], "pass", "none", ""),
    ("several", f"icmp://{BARE}?count=5&spacing=20ms", [], "pass", "none", ""),
    ("unreachable", f"icmp://{NOWHERE}", [], "fail", "unreachable", ""),
    ("unreachable over IPv6", f"icmp://[{NOWHERE6}]", [], "fail", "unreachable", ""),
    ("by name", "icmp://bare.example.net", [], "pass", "none", ""),
    ("name unknown", "icmp://nobody.example.net", [], "fail", "resolve", ""),
]


def cases(table):
    return pytest.mark.parametrize("url,options,verdict,reason,sentence", [case[1:] for case in table],
                                   ids=[case[0].replace(" ", "-") for case in table])


def judge(bed, url, options, verdict, reason, sentence):
    found = bed.probe(url, *options)
    assert found["verdict"] == verdict, found
    if reason is not None:
        check(found, verdict, reason, sentence)
    return found


@cases(HTTP)
def test_http(bed, url, options, verdict, reason, sentence):
    judge(bed, url, options, verdict, reason, sentence)


@pytest.mark.parametrize("scheme", ["https", "tls"])
@pytest.mark.parametrize("label,options,verdict,reason,sentence", TLS_CASES)
def test_tls(bed, scheme, label, options, verdict, reason, sentence):
    # By a name that is resolved here, to servers whose certificates carry it.
    url = f"{scheme}://www.example.net:{TLS[label]}"
    found = bed.probe(url, f"tls.ca={bed.ca.file}", *options)
    check(found, verdict, reason, sentence)
    if verdict != "fail" or reason == "certificate_expired":
        assert found["cert_not_after"] == int(bed.certificates[{"tls12": "good"}.get(label, label)].not_after.timestamp())


def test_tls_without_a_ca_of_its_own_uses_the_systems(bed):
    check(bed.probe(sealed("good")), "fail", "certificate_untrusted")


def test_tls_on_an_address_whose_name_is_given(bed):
    check(bed.probe(sealed("good", host=""), f"tls.ca={bed.ca.file}", "tls.name=www.example.net", address=WEB), "pass", "none")
    # An address is a name, too.
    check(bed.probe(sealed("good", host=WEB), f"tls.ca={bed.ca.file}"), "pass", "none")
    check(bed.probe(sealed("good", host=BARE), f"tls.ca={bed.ca.file}"), "fail", "refused")


def test_tls_of_a_server_that_wants_a_certificate_of_ours(bed):
    found = bed.probe(sealed("asks"), f"tls.ca={bed.ca.file}")
    check(found, "fail", "status", "got 400")
    assert found["code"] == 400


@cases(DNS)
def test_dns(bed, url, options, verdict, reason, sentence):
    judge(bed, url, options, verdict, reason, sentence)


@cases(SMTP)
def test_smtp(bed, url, options, verdict, reason, sentence):
    if "starttls=" in url or url.startswith("smtps"):
        options = [f"tls.ca={bed.ca.file}", *([] if any(o.startswith("tls.name") for o in options)
                                              else ["tls.name=www.example.net"]), *options]
    judge(bed, url, options, verdict, reason, sentence)


@cases(TCP)
def test_tcp(bed, url, options, verdict, reason, sentence):
    judge(bed, url, options, verdict, reason, sentence)


@cases(ICMP)
def test_icmp(bed, url, options, verdict, reason, sentence):
    found = judge(bed, url, options, verdict, reason, sentence)
    if verdict == "pass":
        assert found["loss"] == 0


@pytest.mark.parametrize("host,protocol", [(BARE, "icmp type"), (f"[{BARE6}]", "icmpv6 type")])
def test_icmp_loss(bed, host, protocol):
    url = f"icmp://{host}?count=4&spacing=20ms"
    with bed.peer.drop(f"{protocol} echo-request numgen inc mod 4 0"):
        check(bed.probe(url, QUICK), "fail", "loss", "1 of 4 packets lost")
        found = bed.probe(url, "max-loss=25%", QUICK)
        check(found, "pass", "none")
        assert found["loss"] == 0.25
    with bed.peer.drop(f"{protocol} echo-request"):
        check(bed.probe(url, "max-loss=99%", QUICK), "fail", "timeout")


def test_icmp_without_ping_sockets(bed):
    """Where unprivileged ping sockets are off, which is usual, and where they are on."""
    bed.here.sysctl("net.ipv4.ping_group_range=0 2147483647")
    try:
        for host in (BARE, f"[{BARE6}]"):
            check(bed.probe(f"icmp://{host}"), "pass", "none")
    finally:
        bed.here.sysctl("net.ipv4.ping_group_range=1 0")
    for host in (BARE, f"[{BARE6}]"):
        check(bed.probe(f"icmp://{host}"), "pass", "none")


@pytest.mark.parametrize("url", [f"http://{WEB}/ok", f"http://[{WEB6}]/ok", f"tcp://{WEB}:80", f"tls://{WEB}:443",
                                 f"smtp://{MAIL}", f"icmp://{BARE}", f"dns://{BIND}/www.example.net",
                                 f"dns://{BIND}/www.example.net?transport=tcp"])
def test_a_silent_network_is_a_timeout(bed, url):
    with bed.peer.drop("meta l4proto { tcp, udp, icmp }"), bed.peer.drop("tcp dport 80"):
        start = time.monotonic()
        found = bed.probe(url, "timeout=500ms")
        check(found, "fail", "timeout", "500 ms")
        assert 450 <= found["took_ms"] <= 3000
        assert time.monotonic() - start < 15


@pytest.mark.parametrize("answer", ["icmpx type admin-prohibited", "icmpx type host-unreachable"])
@pytest.mark.parametrize("url", [f"http://{WEB}/ok", f"tcp://{WEB}:80", f"dns://{BIND}/www.example.net",
                                 f"icmp://{BARE}", f"icmp://[{BARE6}]"])
def test_a_firewall_that_says_so_is_unreachable(bed, url, answer):
    match = "meta l4proto icmp" if "icmp://1" in url else "meta l4proto ipv6-icmp icmpv6 type echo-request"
    match = match if url.startswith("icmp") else "meta l4proto { tcp, udp }"
    with bed.peer.fault(f"{match} reject with {answer}"):
        check(bed.probe(url), "fail", "unreachable")


def test_our_own_firewall_is_unreachable_not_refused(bed):
    with bed.here.fault("tcp dport 80 reject with icmp type admin-prohibited", hook="output"):
        check(bed.probe(f"http://{WEB}/ok"), "fail", "unreachable")


def test_a_port_reset_by_a_firewall_is_refused(bed):
    with bed.peer.fault("tcp dport 80 reject with tcp reset"):
        check(bed.probe(f"http://{WEB}/ok"), "fail", "refused")


@pytest.mark.parametrize("port,only", [(8004, "IPv4 only"), (8006, "IPv6 only")])
def test_happy_eyeballs_when_one_family_is_refused(bed, port, only):
    found = bed.probe(f"http://both.example.net:{port}/", f"expect.body={only}")
    check(found, "pass", "none")


@pytest.mark.parametrize("dead,port", [("meta nfproto ipv6", 8004), ("meta nfproto ipv4", 8006)])
def test_happy_eyeballs_when_one_family_is_silent(bed, dead, port):
    # Only what goes to the web: names are looked up over IPv4.
    with bed.peer.drop(f"{dead} tcp dport {port}"):
        found = bed.probe(f"http://both.example.net:{port}/", "timeout=5s")
        check(found, "pass", "none")
        # The other family is tried after a quarter of a second or so, not when the first has given up.
        assert found["took_ms"] < 3000
        assert found["phases"]["resolve_ms"] > 0


def test_a_silent_name_server(bed):
    with bed.peer.drop("udp dport 53"):
        found = bed.probe("http://www.example.net/ok", QUICK)
        assert found["verdict"] == "fail" and found["reason"] in ("resolve", "timeout"), found
        assert found["took_ms"] <= 3000


def test_names_of_the_hosts_file_and_localhost(bed):
    # Nothing listens there, but it was found.
    check(bed.probe("http://localhost:8099/"), "fail", "refused")


def test_phases(bed):
    found = bed.probe(sealed("good"), f"tls.ca={bed.ca.file}")
    check(found, "pass", "none")
    phases = found["phases"]
    for phase in ("resolve_ms", "connect_ms", "tls_ms", "processing_ms"):
        assert phases[phase] > 0, found
    assert sum(phases.values()) <= found["took_ms"] * 1.01 + 1
    assert found["code"] == 200
    late = bed.probe(f"http://{WEB}/late", "timeout=10s")
    assert late["phases"]["processing_ms"] >= 950, "nginx waits for a second before it answers"
    assert late["phases"]["tls_ms"] == 0


def test_address_of_a_container(bed):
    check(bed.probe("http://:80/ok", address=WEB), "pass", "none")
    check(bed.probe("icmp:", address=BARE), "pass", "none")
    check(bed.probe("http://:80/ok"), "fail", "no_address")


# --- what no real server does -------------------------------------------------------------------------


def trickle(data, pause=1.0):
    """A byte a second."""
    def talk(connection, stop):
        for byte in data:
            connection.sendall(bytes([byte]))
            if stop.wait(pause):
                return
    return talk


@pytest.mark.parametrize("url,data", [
    (f"smtp://{BARE}:7001", b"220 mail.example.net ready\r\n"),
    (f"http://{BARE}:7001/", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    (f"tls://{BARE}:7001", b"\x16\x03\x03\x00\x50\x02\x00\x00\x4c"),
    (f"dns://{BARE}:7001/www.example.net?transport=tcp", b"\x00\x30" + b"\x00" * 48)])
def test_a_byte_a_second(bed, url, data):
    with bed.peer_script(trickle(data), 7001):
        found = bed.probe(url, "timeout=1500ms")
        check(found, "fail", "timeout", "within 1.5 s")
        assert 1400 <= found["took_ms"] <= 5000


def test_a_link_of_a_byte_a_second(bed):
    """Not the server, the network is slow; the answer is right."""
    with bed.peer.slow("eth0", "8kbit", burst="1600"):
        check(bed.probe(f"http://{WEB}/trickle", "timeout=2s"), "fail", "timeout")


def test_reset_at_each_step(bed):
    def reset(steps):
        def talk(connection, stop):
            connection.settimeout(3)
            for step in steps:
                if step is None:
                    connection.recv(4096)
                else:
                    connection.sendall(step)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            stop.wait(0.1)  # what was sent arrives first
        return talk

    for url, steps in [
            (f"http://{BARE}:7001/", [None]), (f"http://{BARE}:7001/", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"]),
            (f"tls://{BARE}:7001", [None]), (f"smtp://{BARE}:7001", []), (f"smtp://{BARE}:7001", [b"220 x\r\n", None]),
            (f"dns://{BARE}:7001/www.example.net?transport=tcp", [None]), (f"tcp://{BARE}:7001", ["x".encode()])]:
        options = ["expect=hello"] if url.startswith("tcp") else []
        if url.startswith("http") and len(steps) == 2:
            options = ["expect.body=xyz"]
        with bed.peer_script(reset(steps), 7001):
            check(bed.probe(url, *options), "fail", "reset")


def answer_of(query, address="192.0.2.10", number=None, flags=b"\x84\x00"):
    head = (number or query[:2]) + flags + b"\x00\x01\x00\x01\x00\x00\x00\x00"
    end = query.index(b"\x00", 12) + 5
    return head + query[12:end] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(address)


def other_id(query):
    return bytes([query[0] ^ 0xff, query[1]])


def test_dns_spoofed_then_right(bed):
    with bed.lying_dns(lambda q: [answer_of(q, "192.0.2.66", other_id(q)), answer_of(q)]):
        check(bed.probe(f"dns://{BARE}/www.example.net", "expect=192.0.2.10"), "pass", "none")


def test_dns_spoofed_only(bed):
    with bed.lying_dns(lambda q: [answer_of(q, "192.0.2.10", other_id(q))]):
        check(bed.probe(f"dns://{BARE}/www.example.net", "timeout=700ms"), "fail", "timeout")


def test_dns_answer_that_refers_to_itself(bed):
    def lie(query):
        end = query.index(b"\x00", 12) + 5
        # The name of the answer is a pointer to itself.
        where = end.to_bytes(2, "big")
        loop = bytes([0xc0 | where[0], where[1]])
        return [query[:2] + b"\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00" + query[12:end] + loop
                + b"\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x0a"]

    with bed.lying_dns(lie):
        check(bed.probe(f"dns://{BARE}/www.example.net", "timeout=1s"), "fail", "protocol")


def test_smtp_banner_of_a_megabyte(bed):
    def talk(connection, _):
        connection.sendall(b"220-" + b"x" * (1 << 20) + b"\r\n220 done\r\n")
        connection.recv(100)

    with bed.peer_script(talk, 7001):
        check(bed.probe(f"smtp://{BARE}:7001"), "fail", "protocol")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_http_without_end(bed, head):
    """Endless headers; an endless body, whose wanted text never comes."""
    def talk(connection, stop):
        connection.recv(4096)
        connection.sendall(head)
        block = b"X-More: 1\r\n" if b"chunked" not in head else b"400\r\n" + b"y" * 1024 + b"\r\n"
        while not stop.is_set():
            connection.sendall(block * 64)

    with bed.peer_script(talk, 7001):
        found = bed.probe(f"http://{BARE}:7001/", "expect.body=needle", "timeout=5s")
        assert found["verdict"] == "fail" and found["reason"] in ("protocol", "body"), found
        assert found["took_ms"] < 4900, "it gives up at a size, not when time is up"

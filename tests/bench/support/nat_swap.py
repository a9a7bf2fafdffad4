"""Taking servers out of the kernel's NAT table, by transactions of elements and by rebuilding everything."""
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from . import report

SIZES = [1, 100, 1000, 10000]
REBUILDS = 3
LIMIT_SECONDS = 120
# A chain for each service: the time to load it grows with the square of their number.
MOST_CHAINS = 1000


def address(number, first, second):
    return f"{first}.{second}.{number // 256}.{number % 256}"


def one_map(services):
    """All services in two maps, as our own table has them, but loaded as a whole."""
    slots, servers = [], []
    for number in range(services):
        for server in (0, 1):
            servers.append(f"{2 * number + server + 1:#x} : {address(number, 10, server)} . 8443")
            slots.append(f"{address(number, 198, 18)} . 443 . {server} : {2 * number + server + 1:#x}")
    return ("table ip rebuilt\ndelete table ip rebuilt\ntable ip rebuilt {\n"
            "map slot { typeof ip daddr . tcp dport . numgen inc mod 2 : meta mark\nelements = {" + ",\n".join(slots) + "}\n}\n"
            "map be { type mark : ipv4_addr . inet_service\nelements = {" + ",\n".join(servers) + "}\n}\n"
            "chain pre { type nat hook prerouting priority -100;\n"
            "meta mark set ip daddr . tcp dport . numgen inc mod 2 map @slot\n"
            "meta l4proto tcp dnat ip to meta mark map @be\n}\n}\n")


def chains(services):
    """A chain for each service, as proxies that write rules do it."""
    text = "table ip rebuilt\ndelete table ip rebuilt\ntable ip rebuilt {\n"
    for number in range(services):
        servers = f"0 : {address(number, 10, 0)}, 1 : {address(number, 10, 1)}"
        text += f"chain s{number} {{ meta l4proto tcp dnat to numgen inc mod 2 map {{ {servers} }} : 8443\n}}\n"
    text += "map svc { type ipv4_addr . inet_service : verdict\nelements = {" + ",\n".join(
        f"{address(number, 198, 18)} . 443 : goto s{number}" for number in range(services)) + "}\n}\n"
    return text + "chain pre { type nat hook prerouting priority -100;\nmeta l4proto tcp ip daddr . tcp dport vmap @svc\n}\n}\n"


def iptables(services):
    lines = ["*nat", ":PREROUTING ACCEPT [0:0]"]
    for number in range(services):
        match = f"-A PREROUTING -d {address(number, 198, 18)}/32 -p tcp -m tcp --dport 443"
        lines.append(f"{match} -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination {address(number, 10, 0)}:8443")
        lines.append(f"{match} -j DNAT --to-destination {address(number, 10, 1)}:8443")
    return "\n".join([*lines, "COMMIT", ""])


REBUILDERS = [("nft -f, one map", ["nft", "-f"], one_map, max(SIZES)),
              ("nft -f, a chain each", ["nft", "-f"], chains, MOST_CHAINS),
              ("iptables-nft-restore", ["iptables-nft-restore"], iptables, max(SIZES)),
              ("iptables-legacy-restore", ["iptables-legacy-restore"], iptables, max(SIZES))]


def inside(command):
    """In a network namespace of its own, gone afterwards."""
    return ["unshare", "--net", "--", *command]


def rebuilds(services):
    """Milliseconds by what was used; of the loads after the first, which replace what is there."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, command, rules, most in REBUILDERS:
            if services > most:
                continue
            path = Path(folder) / "rules"
            path.write_text(rules(services), encoding="ascii")
            # Timed inside the namespace: making one takes longer than a small load.
            script = f"import subprocess, time\nfor n in range({REBUILDS + 1}):\n  t = time.monotonic()\n" \
                     f"  subprocess.run({[*command, str(path)]!r}, check=True, timeout={LIMIT_SECONDS})\n" \
                     "  print((time.monotonic() - t) * 1000)\n"
            done = subprocess.run(inside(["python3", "-c", script]), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{name} at {services} services: {done.stderr.strip()[:1000]}")
            found[name] = [float(line) for line in done.stdout.split()][1:]
    return found


def run(rounds):
    program = Path(os.environ["SENTINEL_BUILD"]) / "tests/bench/bench-nat-swap"
    rows, others = [], []
    for services in SIZES:
        began = time.monotonic()
        done = subprocess.run(inside([str(program), str(services), str(rounds)]), capture_output=True, text=True, check=True,
                              timeout=10 * LIMIT_SECONDS)
        found = json.loads(done.stdout)
        row = [services]
        for what in ("slot", "server"):
            row += [f"{report.quantile(found[what], q) / 1000:.0f}" for q in (0.5, 0.99)]
        rows.append([*row, found["slots"], f"{found['create'][0] / 1e6:.1f}", f"{found['load'][0] / 1e6:.0f}"])
        anew = rebuilds(services)
        others.append([services, *(f"{report.median(anew[name]):.1f}" if name in anew else "-" for name, *_ in REBUILDERS)])
        print(f"  {services} services: {time.monotonic() - began:.0f} s")
    print("\nOne transaction by netlink; a server is in up to three services.\n")
    print(report.table(["services", "slot p50 us", "p99 us", "server p50 us", "p99 us", "slots of a server", "make all ms",
                        "read all ms"], rows))
    print(f"\nAll rules anew, median of {REBUILDS}, ms:\n")
    print(report.table(["services", *(name for name, *_ in REBUILDERS)], others))

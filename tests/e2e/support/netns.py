"""Network namespaces of the tests' own: links between them, and what can go wrong on a network.

Addresses are from the documentation ranges (RFC 5737, RFC 3849). Namespaces live in this container's /run/netns and
end with it, whatever happens to the tests.
"""
import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

from .http import CLONE_NEWNET
from .wait import eventually

_numbers = itertools.count(1)


def shell(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, arguments))}: {done.stderr.strip() or done.stdout.strip()}"
    return done.stdout


class Namespace:
    def __init__(self, role):
        """`role`: what it plays in the test; the name of the namespace is unique."""
        self.role = role
        self.name = f"e2e{os.getpid()}x{next(_numbers)}-{role}"
        shell("ip", "netns", "add", self.name)
        # IPv6 addresses are used at once: nobody else can have them.
        self.sysctl("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                    "net.ipv6.conf.default.router_solicitations=0")
        self.ip("link", "set", "lo", "up")

    # --- in it ----------------------------------------------------------------------------------------

    def command(self, *arguments):
        return ["ip", "netns", "exec", self.name, *map(str, arguments)]

    def run(self, *arguments, **options):
        """Its output; fails when the command does."""
        return shell(*self.command(*arguments), **options)

    def ip(self, *arguments):
        return shell("ip", "-n", self.name, *arguments)

    def sysctl(self, *settings):
        self.run("sysctl", "-q", "-w", *settings)

    def nft(self, script):
        return self.run("nft", "-f", "-", input=script)

    def call(self, make):
        """make() with this thread in the namespace; what sockets it makes stay there."""
        result = []

        def inside():
            descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.setns(descriptor, CLONE_NEWNET)
            finally:
                os.close(descriptor)
            try:
                result.append((make(), None))
            except BaseException as error:  # pylint: disable=broad-exception-caught
                result.append((None, error))

        # A thread of its own, so that no other code ever finds itself in a foreign namespace.
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        value, error = result[0]
        if error is not None:
            raise error
        return value

    def resolver(self, *lines):
        """What /etc/resolv.conf says to commands in this namespace that start from now on."""
        folder = Path("/etc/netns") / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    def accepts(self, address, port):
        """Whether a TCP connection from inside to there succeeds."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def attempt():
            with socket.socket(family, socket.SOCK_STREAM) as one:
                one.settimeout(2)
                return one.connect_ex((address, port)) == 0

        return self.call(attempt)

    # --- faults ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def fault(self, *rules, hook="input"):
        """nftables rules at one hook of a table of their own, gone afterwards."""
        table = f"fault{next(_numbers)}"
        body = "\n".join(rules)
        self.nft(f"table inet {table} {{ chain c {{ type filter hook {hook} priority -300; policy accept;\n{body}\n}}\n}}")
        try:
            yield
        finally:
            # It may be gone already, where a test flushes everything.
            subprocess.run(self.command("nft", "delete", "table", "inet", table), stderr=subprocess.DEVNULL, check=False)

    def drop(self, match, hook="input"):
        return self.fault(f"{match} drop", hook=hook)

    @contextlib.contextmanager
    def link_down(self, device):
        """IPv6 addresses and routes of the device are put back as they were."""
        self.sysctl(f"net.ipv6.conf.{device}.keep_addr_on_down=1")
        routes = [line for line in self.ip("-6", "route", "show", "dev", device).splitlines() if "proto kernel" not in line]
        routes4 = [line for line in self.ip("-4", "route", "show", "dev", device).splitlines() if "proto kernel" not in line]
        self.ip("link", "set", device, "down")
        try:
            yield
        finally:
            self.ip("link", "set", device, "up")
            for family, lines in (("-4", routes4), ("-6", routes)):
                for line in lines:
                    words = re.sub(r" (linkdown|dead|pref \w+)", "", line).split()
                    self.ip(family, "route", "replace", *words, "dev", device)

    @contextlib.contextmanager
    def slow(self, device, rate, burst="4kb"):
        """All that leaves by the device is held to a rate, as tc writes it."""
        self.run("tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", rate, "burst", burst, "latency", "400ms")
        try:
            yield
        finally:
            self.run("tc", "qdisc", "del", "dev", device, "root")

    # --- the end --------------------------------------------------------------------------------------

    def pids(self):
        return [int(pid) for pid in shell("ip", "netns", "pids", self.name).split()]

    def close(self):
        """Ends what still runs in it, then removes it."""
        for pid in self.pids():
            if pid != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        eventually(lambda: not [pid for pid in self.pids() if pid != os.getpid() and not is_zombie(pid)],
                   f"nothing runs in {self.name}")
        shell("ip", "netns", "del", self.name)
        shutil.rmtree(Path("/etc/netns") / self.name, ignore_errors=True)


def is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def veth(one, one_device, other, other_device):
    """A cable between two namespaces; both ends up, without addresses."""
    shell("ip", "link", "add", one_device, "netns", one.name, "type", "veth", "peer", "name", other_device,
          "netns", other.name)
    for namespace, device in ((one, one_device), (other, other_device)):
        namespace.ip("link", "set", device, "up")


def bridge(namespace, device, ports=()):
    # Without snooping, which would withhold neighbour discovery from ports for the first seconds.
    namespace.ip("link", "add", device, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
    for port in ports:
        namespace.ip("link", "set", port, "master", device)
    namespace.ip("link", "set", device, "up")


def addresses(namespace, device, *prefixes):
    for prefix in prefixes:
        namespace.ip("addr", "add", prefix, "dev", device, *(["nodad"] if ":" in prefix else []))

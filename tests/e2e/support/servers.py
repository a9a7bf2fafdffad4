"""Real servers in namespaces: nginx, OpenSMTPD, BIND, dnsmasq. Each starts, is waited for, and ends by its pid."""
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .wait import eventually


class Server:
    """A program with a folder of its own, which `{folder}` stands for in its files and arguments."""

    def __init__(self, namespace, label, command, files, ready):
        """`ready`: (address, port) that accept TCP once it runs."""
        self.namespace = namespace
        self.label = label
        self.folder = Path(tempfile.mkdtemp(prefix=f"e2e-{label}-"))
        self.folder.chmod(0o755)
        self._command = command
        self._ready = ready
        self._shown = 0
        self.process = None
        self.log = self.folder / "log"
        for name, text in files.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{folder}", str(self.folder)), encoding="utf-8")
        path.chmod(0o644)

    def start(self):
        arguments = [word.replace("{folder}", str(self.folder)) for word in self._command]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.namespace.command(*arguments), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        return self.wait()

    def wait(self):
        def ready():
            assert self.process.poll() is None, f"{self.label} ended: {self.text()[-2000:]}"
            return all(self.namespace.accepts(*place) for place in self._ready)

        eventually(ready, lambda: f"{self.label} accepts; its log: {self.text()[-2000:]}")
        self._shown = len(self.text())
        return self

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def _signal(self, number):
        """To it and to what it forked, which share a session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self._signal(signal.SIGKILL)
            self.process.wait(10)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def dump(self):
        """Prints what it has said since the last time."""
        text = self.text()
        if text[self._shown:]:
            print(f"--- {self.label}:\n{text[self._shown:]}")
        self._shown = len(text)

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def nginx(namespace, label, servers, ready, files=None, workers=1):
    """`servers`: server blocks. Its own files are under {folder}/html."""
    config = f"""
load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;
daemon off;
user root;
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {{folder}}/pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  default_type text/plain;
  client_body_temp_path {{folder}}/body;
  proxy_temp_path {{folder}}/proxy;
  fastcgi_temp_path {{folder}}/fastcgi;
  uwsgi_temp_path {{folder}}/uwsgi;
  scgi_temp_path {{folder}}/scgi;
  keepalive_requests 1000000;
  root {{folder}}/html;
{servers}
}}
"""
    return Server(namespace, label, ["nginx", "-p", "{folder}", "-e", "stderr", "-c", "{folder}/nginx.conf"],
                  {"nginx.conf": config, "html/index.html": "hello\n", **(files or {})}, ready)


def opensmtpd(namespace, label, config, ready):
    # Its queue and its control socket have fixed places: each has them in a mount namespace of its own.
    start = ("mount -t tmpfs -o mode=711 none /var/spool && mount -t tmpfs -o mode=755 none /run && "
             "exec smtpd -d -f {folder}/smtpd.conf")
    return Server(namespace, label, ["sh", "-c", start], {"smtpd.conf": config}, ready)


def bind(namespace, label, addresses, zones, options=""):
    """`zones`: text of the zone file by name; None: a zone whose file is missing (SERVFAIL)."""
    def literal(family):
        found = [address for address in addresses if (":" in address) == (family == 6)]
        return "{ " + "".join(f"{address}; " for address in found or ["none"]) + "}"

    config = f"""
options {{
  directory "{{folder}}";
  pid-file "{{folder}}/named.pid";
  session-keyfile "{{folder}}/session.key";
  listen-on {literal(4)};
  listen-on-v6 {literal(6)};
  recursion no;
  dnssec-validation no;
  empty-zones-enable no;
  minimal-responses yes;
  {options}
}};
controls {{ }};
"""
    files = {}
    for name, text in zones.items():
        config += f'zone "{name}" {{ type primary; file "{name}.zone"; }};\n'
        if text is not None:
            files[f"{name}.zone"] = text
    return Server(namespace, label, ["named", "-g", "-n", "1", "-c", "{folder}/named.conf"],
                  {"named.conf": config, **files}, [(address, 53) for address in addresses])


def dnsmasq(namespace, label, addresses, *options):
    listen = [f"--listen-address={address}" for address in addresses]
    return Server(namespace, label,
                  ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root",
                   "--pid-file={folder}/pid", "--conf-file=/dev/null", *listen, *options],
                  {}, [(address, 53) for address in addresses])

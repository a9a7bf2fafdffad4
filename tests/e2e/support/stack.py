"""The Compose stack, handled on the host as a person would."""
import json
import os
import subprocess
import urllib.parse
import urllib.request

from .engine import ROOT
from .wait import eventually

HOST_PID = os.environ.get("SENTINEL_HOST_PID")


def on_host(*command, seconds=300, cwd=None, check=True, **environment):
    """Runs a command on the machine itself, outside the toolchain container."""
    enter = []
    if os.environ.get("SENTINEL_HOST_ROOT"):
        enter = ["nsenter", f"--target={HOST_PID}", "--mount", "--net", "--uts", "--ipc"]
    base = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    for name in ("http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE"):
        if name in os.environ:
            base[name] = os.environ[name]
    settings = [f"{key}={value}" for key, value in {**base, **environment}.items()]
    where = ["--chdir", cwd] if cwd else []
    done = subprocess.run([*enter, "env", "-i", *where, *settings, *command], capture_output=True, text=True,
                          timeout=seconds, check=False, stdin=subprocess.DEVNULL)
    if check:
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-3000:]}{done.stderr[-6000:]}"
    return done


def copy_of_the_tree():
    """What git would hand to somebody else, in a new folder of the host."""
    names = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z", "--cached",
                            "--others", "--exclude-standard"], check=True, capture_output=True).stdout
    present = b"\0".join(name for name in names.split(b"\0") if name and (ROOT / name.decode()).is_file())
    folder = on_host("mktemp", "-d", "/tmp/sentinel-e2e-tree-XXXXXX").stdout.strip()
    pack = subprocess.run(["tar", "-C", str(ROOT), "--null", "--no-recursion", "-T", "-", "-c"], input=present,
                          check=True, capture_output=True).stdout
    enter = ["nsenter", f"--target={HOST_PID}", "--mount"] if os.environ.get("SENTINEL_HOST_ROOT") else []
    subprocess.run([*enter, "tar", "-C", folder, "-x"], input=pack, check=True, timeout=60)
    return folder


class Stack:
    """deploy/ of one folder on one Engine."""

    def __init__(self, folder, docker_host, bind):
        self.folder = folder
        self.bind = bind
        self.environment = {"DOCKER_HOST": docker_host, "SENTINEL_REVISION": "e2e"}

    def script(self, name, *arguments, seconds=1200, check=True):
        return on_host(f"{self.folder}/deploy/{name}", *arguments, seconds=seconds, check=check, **self.environment)

    def docker(self, *arguments, check=True, seconds=120):
        return on_host("docker", *arguments, check=check, seconds=seconds, **self.environment).stdout.strip()

    def compose(self, *arguments, seconds=300, **environment):
        return on_host("docker", "compose", *arguments, cwd=f"{self.folder}/deploy", seconds=seconds,
                       **self.environment, **environment).stdout

    def ids(self):
        listed = self.docker("ps", "-a", "--no-trunc", "--filter", "label=com.docker.compose.project=sentinel",
                             "--format", '{{.Label "com.docker.compose.service"}} {{.ID}}')
        return dict(line.split() for line in listed.splitlines())

    def inspect(self, service):
        return json.loads(self.docker("inspect", self.ids()[service]))[0]

    def get(self, port, path, seconds=10):
        with urllib.request.urlopen(f"http://{self.bind}:{port}{path}", timeout=seconds) as answer:
            return answer.read().decode()

    def post(self, port, path):
        request = urllib.request.Request(f"http://{self.bind}:{port}{path}", data=b"", method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def query(self, expression):
        """An instant query to Prometheus: the samples' values, by their labels."""
        found = json.loads(self.get(9090, "/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        return [(sample["metric"], float(sample["value"][1])) for sample in found["data"]["result"]]

    def eventually_value(self, expression, accepted, seconds=30):
        def met():
            return any(accepted(value) for _, value in self.query(expression))

        eventually(met, lambda: f"{expression} in Prometheus; it has {self.query(expression)}", seconds, 0.25)

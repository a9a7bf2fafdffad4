"""`sentinel monitor` as a contestant."""
import http.client
import shutil
import tempfile
from pathlib import Path

from .process import Contestant, wait_until

READY_SECONDS = 120

# A hold of zero and the cap raised, as the burst asks for; all else is the default.
CONFIG = """\
heal:
  max-concurrent: {cap}
  storm-hold: 0s
"""


class Sentinel(Contestant):
    def __init__(self, binary, engine_socket, folder, port, cap=10):
        # On a real disk, as in service: every heal waits for its intent to be durable.
        self.data = Path(tempfile.mkdtemp(prefix="sentinel-bench-", dir=folder))
        self.port = port
        config = self.data / "sentinel.yaml"
        config.write_text(CONFIG.format(cap=cap))
        (self.data / "run").mkdir()
        super().__init__("sentinel", [binary, "monitor", "--config", config, "--engine", f"unix://{engine_socket}",
                                      "--listen", f"127.0.0.1:{port}", "--data-dir", self.data,
                                      "--run-dir", self.data / "run", "--log-format", "json"],
                         Path(folder) / "sentinel.log")

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait_ready(self):
        def ready():
            self.check()
            try:
                return self.get("/readyz")[0] == 200
            except OSError:
                return False
        wait_until("sentinel is ready", ready, READY_SECONDS)

    def own_share(self):
        """(upper bound in seconds, count up to it) of hint -> request without the Engine's and the disk's time."""
        buckets = []
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith("sentinel_own_share_seconds_bucket"):
                bound = line.split('le="')[1].split('"')[0]
                buckets.append((float(bound.replace("+Inf", "inf")), int(float(line.rsplit(" ", 1)[1]))))
        return buckets

    def stop(self):
        super().stop()
        shutil.rmtree(self.data, ignore_errors=True)

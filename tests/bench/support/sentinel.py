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


class Monitor(Contestant):
    """A monitor with a data folder of its own, which goes with it. `connection()` is for whoever knows its address."""

    def __init__(self, command, data, log):
        self.data = data
        (data / "run").mkdir(exist_ok=True)
        super().__init__("sentinel", command, log)

    def connection(self):
        raise NotImplementedError

    def get(self, path):
        connection = self.connection()
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

    def buckets(self, histogram):
        """(upper bound, count up to it) of a histogram without labels."""
        buckets = []
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(histogram + "_bucket"):
                bound = line.split('le="')[1].split('"')[0]
                buckets.append((float(bound.replace("+Inf", "inf")), int(float(line.rsplit(" ", 1)[1]))))
        return buckets

    def stop(self):
        super().stop()
        shutil.rmtree(self.data, ignore_errors=True)


class Sentinel(Monitor):
    def __init__(self, binary, engine_socket, folder, port, cap=10):
        # On a real disk, as in service: every heal waits for its intent to be durable.
        data = Path(tempfile.mkdtemp(prefix="sentinel-bench-", dir=folder))
        self.port = port
        config = data / "sentinel.yaml"
        config.write_text(CONFIG.format(cap=cap))
        super().__init__([binary, "monitor", "--config", config, "--engine", f"unix://{engine_socket}",
                          "--listen", f"127.0.0.1:{port}", "--data-dir", data,
                          "--run-dir", data / "run", "--log-format", "json"], data, Path(folder) / "sentinel.log")

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def own_share(self):
        """(upper bound in seconds, count up to it) of hint -> request without the Engine's and the disk's time."""
        return self.buckets("sentinel_own_share_seconds")

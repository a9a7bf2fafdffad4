"""A real Prometheus with the product's rules, which scrapes a monitor under test."""
import json
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .engine import ROOT
from .wait import eventually

LISTENING = re.compile(r"address=127\.0\.0\.1:([1-9]\d*)")  # first it tells what was asked for: port 0


class Prometheus:
    """`scrape`: returns an Answer, such as Monitor.get("/metrics"); OSError while there is none."""

    def __init__(self, scrape, job="sentinel-monitor", instance="monitor:8090"):
        self.folder = Path(tempfile.mkdtemp(prefix="e2e-prometheus-"))
        self._door = ThreadingHTTPServer(("127.0.0.1", 0), door_to(scrape))
        threading.Thread(target=self._door.serve_forever, daemon=True).start()
        port = self._door.server_address[1]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "deploy/prometheus/rules/*.yml")],
            "scrape_configs": [{"job_name": job, "static_configs": [
                {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": instance}}]}],
        }
        # JSON is YAML.
        (self.folder / "prometheus.yml").write_text(json.dumps(config), encoding="ascii")
        self._log = self.folder / "log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
                 "--web.listen-address=127.0.0.1:0", "--log.level=info"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.port = eventually(self._listening, lambda: f"Prometheus listens; {self.tail()}", 60)
            eventually(self._ready, lambda: f"Prometheus is ready; {self.tail()}", 60)
        except BaseException:
            self.close()
            raise

    def tail(self):
        return "its log ends: " + self._log.read_text(errors="replace")[-2000:]

    def _listening(self):
        assert self.process.poll() is None, f"Prometheus ended; {self.tail()}"
        found = LISTENING.search(self._log.read_text(errors="replace"))
        return found and int(found.group(1))

    def _ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def api(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {query}: {error.read().decode(errors='replace')}") from None

    def values(self, expression, time=None):
        """The numbers an expression has now, NaN left out."""
        found = self.api("query", query=expression, **({"time": time} if time else {}))["result"]
        return [float(one["value"][1]) for one in found if one["value"][1] != "NaN"]

    def range(self, expression, start, end, step):
        """All numbers an expression has between two times, NaN left out."""
        found = self.api("query_range", query=expression, start=start, end=end, step=step)["result"]
        return [float(value) for one in found for _, value in one["values"] if value != "NaN"]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._door.shutdown()
        self._door.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)


def door_to(scrape):
    """The monitor listens on a Unix socket, Prometheus speaks TCP."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            try:
                answer = scrape()
            except OSError:
                self.send_error(503)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format, *args):  # pylint: disable=redefined-builtin
            pass

    return Door

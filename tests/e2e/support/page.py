"""A test of the dashboard in a browser, in front of a real monitor."""
import http.server
import os
import subprocess
import threading

from .engine import ROOT


class Control:
    """What the browser's test asks for by POST: that the container fails, that connections break, that they are taken again."""

    def __init__(self, **actions):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                action = actions.get(self.path[1:])
                if action:
                    action()
                self.send_response(204 if action else 404)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def browse(script, port, control, token, cases, seconds, **more):
    """Runs `tests/ui/SCRIPT` against what listens on `port` of loopback; all of its cases have to pass."""
    settings = {"SENTINEL_URL": f"http://127.0.0.1:{port}/", "SENTINEL_TOKEN": token,
                "SENTINEL_CONTROL": f"http://127.0.0.1:{control.port}/", **more}
    options = [part for key, value in settings.items() for part in ("-e", f"{key}={value}")]
    done = subprocess.run([str(ROOT / "docker/ui/run"), "--network", "host", *options, "--", "node", "--test",
                           "--test-reporter=spec", f"tests/ui/{script}"], env=os.environ, capture_output=True,
                          text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "fail 0" in done.stdout and f"pass {cases}" in done.stdout, done.stdout[-3000:]

"""The dashboard in a browser, in front of a real monitor that heals a real container."""
import http.server
import os
import socket
import subprocess
import threading

import pytest
from support.engine import ROOT
from support.http import in_namespace
from support.relay import Relay

TOKEN = "a-token-of-more-than-sixteen-characters"


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


def free_port(engine):
    with in_namespace(engine.pid, lambda: socket.create_server(("127.0.0.1", 0))) as one:
        return one.getsockname()[1]


@pytest.mark.slow
@pytest.mark.version("26.1")
def test_the_page_of_a_real_monitor(rig, tmp_path):
    web = rig.healthy("web")
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    port = free_port(rig.engine)
    config = f"status-page: {{title: Shop status, services: [{{service: {web.name}, name: Shop}}]}}\n"
    monitor = rig.monitor(config, listen=f"127.0.0.1:{port}", environment={"SENTINEL_TOKEN_FILE": str(tmp_path / "token")})
    monitor.wait_state(web.name, "healthy")

    def connect():
        one = in_namespace(rig.engine.pid, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        try:
            one.connect(("127.0.0.1", port))
        except OSError:
            one.close()
            raise
        return one

    with Relay(None, connect) as relay:
        def drop():
            relay.refusing = True
            relay.cut()

        def resume():
            relay.refusing = False

        with Control(unhealthy=lambda: web.simulate("unhealthy"), drop=drop, resume=resume) as control:
            settings = {"SENTINEL_URL": f"http://127.0.0.1:{relay.port}/", "SENTINEL_TOKEN": TOKEN,
                        "SENTINEL_CONTROL": f"http://127.0.0.1:{control.port}/", "SENTINEL_SERVICE": web.name}
            options = [part for key, value in settings.items() for part in ("-e", f"{key}={value}")]
            done = subprocess.run([str(ROOT / "docker/ui/run"), "--network", "host", *options, "--", "node", "--test",
                                   "--test-reporter=spec", "tests/ui/real.mjs"], env=os.environ, capture_output=True,
                                  text=True, timeout=500, check=False, stdin=subprocess.DEVNULL)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "fail 0" in done.stdout and "pass 6" in done.stdout, done.stdout[-3000:]

"""The dashboard in a browser, in front of a real monitor that heals a real container."""
import socket

import pytest
from support.http import in_namespace
from support.page import Control, browse
from support.relay import Relay

TOKEN = "a-token-of-more-than-sixteen-characters"


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
            browse("real.mjs", relay.port, control, TOKEN, 6, 500, SENTINEL_SERVICE=web.name)

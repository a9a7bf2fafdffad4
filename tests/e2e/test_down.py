"""deploy/down on an Engine that holds nothing but a stack: what it removes and what it leaves."""
import os

from support.engine import ROOT
from support.stack import Stack


def test_down_and_purge(engine):
    engine.clear()
    variables = engine.variables()
    stack = Stack(os.environ.get("SENTINEL_HOST_ROOT", str(ROOT)), variables["DOCKER_HOST"], variables["SENTINEL_BIND"])
    for name in ("demo-service", "failover", "monitor", "prometheus"):
        engine.call("POST", f"/images/{engine.image}/tag", repo=f"sentinel/{name}", tag="local")
    settings = {k: v for k, v in variables.items() if k != "DOCKER_HOST"}

    stack.compose("create", "--no-build", **settings)
    other = engine.create("not-ours", ["/usr/bin/demo-service"])
    assert set(stack.ids()) == {"demo-service", "failover", "monitor", "prometheus", "web-1", "web-2"}
    stack.script("down")
    assert stack.ids() == {}
    kept = stack.docker("volume", "ls", "-q").split()
    assert {"sentinel_failover-data", "sentinel_monitor-data", "sentinel_prometheus-data"} <= set(kept)

    stack.compose("create", "--no-build", **settings)
    stack.script("down", "--purge")
    assert stack.ids() == {}
    assert not [v for v in stack.docker("volume", "ls", "-q").split() if v.startswith("sentinel_")]
    assert "sentinel/" not in stack.docker("images", "--format", "{{.Repository}}")
    assert other.inspect()["Id"] == other.id, "what is not ours stays"
    assert engine.request("GET", "/_ping").status == 200, "so does an Engine that deploy/up did not start"
    engine.clear()

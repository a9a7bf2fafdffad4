"""Configurations of pools on the three servers of the bed, and the daemon that runs them."""
import json
import os

import yaml

from .daemon import Daemon
from .wait import eventually

ADDRESSES = {f"s{number}": [f"198.51.100.1{number}", f"2001:db8:2::1{number}"] for number in (1, 2, 3)}
VIPS = ["203.0.113.10", "2001:db8:ff::10"]

# A failure is seen in an interval at most, then the second in a row makes it one.
TIMES = {"interval": "500ms", "fast-interval": "200ms", "timeout": "400ms", "fall": 2, "rise": 2}
# From the failure to the decision: the check that was just over, the interval, a check that runs into its timeout, the
# fast interval, another such check.
BOUND = 0.5 + 0.4 + 0.2 + 0.4
SLACK = 5.0  # of a busy machine

CHECKS = {
    "http": {"url": "http://:8080/health"},
    "https": {"url": "https://:8443/", "tls.name": "www.example.net"},
    "smtp": {"url": "smtp://:25"},
    "dns": {"url": "dns://:53/www.example.net?expect=203.0.113.10"},
    "ping": {"url": "icmp:"},
}
DEFAULT_PORTS = {"http": 8080, "https": 8443, "smtp": 25, "dns": 53}


def check(kind, **more):
    return {**CHECKS[kind], **TIMES, **more}


def pool(name, port=80, protocol="tcp", to=None, servers=("s1", "s2", "s3"), weights=None, backups=(), checks=("http",),
         vips=None, **keys):
    """Keys that are no arguments go to the file as they are, with - for _."""
    listed = {}
    for server in servers:
        entry = {"port": to or DEFAULT_PORTS[checks[0] if isinstance(checks[0], str) else "http"]}
        if weights:
            entry["weight"] = weights[server]
        if server in backups:
            entry["role"] = "backup"
        listed[server] = entry
    listen = [f"[{vip}]:{port}/{protocol}" if ":" in vip else f"{vip}:{port}/{protocol}" for vip in vips or VIPS]
    return name, {"listen": listen, "servers": listed,
                  "checks": {one if isinstance(one, str) else one[0]: check(one) if isinstance(one, str) else one[1]
                             for one in checks},
                  **{key.replace("_", "-"): value for key, value in keys.items()}}


def settings(*pools, host_checks=(), hosts=("s1", "s2", "s3"), **more):
    hosts = {name: {"address": list(ADDRESSES[name])} for name in hosts}
    for host in hosts.values():
        if host_checks:
            host["checks"] = {one: check(one) for one in host_checks}
    document = {"failover": {"hosts": hosts, "pools": dict(pools), **more}}
    return yaml.safe_dump(document, sort_keys=False)


class Failover(Daemon):
    """`sentinel failover` in a namespace."""

    def __init__(self, folder, config, namespace, **options):
        super().__init__("failover", folder, config, namespace=namespace, **options)

    def status(self):
        answer = self.get("/api/v1/status")
        assert answer.status == 200, answer.text
        return answer.json

    def pools(self):
        answer = self.get("/api/v1/pools")
        assert answer.status == 200, answer.text
        return {row["name"]: row for row in answer.json["pools"]}

    def servers(self, name):
        return {row["name"]: row for row in self.pools()[name]["servers"]}

    def server(self, pool_name, name):
        return self.servers(pool_name)[name]

    def in_use(self, name):
        return sorted(row["name"] for row in self.servers(name).values() if row["in_use"])

    def wait_pool(self, name, up, seconds=20.0):
        """Until so many of its servers get connections."""
        eventually(lambda: len(self.in_use(name)) == up,
                   lambda: f"{up} of {name} are in use: {json.dumps(self.pools()[name])}; {self.tail()}", seconds, every=0.02)
        return self

    def wait_server(self, pool_name, name, *states, seconds=20.0):
        eventually(lambda: self.server(pool_name, name)["state"] in states,
                   lambda: f"{pool_name}/{name} is {states}: {self.server(pool_name, name)}; {self.tail()}", seconds, every=0.02)

    def loaded(self):
        """When it took over its configuration; the log tells the same sentence only so often."""
        return self.metrics().one("sentinel_config_last_reload_success_timestamp_seconds")

    def checks(self, server, pool_name=None):
        """The verdicts of a server's checks in order; needs the level debug."""
        return [line["verdict"] for line in self.log("failover.check", server=server)
                if pool_name is None or line["pool"] == pool_name]

    def rewrite(self, config):
        """Replaces the file and asks for it to be loaded."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(config, encoding="utf-8")
        os.replace(fresh, self.config)
        self.reload()

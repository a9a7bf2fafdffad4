"""deploy/mirrored-pair as it is shipped: two servers with web, mail and DNS behind one address."""
from pathlib import Path

import pytest
import yaml
from support.failover_bed import VIP, VIP6
from support.wait import eventually

pytestmark = pytest.mark.lane("failover")

FILE = Path(__file__).resolve().parents[2] / "deploy/mirrored-pair/sentinel.yaml"
NAMES = {"s1": "alpha", "s2": "beta"}  # what the servers of the bed call themselves
BOTH = {"alpha", "beta"}


def shipped(nat, **changes):
    """The file with the authority of the tests; and quick checks, unless told otherwise."""
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    failover = document["failover"]
    failover["check-defaults"] |= {"interval": "500ms", "fast-interval": "200ms", "rise": 2}
    failover |= {key.replace("_", "-"): value for key, value in changes.items()}
    for pool, check in (("web", "https"), ("mail", "smtp")):
        failover["pools"][pool]["checks"][check]["tls.ca"] = str(nat.ca.file)
    return yaml.safe_dump(document, sort_keys=False)


def start(nat, **changes):
    daemon = nat.failover(shipped(nat, **changes))
    for name in ("web", "mail", "dns"):
        daemon.wait_pool(name, up=2, seconds=30)
    return daemon


def names(found):
    return {NAMES.get(one, one) for one in found}


def answers(nat, address=VIP):
    def dns():
        with nat.udp(address) as client:
            return client.ask()
    return {"web": names(nat.ask(address) for _ in range(6)), "mail": names(nat.greeting(address) for _ in range(6)),
            "dns": names(dns() for _ in range(6))}


def test_the_file_is_good_as_it_is(nat):
    said = nat.sentinel("config", "check", FILE)
    assert said.returncode == 0, said.stdout + said.stderr


def test_all_services_are_served_by_both(nat):
    start(nat)
    for address in (VIP, VIP6):
        assert answers(nat, address) == {"web": BOTH, "mail": BOTH, "dns": BOTH}


@pytest.mark.parametrize("eject", ["host", "service"])
def test_mail_fails_on_one(nat, eject):
    daemon = start(nat, eject=eject)
    nat.hosts[0].mail.kill()
    daemon.wait_pool("mail", up=1)
    rest = BOTH if eject == "service" else {"beta"}
    assert answers(nat) == {"web": rest, "mail": {"beta"}, "dns": rest}
    nat.hosts[0].mail.start()
    daemon.wait_pool("mail", up=2)
    eventually(lambda: answers(nat) == {"web": BOTH, "mail": BOTH, "dns": BOTH}, "all as before")


def test_a_host_that_is_gone_leaves_all_pools_whatever_ejects(nat):
    daemon = start(nat, eject="service")
    with nat.hosts[1].net.link_down("eth0"):
        for name in ("web", "mail", "dns"):
            daemon.wait_pool(name, up=1)
        assert answers(nat) == {"web": {"alpha"}, "mail": {"alpha"}, "dns": {"alpha"}}
    for name in ("web", "mail", "dns"):
        daemon.wait_pool(name, up=2)


def test_the_last_of_the_two_stays_whatever_its_checks_say(nat):
    daemon = start(nat)
    nat.hosts[0].flag("sick")
    daemon.wait_pool("web", up=1)
    nat.hosts[1].flag("sick")
    daemon.wait_server("web", "beta", "failed")
    assert daemon.in_use("web") == ["beta"]
    assert answers(nat) == {"web": {"beta"}, "mail": {"beta"}, "dns": {"beta"}}


def test_one_is_taken_out_by_its_name_alone(nat):
    daemon = start(nat)
    done = daemon.cli("drain", "alpha")
    assert done.returncode == 0, done.stderr
    for name in ("web", "mail", "dns"):
        daemon.wait_pool(name, up=1)
    assert answers(nat) == {"web": {"beta"}, "mail": {"beta"}, "dns": {"beta"}}
    assert daemon.cli("ready", "alpha").returncode == 0
    for name in ("web", "mail", "dns"):
        daemon.wait_pool(name, up=2)

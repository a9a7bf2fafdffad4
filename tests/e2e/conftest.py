"""Real Engines: each test runs on both versions, on Engines of our own, several of each side by side.

SENTINEL_E2E_WORKERS   Engines per version, default 2
SENTINEL_E2E_KEEP=1    leave the Engines running at the end: the next run starts at once
"""
import os
import shutil
import tempfile

import pytest

from support import parallel
from support.engine import Engine
from support.failover_bed import FailoverBed
from support.image import build_root
from support.probe_bed import ProbeBed
from support.rig import Rig
from support.traffic import Witness

VERSIONS = ["20.10", "26.1"]
WORKERS = int(os.environ.get("SENTINEL_E2E_WORKERS", "2"))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, so it is begun first")
    config.addinivalue_line("markers", "stack: the Compose stack on the Engine 'default'; runs last")
    config.addinivalue_line("markers", "lane(name): runs beside others, after one another with those of the same name")
    config.addinivalue_line("markers", "version(...): only on these Engine versions")


def pytest_generate_tests(metafunc):
    if "engine_version" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("version")
        metafunc.parametrize("engine_version", marker.args if marker else VERSIONS, scope="session")


def lane_of(item):
    """Tests of one lane run on the same kind of Engine; lanes run beside each other."""
    if item.get_closest_marker("stack"):
        return parallel.LAST
    lane = item.get_closest_marker("lane")
    if lane:
        return lane.args[0]
    params = getattr(item, "callspec", None)
    version = params.params.get("engine_version") if params else None
    return version or "host"


def pytest_runtestloop(session):
    if session.config.option.collectonly or session.testsfailed:
        return None
    lanes = {}
    for item in session.items:
        lanes.setdefault(lane_of(item), []).append(item)
    for items in lanes.values():
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    needs_image = any(lane in VERSIONS for lane in lanes)
    folder = tempfile.mkdtemp(prefix="sentinel-e2e-image-")
    try:
        if needs_image:
            session.config.e2e_image = build_root(folder)
        parallel.run(session, lanes, {version: WORKERS for version in VERSIONS})
    finally:
        shutil.rmtree(folder)
    return True


@pytest.fixture(scope="session")
def engine(engine_version, pytestconfig):
    """An Engine of our own that nobody else uses meanwhile."""
    for number in range(1, 33):
        one = Engine(f"e2e{engine_version.split('.', maxsplit=1)[0]}-{number}", engine_version)
        if one.claim():
            break
    else:
        pytest.fail("all names of test Engines are taken: other test runs are under way, or were left behind")
    one.start()
    one.clear()
    one.import_image(*pytestconfig.e2e_image)
    yield one
    if os.environ.get("SENTINEL_E2E_KEEP"):
        one.clear()
    else:
        one.stop(purge=True)


@pytest.fixture
def rig(engine, engine_version, request, pytestconfig):
    """The Engine with a recorder; makes containers and monitors, and removes them."""
    one = Rig(engine, engine_version, request.node.name, pytestconfig.e2e_image)
    yield one
    one.close()


@pytest.fixture(scope="session")
def whole_probe_bed():
    one = ProbeBed()
    yield one
    one.close()


@pytest.fixture
def bed(whole_probe_bed):
    """Real servers in a namespace, probed from another."""
    yield whole_probe_bed
    whole_probe_bed.dump()


@pytest.fixture(scope="session")
def whole_failover_bed():
    one = FailoverBed()
    yield one
    one.close()


@pytest.fixture
def nat(whole_failover_bed):
    """A client, a firewall and three servers; what a test did to them is undone."""
    yield whole_failover_bed
    whole_failover_bed.restore()


@pytest.fixture
def witness(nat):
    """Counts new connections by the server the firewall sends them to."""
    one = Witness(nat.firewall, nat.hosts)
    yield one
    one.close()

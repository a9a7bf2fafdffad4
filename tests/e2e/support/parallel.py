"""Runs tests in several processes at once. Most of their time is waiting for health checks, so this is worth
more than cores; and an Engine can be killed by one test while others go on with theirs.

Each worker is a fork of the collected session, takes the next test of its lane, and sends its reports to the
parent, which shows and counts them as if it had run them.
"""
import json
import multiprocessing
import os
import selectors
import traceback

import pytest
from _pytest.reports import TestReport

LAST = "last"


def send(pipe, message):
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data):]


class Sender:
    """In a worker: what the terminal and the report file would have got goes to the parent."""

    def __init__(self, config, pipe):
        self._config = config
        self._pipe = pipe

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report):
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        send(self._pipe, {"report": data})


def take(counter, items):
    with counter.get_lock():
        index = counter.value
        counter.value += 1
    return items[index] if index < len(items) else None


def work(session, items, counter, pipe):
    config = session.config
    for plugin in list(config.pluginmanager.get_plugins()):
        if type(plugin).__name__ == "LogXML":
            config.pluginmanager.unregister(plugin)
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    terminal._tw._file = open(os.devnull, "w", encoding="utf-8")  # pylint: disable=protected-access
    capture = config.pluginmanager.get_plugin("capturemanager")
    capture.stop_global_capturing()  # the parent's files would be shared with all others
    capture.start_global_capturing()
    sender = Sender(config, pipe)
    config.pluginmanager.register(sender, "e2e-sender")
    setup = session._setupstate  # pylint: disable=protected-access
    # Taken one by one: a test taken ahead would wait for a slow one while another worker idles. So what
    # follows is not known when a test ends; naming any other keeps what lives longer than a test.
    while (item := take(counter, items)) is not None:
        setup.teardown_exact(item)
        other = next((one for one in items if one is not item), None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=other)
    setup.teardown_exact(None)


def fork(session, items, counter):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid != 0:
        os.close(writing)
        return pid, reading
    status = 1
    try:
        os.close(reading)
        work(session, items, counter, writing)
        status = 0
    except BaseException:  # pylint: disable=broad-exception-caught
        send(writing, {"error": traceback.format_exc()})
    finally:
        os._exit(status)


class Parent:
    def __init__(self, session):
        self.session = session
        self.hook = session.config.hook
        self.finished = set()
        self.errors = []

    def take(self, line):
        message = json.loads(line)
        if "error" in message:
            self.errors.append(message["error"])
            return
        report = self.hook.pytest_report_from_serializable(config=self.session.config, data=message["report"])
        if report.when == "setup":
            self.hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
        self.hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            self.finished.add(report.nodeid)
            self.hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)

    def run(self, lanes, sizes):
        selector = selectors.DefaultSelector()
        workers = {}
        # Kept until the end: the memory of one that nobody refers to here would be given to the next.
        counters = {lane: multiprocessing.Value("i", 0) for lane in lanes}
        for lane, items in lanes.items():
            for _ in range(min(sizes.get(lane, 1), len(items))):
                pid, pipe = fork(self.session, items, counters[lane])
                selector.register(pipe, selectors.EVENT_READ)
                workers[pipe] = [pid, b""]
        while workers:
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                lines = (workers[key.fd][1] + data).split(b"\n")
                workers[key.fd][1] = lines.pop()
                for line in lines:
                    self.take(line)
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _, status = os.waitpid(workers.pop(key.fd)[0], 0)
                    if status != 0:
                        self.errors.append(f"a worker ended with {os.waitstatus_to_exitcode(status)}")

    def account(self, items):
        """A test whose worker ended before it is a failure, not a gap."""
        reason = "\n".join(self.errors) or "its worker ended before it did"
        for item in items:
            if item.nodeid not in self.finished:
                report = TestReport(item.nodeid, item.location, {}, "failed", reason, "call")
                self.hook.pytest_runtest_logreport(report=report)
                self.hook.pytest_runtest_logreport(report=TestReport(
                    item.nodeid, item.location, {}, "passed", None, "teardown"))


def run(session, lanes, sizes):
    """`lanes`: tests by name of their lane; `sizes`: workers per lane, 1 where not named. LAST runs after all."""
    parent = Parent(session)
    last = lanes.pop(LAST, [])
    if lanes:
        parent.run(lanes, sizes)
    if last:
        parent.run({LAST: last}, sizes)
    parent.account(session.items)
    if parent.errors:
        pytest.exit("a worker failed:\n" + "\n".join(parent.errors), returncode=1)

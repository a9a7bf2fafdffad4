"""An independent witness: reads the Engine's events with the Engine's own times."""
import http.client
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass

from .http import UnixConnection, exchange
from .wait import Growing

ACTIONS = ["create", "start", "restart", "die", "stop", "kill", "pause", "unpause", "destroy", "rename", "oom",
           "health_status"]


@dataclass(frozen=True)
class Event:
    time: int  # nanoseconds, the Engine's clock
    action: str
    id: str
    name: str

    @property
    def seconds(self):
        return self.time / 1e9


def stamp(nanoseconds):
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"


class Recorder:
    """Follows an Engine through its restarts; what happened between is replayed by the Engine when it can."""

    def __init__(self, engine):
        self._engine = engine
        self._events = Growing()
        self._seen = set()
        self._began = time.time_ns()
        self._stopped = threading.Event()
        self._open = threading.Event()
        self._connection = None
        self._last = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        assert self._open.wait(20), "the Engine's event stream did not open"

    def stop(self):
        self._stopped.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(2)
            except OSError:
                pass
        self._thread.join(10)

    def _run(self):
        while not self._stopped.is_set():
            try:
                self._read()
            except (OSError, http.client.HTTPException, ValueError):
                self._stopped.wait(0.1)

    def _read(self):
        query = {"filters": json.dumps({"type": ["container"], "event": ACTIONS})}
        if self._last is not None:
            query["since"] = stamp(self._last)
        self._connection = UnixConnection(self._engine.socket, None)
        self._connection.request("GET", "/v1.41/events?" + urllib.parse.urlencode(query))
        response = self._connection.getresponse()
        self._open.set()
        with response:
            for line in response:
                self._take(json.loads(line))

    def _catch_up(self):
        """What has happened by now is known when this returns, however busy the machine keeps the reader."""
        now = time.time_ns()
        query = {"filters": json.dumps({"type": ["container"], "event": ACTIONS}), "since": stamp(now - 60 * 10**9),
                 "until": stamp(now)}
        try:
            answer = exchange(UnixConnection(self._engine.socket, 10), "GET",
                              "/v1.41/events?" + urllib.parse.urlencode(query))
        except (OSError, http.client.HTTPException):
            return  # the Engine is down: nothing happens there
        for line in answer.body.splitlines():
            self._take(json.loads(line))

    def _take(self, raw):
        event = Event(raw["timeNano"], raw["Action"], raw["Actor"]["ID"],
                      raw["Actor"]["Attributes"].get("name", ""))
        with self._lock:
            if event in self._seen or event.time < self._began:
                return
            self._seen.add(event)
            self._last = max(self._last or 0, event.time)
            self._events.append(event)

    def events(self, container=None, action=None):
        self._catch_up()
        wanted = None if container is None else container.id
        return [e for e in sorted(self._events.snapshot(), key=lambda e: e.time)
                if (wanted is None or e.id == wanted) and (action is None or e.action == action)]

    def count(self, container, action):
        return len(self.events(container, action))

    def actions(self, container):
        return [e.action for e in self.events(container)]

    def wait_for(self, container, action, seconds=20.0, count=1):
        """The count-th such event."""
        def found(items):
            matching = [e for e in items if e.id == container.id and e.action == action]
            return matching[count - 1] if len(matching) >= count else None

        return self._events.wait(found, f"{action} of {container.name} (number {count})", seconds)

    def wait_until(self, condition, what, seconds=20.0):
        return self._events.wait(condition, what, seconds)

    def stays(self, condition, what, seconds):
        self._events.stays(condition, what, seconds)

    def spans(self, containers):
        """For each restart of these, from its first kill to its end, in the Engine's seconds."""
        spans = []
        for container in containers:
            began = None
            for event in self.events(container):
                if event.action == "kill" and began is None:
                    began = event.seconds
                elif event.action == "restart" and began is not None:
                    spans.append((began, event.seconds))
                    began = None
        return spans


def most_at_once(spans):
    """The greatest number of spans that overlap; one that ends as another begins does not."""
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = current = 0
    for _, change in edges:
        current += change
        most = max(most, current)
    return most

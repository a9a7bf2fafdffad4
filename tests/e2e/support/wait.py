"""Waiting for conditions, always with a deadline."""
import threading
import time


def eventually(condition, what, seconds=20.0, every=0.05):
    """The first truthy value of condition(); fails when there is none within `seconds`."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what() if callable(what) else what}"
        pause.wait(every)


class Growing:
    """A list that one thread appends to and others wait on."""

    def __init__(self):
        self._items = []
        self._changed = threading.Condition()

    def append(self, item):
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    def snapshot(self):
        with self._changed:
            return list(self._items)

    def wait(self, condition, what, seconds=20.0):
        """Waits until condition(items) is truthy and returns that."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                value = condition(self._items)
                if value:
                    return value
                left = deadline - time.monotonic()
                assert left > 0, f"not within {seconds:g} s: {what}"
                self._changed.wait(left)

    def stays(self, condition, what, seconds):
        """condition(items) holds now and for the next `seconds`; looked at whenever an item arrives."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                assert condition(self._items), what
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

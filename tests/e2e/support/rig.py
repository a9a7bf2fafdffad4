"""What one test works with: an Engine, a witness of its events, containers and monitors of its own."""
import hashlib

from .monitor import Monitor
from .recorder import Recorder

DEMO = "/usr/bin/demo-service"
# Quick, but not so quick that a busy machine makes a healthy container late.
CHECK = {"interval": 1, "timeout": 5, "retries": 1}
# A second attempt soon, a verification that gives up within a test's patience.
QUICK = {"sentinel.heal.backoff": "100ms..200ms", "sentinel.heal.verify-timeout": "30s"}


class Rig:
    def __init__(self, engine, version, test, image):
        self.engine = engine
        self.version = version
        self.prefix = "t" + hashlib.sha256(test.encode()).hexdigest()[:6]
        self.image = image
        self.containers = []
        self.monitors = []
        engine.clear()
        self.recorder = Recorder(engine)

    def name(self, name):
        return f"{self.prefix}-{name}"

    def create(self, name, *arguments, labels=None, enable=True, health=CHECK, **options):
        """A container of demo-service, watched unless `enable` is false."""
        all_labels = {**({"sentinel.enable": "true", **QUICK} if enable else {}), **(labels or {})}
        all_labels = {key: value for key, value in all_labels.items() if value is not None}
        command = options.pop("command", [DEMO, *arguments])
        container = self.engine.create(self.name(name), command, all_labels, health, **options)
        self.containers.append(container)
        return container

    def run(self, name, *arguments, **options):
        return self.create(name, *arguments, **options).start()

    def healthy(self, name, *arguments, **options):
        """Runs one and waits until the Engine calls it healthy."""
        return self.run(name, *arguments, **options).wait_health("healthy")

    def prepare(self, config=None, **options):
        """A monitor that is not started yet."""
        one = Monitor(self.engine, config, **options)
        self.monitors.append(one)
        return one

    def monitor(self, config=None, wait=True, **options):
        one = self.prepare(config, **options)
        one.start()
        return one.wait_ready() if wait else one

    def close(self):
        for monitor in self.monitors:
            monitor.dispose()
            monitor.dump()
        self.recorder.stop()
        for event in self.recorder.events():
            print("engine:", f"{event.seconds:.3f}", event.action, event.name)
        self.engine.tidy()

"""An Engine's socket as a TCP port in its network namespace, as a socket proxy would offer it."""
import socket
import threading

from .http import in_namespace


class Relay:
    def __init__(self, engine):
        self._path = engine.socket
        self._listener = in_namespace(engine.pid, lambda: socket.create_server(("127.0.0.1", 0)))
        self.port = self._listener.getsockname()[1]
        self._sockets = []
        self._lock = threading.Lock()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._close(self._listener)
        self.cut()

    def cut(self):
        """Every connection breaks; new ones are welcome."""
        with self._lock:
            broken, self._sockets = self._sockets, []
        for one in broken:
            self._close(one)

    @staticmethod
    def _close(one):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                engine.connect(self._path)
            except OSError:
                client.close()
                engine.close()
                continue
            with self._lock:
                self._sockets += [client, engine]
            for source, sink in ((client, engine), (engine, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            Relay._close(sink)

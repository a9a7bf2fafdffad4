"""Connections that are passed on, until the test breaks them."""
import socket
import threading

from .http import in_namespace


class Relay:
    """From a port of `namespace` (the process whose network it is; None: our own) to what `connect` opens."""

    def __init__(self, namespace, connect):
        self._connect = connect
        self.refusing = False  # new ones, at once
        self._listener = in_namespace(namespace or "self", lambda: socket.create_server(("127.0.0.1", 0)))
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
            try:
                if self.refusing:
                    raise ConnectionRefusedError
                server = self._connect()
            except OSError:
                client.close()
                continue
            with self._lock:
                self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            Relay._close(sink)


def engine_relay(engine):
    """An Engine's socket as a TCP port in its network namespace, as a socket proxy would offer it."""
    def connect():
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            one.connect(engine.socket)
        except OSError:
            one.close()
            raise
        return one

    return Relay(engine.pid, connect)

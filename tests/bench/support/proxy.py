"""A Unix socket before the Engine's that counts what is asked: method and kind of path, by client side bytes alone."""
import re
import socket
import threading
from collections import Counter

REQUEST = re.compile(rb"(GET|POST|PUT|DELETE|HEAD) (\S+) HTTP/1\.[01]\r\n")
ID = re.compile(r"/[0-9a-f]{12,64}(?=/|$)")
CHUNK = 64 * 1024


def kind(method, target):
    """`GET /containers/ID/json`: without version, query and id."""
    path = re.sub(r"^/v\d+\.\d+", "", target.split("?")[0])
    return f"{method} {ID.sub('/ID', path)}"


class CountingProxy:
    def __init__(self, path, engine_socket):
        self.path, self.engine_socket = str(path), engine_socket
        self.counts = Counter()
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self.engine_socket)
            self.count("connection")
            threading.Thread(target=self.carry, args=(client, engine, True), daemon=True).start()
            threading.Thread(target=self.carry, args=(engine, client, False), daemon=True).start()

    def carry(self, source, sink, requests):
        kept = b""  # a request line may come in two pieces; none is as long as this
        try:
            while data := source.recv(CHUNK):
                if requests:
                    kept += data
                    end = 0
                    for match in REQUEST.finditer(kept):
                        self.count(kind(match.group(1).decode(), match.group(2).decode()))
                        end = match.end()
                    kept = kept[end:][-4096:]
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def seen(self):
        with self.lock:
            return Counter(self.counts)

    def close(self):
        self.listener.close()

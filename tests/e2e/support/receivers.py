"""Those who are told: an HTTP receiver that behaves as a test wants, and a mail server whose mail is read back."""
import email
import email.policy
import http.server
import json
import socket
import threading
from pathlib import Path

from .servers import opensmtpd
from .wait import Growing, eventually


class _Server(http.server.ThreadingHTTPServer):
    """In a namespace, on a free port of its loopback."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, namespace, handler):
        self.address_family = socket.AF_INET
        super().__init__(("127.0.0.1", 0), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.server_bind()
        self.server_activate()
        self.port = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def handle_error(self, request, client_address):
        """A client that goes away is no news."""

    def close(self):
        self.shutdown()
        self._thread.join(5)
        self.server_close()


class Patients:
    """Services by path, each well or ill: /NAME answers 200 or 503."""

    def __init__(self, namespace):
        patients = self
        self.ill = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                name = self.path.strip("/")
                body = b"ill <@everyone> *bold* \x1b[31m\n" if name in patients.ill else b"well\n"
                self.send_response(503 if name in patients.ill else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = _Server(namespace, Handler)
        self.port = self._server.port

    def target(self, name, **options):
        keys = {"probe.http": f"http://127.0.0.1:{self.port}/{name}", "probe.http.interval": "1s",
                "probe.http.fast-interval": "200ms", "probe.http.timeout": "1s", "probe.http.fall": 1, "probe.http.rise": 1}
        return {**keys, **options}

    def close(self):
        self._server.close()


class Hook:
    """A webhook. `script`: what it does with each request in turn, then again from the start."""

    def __init__(self, namespace, script=("take",)):
        hook = self
        self.script = list(script)
        self.seen = Growing()  # (headers, body) of each request, whatever became of it
        self.raw = Growing()  # (headers, bytes) of each
        self.taken = Growing()  # of those that were answered with 200
        self._lock = threading.Lock()
        self._count = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                hook.raw.append((dict(self.headers), body))
                message = (dict(self.headers), json.loads(body))
                hook.seen.append(message)
                behaviour = hook.next_behaviour()
                if behaviour == "close":
                    self.close_connection = True
                    return
                if behaviour == "stall":
                    # Until the client has had enough.
                    self.connection.settimeout(30)
                    self.connection.recv(1)
                    self.close_connection = True
                    return
                status, headers = behaviour if isinstance(behaviour, tuple) else (200, {})
                if status == 200:
                    hook.taken.append(message)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = _Server(namespace, Handler)
        self.url = f"http://127.0.0.1:{self._server.port}/hook"

    def next_behaviour(self):
        with self._lock:
            one = self.script[self._count % len(self.script)]
            self._count += 1
            return one

    def messages(self):
        """What Sentinel said in each message that was taken, in order."""
        return [body["sentinel"] for _, body in self.taken.snapshot()]

    def wait(self, condition, what, seconds=30.0):
        """Until condition(messages) is truthy; returns that."""
        return self.taken.wait(lambda taken: condition([body["sentinel"] for _, body in taken]), what, seconds)

    def close(self):
        self._server.close()


class MailServer:
    """OpenSMTPD with STARTTLS and AUTH on 587 and TLS on 465, whose mail for example.net is kept in files."""

    def __init__(self, namespace, folder, certificate, address="127.0.0.1", user="sentinel", password="correct horse"):
        folder = Path(folder)
        self.box = folder / "mail"
        self.box.mkdir()
        self.box.chmod(0o777)
        secret = namespace.run("smtpctl", "encrypt", password).strip()
        accounts = folder / "accounts"
        accounts.write_text(f"{user} {secret}\n", encoding="utf-8")
        deliver = folder / "deliver"
        deliver.write_text(f"#!/bin/sh\numask 0\nf=$(mktemp {self.box}/.XXXXXX) && cat >$f && mv $f {self.box}/$(date +%s%N)\n",
                           encoding="utf-8")
        deliver.chmod(0o755)
        config = f"""
pki own cert "{certificate.chain}"
pki own key "{certificate.key}"
table accounts file:{accounts}
listen on {address} port 587 tls-require pki own hostname mail.example.net auth <accounts>
listen on {address} port 465 smtps pki own hostname mail.example.net auth <accounts>
action "keep" mda "{deliver}" virtual {{ "@" = "daemon" }}
match auth from any for domain "example.net" action "keep"
"""
        self.server = opensmtpd(namespace, "mail", config, [(address, 587), (address, 465)])

    def messages(self):
        """In order of arrival, parsed."""
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                for path in sorted(self.box.iterdir()) if not path.name.startswith(".")]

    def wait(self, count, seconds=40.0):
        eventually(lambda: len(self.messages()) >= count,
                   lambda: f"{count} mails; {[m['Subject'] for m in self.messages()]}; {self.server.text()[-1500:]}", seconds)
        return self.messages()

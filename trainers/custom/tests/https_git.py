"""A git server that speaks HTTPS: git's own http-backend behind Python's server, with an authority of our own."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Authority:
    """A self-made authority and the certificate it gave to localhost."""

    ca: Path
    certificate: Path
    key: Path


def make_authority(folder: Path, name: str) -> Authority:
    """Made with the openssl program; valid for a day."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    ca, key, certificate = folder / f"{name}-ca.pem", folder / f"{name}.key", folder / f"{name}.pem"
    of_ca = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name} authority")
    openssl("req", *of_ca, "-keyout", f"{name}-ca.key", "-out", ca.name)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", key.name, "-out", "request")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    by_ca = ("-CA", ca.name, "-CAkey", f"{name}-ca.key", "-CAcreateserial", "-days", "1", "-extfile", "names")
    openssl("x509", "-req", "-in", "request", *by_ca, "-out", certificate.name)
    return Authority(ca, certificate, key)


class GitServer:
    """Serves the bare repositories below a folder. `answer` may take a request over; it says whether it did."""

    def __init__(
        self,
        folder: Path,
        authority: Authority | None,
        answer: Callable[[BaseHTTPRequestHandler], bool] = lambda request: False,
    ) -> None:
        handler = type("Handler", (_GitHandler,), {"folder": folder, "answer": staticmethod(answer)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority.certificate, authority.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if authority is None else "https"
        self.url = f"{scheme}://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops it."""
        self._server.shutdown()
        self._server.server_close()


class _GitHandler(BaseHTTPRequestHandler):
    folder: Path
    answer: Callable[[BaseHTTPRequestHandler], bool]

    def do_GET(self) -> None:
        if not self.answer(self):
            self._run_backend(b"")

    def do_POST(self) -> None:
        if not self.answer(self):
            self._run_backend(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the base class names it so
        """Nothing."""

    def _run_backend(self, body: bytes) -> None:
        """One request by the rules of CGI."""
        address = urlsplit(self.path)
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "http-backend"],
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REQUEST_METHOD": self.command,
                "PATH_INFO": address.path,
                "QUERY_STRING": address.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            },
            input=body,
            capture_output=True,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def redirect_to(address: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Sends every request to the same path at another address, with a secret of somebody's in it."""

    def answer(request: BaseHTTPRequestHandler) -> bool:
        scheme, _, place = address.partition("://")
        request.send_response(301)
        request.send_header("Location", f"{scheme}://someone:s3cr3t@{place}{request.path}")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return True

    return answer


def say_nothing(request: BaseHTTPRequestHandler) -> bool:
    """Takes the request and never answers."""
    time.sleep(30)
    return True

"""A web site on this machine, for tests of downloads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """What a path gives.

    Attributes:
        body: as announced.
        status: of HTTP.
        headers: more of them.
        sent: how much of the body comes before the line breaks; None: all.
        pause_s: before the second half of the body.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    pause_s: float = 0


@dataclass
class Site:
    """Paths and what they give, one answer after the other; the last one stays.

    Attributes:
        address: of the server.
        answers: by path.
        asked: paths that were asked for, in order.
    """

    address: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, *answers: Answer) -> str:
        """Gives the address."""
        self.answers[path] = list(answers)
        return self.address + path


@contextmanager
def served() -> Iterator[Site]:
    """A site, while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            answers = site.answers.get(self.path, [Answer(status=404)])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            body = answer.body[: answer.sent]
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            threading.Event().wait(answer.pause_s)  # sleep is taken out for pooch
            with suppress(OSError):  # nobody listens any more
                self.wfile.write(body[len(body) // 2 :])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site = Site(f"http://127.0.0.1:{server.server_port}")
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

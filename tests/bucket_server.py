"""An S3 server on loopback that fails when told to: moto's server, behind a function that decides
what each request meets with.

    with BucketServer() as server:
        server.trouble = Every(3, "500", "SlowDown", "wait")
        Store.create(server.uri("rows"))
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import pyarrow.fs
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import get_input_stream

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}

"""Credentials for the server, and no others: neither an instance role nor the user's files."""

ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>on'
    " purpose</Message><RequestId>0</RequestId></Error>"
)

STATUS_AND_CODE = {
    "500": ("500 Internal Server Error", "InternalError"),
    "SlowDown": ("503 Slow Down", "SlowDown"),
}


class Every:
    """Every k-th request meets with trouble. The kinds take turns: 500, SlowDown (503) or wait."""

    def __init__(self, k: int, *kinds: str, wait_s: float = 1.5):
        self.k = k
        self.kinds = itertools.cycle(kinds)
        self.wait_s = wait_s

        self.requests = 0
        self.met = Counter[str]()
        """How many requests met with each kind of trouble."""
        self.lock = threading.Lock()

    def __call__(self) -> str | None:
        with self.lock:
            self.requests += 1
            if self.requests % self.k:
                return None
            kind = next(self.kinds)
            self.met[kind] += 1
        if kind == "wait":
            time.sleep(self.wait_s)
            return None
        return kind


class BucketServer:
    """A server with one bucket, named `bucket`."""

    def __init__(self):
        self.trouble: Callable[[], str | None] = lambda: None
        """Called for each request; returns what the request meets with: None, "500" or "SlowDown".
        The function may sleep."""

        self.app = DomainDispatcherApplication(create_backend_app)
        self.server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.files: pyarrow.fs.S3FileSystem

    @property
    def options(self) -> str:
        return f"endpoint_override=127.0.0.1:{self.server.server_port}&scheme=http&region=us-east-1"

    def uri(self, prefix: str) -> str:
        return f"s3://bucket/{prefix}?{self.options}"

    def names(self, prefix: str) -> list[str]:
        """Return the names of the objects below a prefix, relative to it; "" means the whole
        bucket."""
        below = f"bucket/{prefix}".rstrip("/")
        selector = pyarrow.fs.FileSelector(below, recursive=True, allow_not_found=True)
        objects = [info for info in self.files.get_file_info(selector) if info.is_file]
        return sorted(info.path.removeprefix(f"{below}/") for info in objects)

    def put(self, name: str, content: bytes) -> None:
        with self.files.open_output_stream(f"bucket/{name}") as stream:
            stream.write(content)

    def get(self, name: str) -> bytes:
        return self.files.open_input_file(f"bucket/{name}").read()

    def __enter__(self) -> Self:
        self.thread.start()
        self.files = pyarrow.fs.S3FileSystem(
            access_key="testing",
            secret_key="testing",
            region="us-east-1",
            scheme="http",
            endpoint_override=f"127.0.0.1:{self.server.server_port}",
            allow_bucket_creation=True,
            allow_bucket_deletion=True,
        )
        self.files.create_dir("bucket")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        e: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.trouble = lambda: None
        self.files.delete_dir("bucket")  # moto keeps its buckets in this process
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        kind = self.trouble()
        if kind is None:
            return self.app(environ, start)

        # An unread body would be taken for the next request.
        get_input_stream(environ).read()

        status, code = STATUS_AND_CODE[kind]
        body = ERROR.format(code=code).encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing, to keep requests out of a test's output."""

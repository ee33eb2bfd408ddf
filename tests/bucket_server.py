"""An S3 server on loopback that can be told to fail: moto's, behind a function that is asked about
every request.

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

ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>on'
    " purpose</Message><RequestId>0</RequestId></Error>"
)


class Every:
    """Every k-th request meets with trouble, of the kinds in turn: 500, SlowDown (503) or wait."""

    def __init__(self, k: int, *kinds: str, wait_s: float = 1.5):
        self.k, self.kinds, self.wait_s = k, itertools.cycle(kinds), wait_s
        self.asked, self.met, self.lock = 0, Counter[str](), threading.Lock()

    def __call__(self) -> str | None:
        with self.lock:
            self.asked += 1
            if self.asked % self.k:
                return None
            kind = next(self.kinds)
            self.met[kind] += 1
        if kind == "wait":
            time.sleep(self.wait_s)
            return None
        return kind


class BucketServer:
    """One bucket, named `bucket`. `trouble` gives what a request meets with: None, "500" or
    "SlowDown"; it may sleep."""

    def __init__(self):
        self.trouble: Callable[[], str | None] = lambda: None
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
        """Every object below the prefix, without it; all of the bucket's for ""."""
        below = f"bucket/{prefix}".rstrip("/")
        found = self.files.get_file_info(
            pyarrow.fs.FileSelector(below, recursive=True, allow_not_found=True)
        )
        return sorted(f.path.removeprefix(f"{below}/") for f in found if f.is_file)

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
        status, code = {
            "500": ("500 Internal Server Error", "InternalError"),
            "SlowDown": ("503 Slow Down", "SlowDown"),
        }[kind]
        get_input_stream(environ).read()  # what stays unread would be taken for the next request
        body = ERROR.format(code=code).encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: requests are not what a test's output is for."""

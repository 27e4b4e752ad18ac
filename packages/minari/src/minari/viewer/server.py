"""The server of the page, on this machine only."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from minari.replay.replaying import Trust
from minari.viewer.data import PageData
from minari.viewer.protocol import Protocol
from minari_core import MinariDataset
from minari_core.datasets.dataset import check_dataset
from minari_core.errors import ViewerError

HOST = "127.0.0.1"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    protocol: Protocol


class _Handler(BaseHTTPRequestHandler):
    """Hands requests to the protocol, and answers to the socket."""

    protocol_version = "HTTP/1.1"
    server: _Server
    # A browser that opens a connection and says nothing is not waited for.
    timeout = 60
    # Headers and body leave together; apart, the second waits 40 ms for the first to be received.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _respond(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, own, body = self.server.protocol.respond(self.command, self.path, headers)
        self.send_response_only(status)
        for name, value in own.items():
            self.send_header(name, value)
        if status >= 400:
            # A body that was not read must not be taken for the next request.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = _respond  # noqa: N815  # as http.server calls them

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the terminal is the user's."""


@contextmanager
def serve(
    dataset: MinariDataset,
    port: int = 0,
    trust: Trust | None = None,
    words: Callable[[object], str] = str,
) -> Iterator[str]:
    """Serve the page of a dataset while the block runs.

    Args:
        dataset: A dataset or view.
        port: The port; any that is free if 0.
        trust: What of the dataset's environment spec is run by replays; what is registered if None.
        words: Says what an error advises in the words of whoever sees the page.

    Yields:
        The address to open, with the token that it needs.

    Raises:
        ViewerError: The port is taken, or may not be used.
    """
    check_dataset(dataset)
    try:
        server = _Server((HOST, port), _Handler)
    except (OSError, OverflowError) as error:
        raise ViewerError(
            f"port {port} cannot be used ({error}); give another one, or 0 for any that is free"
        ) from error
    data = PageData(dataset, trust, words)
    server.protocol = Protocol(data, server.server_port)
    thread = threading.Thread(target=server.serve_forever, name="minari-view", daemon=True)
    thread.start()
    if not data.episodes.is_remote:
        data.episodes.start()
    try:
        yield f"http://{HOST}:{server.server_port}/?token={server.protocol.token}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        server.protocol.close()


def view_dataset(
    dataset: MinariDataset,
    *,
    port: int = 0,
    open_browser: bool = True,
    trust_entry_point: bool = False,
    trust_paths: bool = False,
    skip_wrappers: Collection[str] = (),
) -> DatasetView:
    """Show a dataset on a page in the browser.

    The page lists the episodes and plays them. Those without images are replayed in their
    environment when somebody asks for it, if that environment is registered here. The page is
    served on this machine only, until the returned object is closed or the process ends.

    Args:
        dataset: A dataset or view.
        port: The port to serve at; any that is free if 0.
        open_browser: Open the page in the browser. If False, open `DatasetView.address` by hand;
            from another machine through a tunnel, as ``ssh -L 8000:127.0.0.1:8000 HOST`` makes it
            for port 8000.
        trust_entry_point: As for `MinariDataset.recover_environment`, in replays.
        trust_paths: The same.
        skip_wrappers: The same.

    Returns:
        What has the address, and is closed to stop serving.

    Raises:
        IncompatibleDatasetsError: It is no dataset.
        ViewerError: The port cannot be used.

    Example:
        >>> with minari.view_dataset(dataset, open_browser=False) as view:  # doctest: +SKIP
        ...     print(view.address)
    """
    view = DatasetView(dataset, port, Trust(trust_entry_point, trust_paths, skip_wrappers))
    if open_browser:
        webbrowser.open(view.address)
    return view


class DatasetView:
    """The page of a dataset, which is served until this is closed."""

    def __init__(self, dataset: MinariDataset, port: int = 0, trust: Trust | None = None) -> None:
        """Begin to serve; see `view_dataset`."""
        self._serving = ExitStack()
        self.address = self._serving.enter_context(serve(dataset, port, trust))
        """The address to open, with the token that it needs."""

    def __repr__(self) -> str:
        """Show the address."""
        return f"DatasetView({self.address!r})"

    def __enter__(self) -> DatasetView:
        """Return the view itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.close()

    def close(self) -> None:
        """Stop serving; a second time nothing happens."""
        self._serving.close()

"""Ray as an executor; needs the extra ``minari-collect[ray]``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

import ray

_Result = TypeVar("_Result")


class RayExecutor(Executor):
    """Runs calls as tasks of the Ray cluster that this process is connected to.

    Ray starts a task again where its worker has died, as often as ``max_retries`` says;
    `minari_collect.collect_dataset` counts what is left of that.

    Example:
        >>> ray.init(address="auto")  # doctest: +SKIP
        >>> collect_dataset(..., executor=RayExecutor(workers=64))  # doctest: +SKIP
    """

    def __init__(self, workers: int, **options: Any) -> None:
        """Prepare to submit tasks.

        Args:
            workers: How many tasks run at a time in the cluster.
            **options: Options of each task, such as ``num_cpus=1`` or ``max_retries=0``.
        """
        self._max_workers = workers
        self._options = {"max_retries": 0, **options}
        self._references: dict[Any, Future[Any]] = {}
        self._lock = threading.Lock()

    def submit(
        self, function: Callable[..., _Result], /, *args: Any, **kwargs: Any
    ) -> Future[_Result]:
        """Start a task."""
        remote = ray.remote(**self._options)(function)
        reference = remote.remote(*args, **kwargs)
        future: Future[_Result] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._references[reference] = future
        reference.future().add_done_callback(lambda done: self._settle(reference, done))
        return future

    def _settle(self, reference: Any, done: Future[Any]) -> None:
        with self._lock:
            future = self._references.pop(reference, None)
        if future is None or future.done():
            return
        error = done.exception()
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(done.result())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel what is going on; the cluster stays as it is."""
        with self._lock:
            waiting = list(self._references.items())
        for reference, future in waiting:
            if cancel_futures:
                ray.cancel(reference, force=True)
            elif wait:
                future.exception()

"""Ray as an executor; needs the extra ``minari-collect[ray]``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from minari_core.errors import MissingDependencyError

try:
    import ray
except ImportError as error:
    raise MissingDependencyError(
        "minari_collect.ray needs Ray: pip install 'minari-collect[ray]'"
    ) from error

_Result = TypeVar("_Result")


class RayExecutor(Executor):
    """Run calls as tasks of the Ray cluster that this process is connected to.

    A task whose worker dies fails, unless ``max_retries`` has Ray start it again by itself;
    `minari_collect.collect_dataset` begins what failed again in any case.

    Example:
        >>> ray.init(address="auto")  # doctest: +SKIP
        >>> collect_dataset(..., executor=RayExecutor())  # doctest: +SKIP
    """

    def __init__(self, workers: int | None = None, **options: Any) -> None:
        """Prepare to submit tasks.

        Args:
            workers: How many tasks run at a time in the cluster; as many as it has processors
                now if None.
            **options: Options of each task, such as ``num_cpus=1`` or ``max_retries=0``.
        """
        if workers is None:
            workers = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        self._max_workers = workers
        self._call = ray.remote(**{"max_retries": 0, **options})(_call)
        self._waiting: dict[Any, Future[Any]] = {}
        self._lock = threading.Lock()

    def submit(
        self, function: Callable[..., _Result], /, *args: Any, **kwargs: Any
    ) -> Future[_Result]:
        """Start a task."""
        reference = self._call.remote(function, args, kwargs)
        future: Future[_Result] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._waiting[reference] = future
        reference.future().add_done_callback(lambda done: self._settle(reference, done))
        return future

    def _settle(self, reference: Any, done: Future[Any]) -> None:
        with self._lock:
            future = self._waiting.pop(reference)
        error = done.exception()
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(done.result())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the tasks, or cancel them; the cluster stays as it is."""
        with self._lock:
            waiting = list(self._waiting.items())
        for reference, future in waiting:
            if cancel_futures:
                ray.cancel(reference, force=True)
            if wait:
                future.exception()


# Ray makes tasks of plain functions only, and an executor takes whatever can be called.
def _call(
    function: Callable[..., _Result], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _Result:
    return function(*args, **kwargs)

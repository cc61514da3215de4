"""One run of a job in a process of its own, as a run worker does it, with the CPU seconds and memory of each asset.

`python slice_run.py JOB PARTITION RESULT.json` with MESH_STATE, MESH_DROPS and DAGSTER_HOME set. Asset bodies, checks
and what the IO manager does for an asset are the asset's; what remains beyond the imports is Dagster's. Memory is the
largest resident one while an asset works: in all, and without mapped files.
"""

from __future__ import annotations

import functools
import inspect
import json
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

SECONDS: dict[str, float] = defaultdict(float)
PEAKS: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
# The asset that works now is the last one.
WORKING = ["Dagster"]
SAMPLE_SECONDS = 0.02


def watch_memory() -> None:
    """Keeps the largest resident memory, in all and anonymous, in bytes, by the asset that works; never returns."""
    while True:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        found = tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))
        before = PEAKS[WORKING[-1]]
        PEAKS[WORKING[-1]] = (max(before[0], found[0]), max(before[1], found[1]))
        time.sleep(SAMPLE_SECONDS)


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@contextmanager
def _at_work(name: str) -> Iterator[None]:
    start = cpu_seconds()
    WORKING.append(name)
    try:
        yield
    finally:
        WORKING.pop()
        SECONDS[name] += cpu_seconds() - start


def timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, its CPU seconds (all threads of the process) added to those of `name`."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _at_work(name):
            return function(*args, **kwargs)

    @functools.wraps(function)
    def generate(*args: Any, **kwargs: Any) -> Iterator[Any]:
        iterator = function(*args, **kwargs)
        while True:
            try:
                with _at_work(name):
                    value = next(iterator)
            except StopIteration:
                return
            yield value

    return generate if inspect.isgeneratorfunction(function) else run


def _timing_decorator(
    decorate: Callable[..., Any], name_of: Callable[[Callable[..., Any], dict[str, Any]], str]
) -> Any:
    @functools.wraps(decorate)
    def outer(*args: Any, **options: Any) -> Any:
        if args and callable(args[0]):
            return decorate(timed(args[0], name_of(args[0], options)))
        return lambda function: decorate(*args, **options)(timed(function, name_of(function, options)))

    return outer


def _measure() -> None:
    """Wrap the bodies of assets and checks, before the definitions are loaded."""
    dg.asset = _timing_decorator(dg.asset, lambda function, _: function.__name__)
    dg.asset_check = _timing_decorator(dg.asset_check, lambda _, options: str(options.get("asset")))
    dg.multi_asset_check = _timing_decorator(
        dg.multi_asset_check, lambda _, options: str(options.get("name")).removesuffix("_checks")
    )
    from mesh_assets.storage.io_manager import ParquetIOManager

    for verb in ("handle_output", "load_input"):
        original = getattr(ParquetIOManager, verb)

        @functools.wraps(original)
        def method(
            self: Any, context: Any, *rest: Any, original: Callable[..., Any] = original, verb: str = verb
        ) -> Any:
            name = context.asset_key.to_user_string() if verb == "handle_output" else "opening inputs"
            return timed(original, name)(self, context, *rest)

        setattr(ParquetIOManager, verb, method)


def main() -> None:
    job_name, partition, result = sys.argv[1:]
    _measure()
    if Path("/proc/self/status").exists():
        threading.Thread(target=watch_memory, daemon=True).start()
    from mesh_assets.definitions import defs
    from mesh_assets.storage.memory import keep_loaded

    defs.get_repository_def()
    job = defs.resolve_job_def(job_name)
    imports = cpu_seconds()
    keep_loaded()  # what a run worker does; this process is no child of multiprocessing, by which the mesh knows one
    with dg.DagsterInstance.get() as instance:
        if job_name == "manifest_job":  # the drop sensor does it
            instance.add_dynamic_partitions("datasets", [partition])
        started = cpu_seconds()
        run = job.execute_in_process(partition_key=partition, instance=instance, raise_on_error=True)
        whole = cpu_seconds() - started
    figures = {
        "success": run.success,
        "imports": imports,
        "stages": dict(SECONDS),
        "peaks": dict(PEAKS),
        "orchestration": whole - sum(SECONDS.values()) + (started - imports),
        "cpu": cpu_seconds(),
    }
    Path(result).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()

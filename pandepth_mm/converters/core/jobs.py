"""Many jobs in worker processes, for commands that can be stopped and started again."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2
from tqdm import tqdm

from pandepth_mm.errors import InputError


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def progress_bar(total: int, title: str, shown: bool, initial: int = 0, delay: float = 0) -> tqdm:
    """A bar of frames; in a log file a line every 10 s at most.

    Args:
        total: Number of frames.
        title: What stands before the bar.
        shown: Whether to show it.
        initial: Frames that are done already.
        delay: Seconds after which it appears.
    """
    return tqdm(
        total=total,
        desc=title,
        disable=not shown,
        initial=initial,
        delay=delay,
        unit='frame',
        mininterval=0.2 if sys.stderr.isatty() else 10,
    )


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold Ctrl-C back here; processes that start here never see it.

    A terminal sends it to all. The parent gets it at the end of the block and lets the running jobs
    finish.
    """
    if not hasattr(signal, 'pthread_sigmask'):  # Windows
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start_worker() -> None:
    """Set up a worker process."""
    cv2.setNumThreads(1)  # the processes are the parallelism
    parent = multiprocessing.parent_process()

    def die_with_parent():
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)  # a killed parent would leave the worker waiting forever

    threading.Thread(target=die_with_parent, daemon=True).start()


def run_jobs(
    function: Callable, jobs: Sequence[tuple], workers: int, done: Callable[[tuple, Any], None]
) -> None:
    """Call a function for each job.

    Args:
        function: At the top level of a module, so that it can be pickled.
        jobs: Its arguments.
        workers: Processes; with one the calls are made in this process.
        done: Called in this process with each job and what the function returned, in the order that
            they finish.

    Raises:
        BrokenProcessPool: A worker process died. What the function raises passes through.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        for job in jobs:
            done(job, function(*job))
        return
    # 'spawn' since a caller may have started threads (torch), which a fork does not survive
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context('spawn'), initializer=_start_worker
    )
    try:
        with _interrupts_blocked():
            waiting = {pool.submit(function, *job): job for job in jobs}
        for future in as_completed(waiting):
            done(waiting[future], future.result())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def exit_code(command: Callable[[], None]) -> int:
    """Run a command that goes on where it was stopped; say in one line what went wrong.

    Returns:
        0, 2 after bad input, 1 where the machine failed, 130 when stopped by the user.
    """
    try:
        command()
    except InputError as e:
        print(f'error: {e}', file=sys.stderr)
        return 2
    except BrokenProcessPool:
        print(
            'error: a worker process died (out of memory?); the same '
            'command, perhaps with fewer --workers, goes on from here',
            file=sys.stderr,
        )
        return 1
    except PermissionError as e:
        denied = InputError(e.filename, f'no access ({e.strerror})', 'access to it')
        print(f'error: {denied}', file=sys.stderr)
        return 2
    except OSError as e:  # disk full
        print(f'error: {e}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('stopped; the same command goes on from here', file=sys.stderr)
        return 130
    return 0

"""Running the conversion of many frames: restart, workers, clean-up."""

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
from tqdm import tqdm

from pandepth_mm.converters.vkitti2.frame import (
    CACHE_FOLDER,
    OUTPUT_FOLDERS,
    FrameOptions,
    cache_path,
    convert_frame,
    output_paths,
)
from pandepth_mm.converters.vkitti2.layout import Frame
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_json, write_json
from pandepth_mm.structures.vkitti2_meta import SPLIT_SCENES

# Raise it when a change of the code changes the files of a frame.
FORMAT_VERSION = 1
# What folders of earlier versions, which do not state it, were made with.
_LATER_OPTIONS = dict(input_from_gt=False)
ANNOTATION_KINDS = ('instances', 'panoptic')  # the order they are written in


def annotation_files(out: Path, split: str) -> list[Path]:
    """The JSON files of a split, in the order of ``ANNOTATION_KINDS``."""
    return [out / 'annotations' / f'{kind}_{split}.json' for kind in ANNOTATION_KINDS]


def stored_options(options: FrameOptions) -> dict:
    """What ``options.json`` holds, and ``info`` of the annotations.

    Not ``classless``: that is kept a frame, so that a run which an instance
    without a class stopped can go on with the other value.
    """
    stored = dict(version=FORMAT_VERSION, **dataclasses.asdict(options))
    del stored['classless']
    return stored


def check_out(out: Path, options: FrameOptions) -> None:
    """Refuse to mix with the results of other options; changes nothing."""
    if out.exists() and not out.is_dir():
        raise InputError(out, 'a file', 'a folder (--out)')
    stored = out / CACHE_FOLDER / 'options.json'
    if stored.exists():
        found = {**_LATER_OPTIONS, **read_json(stored)}
        for key, value in stored_options(options).items():
            if found.get(key) != value:
                raise InputError(
                    stored,
                    repr(found.get(key)),
                    f'{value!r} as in this run, another --out, or --overwrite',
                    key,
                )
    elif any(f.exists() for s in SPLIT_SCENES for f in annotation_files(out, s)):
        raise InputError(
            out,
            'annotations but nothing on how they were made',
            'another --out, or --overwrite',
            'annotations',
        )


def prepare_out(out: Path, options: FrameOptions, overwrite: bool) -> None:
    """Make the folder, clear what an overwrite or a crash leaves over."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise InputError('--out', f'{out} ({e.strerror})', 'a folder that can be written') from None
    if overwrite:
        for split in SPLIT_SCENES:
            for path in annotation_files(out, split):
                path.unlink(missing_ok=True)
        shutil.rmtree(out / CACHE_FOLDER, ignore_errors=True)
    # temporary names of atomic_path, which only a killed process leaves
    temporary = re.compile(r'\..+\.[a-z0-9_]{8}\.(png|json)')
    for folder in OUTPUT_FOLDERS + ('annotations', CACHE_FOLDER):
        for path in list((out / folder).rglob('.*')):
            if temporary.fullmatch(path.name):
                path.unlink()
    write_json(out / CACHE_FOLDER / 'options.json', stored_options(options))


def finished(frame: Frame, out: Path, options: FrameOptions) -> dict | None:
    """The result of an earlier run, if source and outputs are still it."""
    path = cache_path(frame, out)
    if not path.exists():
        return None
    result = read_json(path)
    outputs = output_paths(frame, out)
    if (
        result['stamp'] != [list(pair) for pair in frame.stamp]
        or not all(p.is_file() for p in outputs)
        or result['sizes'] != [p.stat().st_size for p in outputs]
    ):
        return None
    if options.classless == 'error' and result['odd']['classless_tracks']:
        return None
    return result


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold Ctrl-C back here; processes that start here never see it.

    A terminal sends it to all. The parent gets it at the end of the block
    and lets the frames in work finish.
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
        os._exit(1)  # a killed parent would leave the worker waiting for ever

    threading.Thread(target=die_with_parent, daemon=True).start()


def convert_all(
    frames: Sequence[Frame], root: Path, out: Path, options: FrameOptions, workers: int, bar: tqdm
) -> dict[str, dict]:
    """``convert_frame`` on all frames; frame name -> result."""
    results = {}
    workers = min(workers, len(frames))
    if workers <= 1:
        for frame in frames:
            results[frame.name] = convert_frame(frame, root, out, options)
            bar.update()
        return results
    # 'spawn' since a caller may have started threads (torch), which a fork
    # does not survive
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context('spawn'), initializer=_start_worker
    )
    try:
        with _interrupts_blocked():
            names = {
                pool.submit(convert_frame, frame, root, out, options): frame.name
                for frame in frames
            }
        for future in as_completed(names):
            results[names[future]] = future.result()
            bar.update()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return results

"""Plan what is missing, render it in worker processes, write the tables."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pandepth_mm.converters.core.jobs import progress_bar, run_jobs
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.fileio import read_json, write_json
from pandepth_mm.structures.vkitti2_meta import VARIATIONS
from scenes import writer
from scenes.camera import camera_place, camera_pose, intrinsics
from scenes.layout import SCENES, Scene
from scenes.render import Frame, Solid
from scenes.weather import WEATHERS

MANIFEST = 'synthesis.json'
VERSION = 1  # of the generator: other pictures for the same seed


class Job(NamedTuple):
    """One frame of a scene in several variations.

    Args:
        out: Folder of the set.
        scene: Scene name.
        frame: Number of the frame.
        frames: Frames of the scene.
        size: (width, height), pixels.
        seed: The set's seed.
        variations: All variations of the set.
        todo: Those whose images are missing.
    """

    out: str
    scene: str
    frame: int
    frames: int
    size: tuple[int, int]
    seed: int
    variations: tuple[str, ...]
    todo: tuple[str, ...]


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of 'WxH'.

    Raises:
        InputError: Not of that form, or out of range.
    """
    m = re.fullmatch(r'(\d+)[xX](\d+)', text.strip())
    if not m:
        raise InputError('--size', repr(text), 'WxH, e.g. 416x128')
    width, height = int(m[1]), int(m[2])
    if not (32 <= width <= 4096 and 16 <= height <= 4096):
        raise InputError('--size', repr(text), 'a width from 32 to 4096, a height from 16 to 4096')
    return width, height


def check_names(flag: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names in the known order, each once.

    Raises:
        InputError: One is unknown, or there is none.
    """
    for name in names:
        if name not in known:
            raise InputError(flag, repr(name), 'some of ' + ', '.join(known))
    if not names:
        raise InputError(flag, 'nothing', 'some of ' + ', '.join(known))
    return tuple(x for x in known if x in names)


def open_folder(out: Path, parameters: dict) -> None:
    """Make the set's folder, or check that it holds the same set.

    Raises:
        InputError: ``out`` is a file, holds scenes of other origin, or was made with other
            parameters.
    """
    if out.exists() and not out.is_dir():
        raise InputError(out, 'a file', 'a folder to write to')
    manifest = out / MANIFEST
    if manifest.exists():
        found = read_json(manifest)
        for key, value in parameters.items():
            if found.get(key) != value:
                raise InputError(
                    manifest,
                    repr(found.get(key)),
                    f'{value!r} as asked for now; use another folder or the same parameters',
                    key,
                )
        return
    foreign = sorted(out.glob('Scene*')) if out.is_dir() else []
    if foreign:
        raise InputError(
            out,
            f'{foreign[0].name} but no {MANIFEST}',
            'an empty folder or a set made by this program',
        )
    write_json(manifest, parameters)


@functools.lru_cache(maxsize=1)
def _load_scene(name: str, seed: int) -> tuple[Scene, Solid]:
    """Scene and its traceable still part; each worker keeps the last."""
    scene = Scene(name, seed)
    return scene, Solid(scene.static)


def run_job(job: Job) -> writer.FrameRows:
    """Render and write what a frame lacks; return its table rows."""
    cv2.setNumThreads(1)  # the workers share the cores already
    scene, static = _load_scene(job.scene, job.seed)
    k = intrinsics(*job.size)
    s = camera_place(job.frame, job.frames)
    pose = camera_pose(scene, s)
    root = Path(job.out) / job.scene
    if job.todo:
        frame = Frame(scene, static, s, k, pose)
        frame.prepare()
        track = frame.track
        drift = 7.3 * SCENES.index(job.scene)
        for name in job.todo:
            rng = np.random.default_rng(
                [job.seed, SCENES.index(job.scene), job.frame, VARIATIONS.index(name)]
            )
            folder = root / name
            writer.write_labels(folder, job.frame, frame.depth, frame.label, track)
            writer.write_rgb(folder, job.frame, frame.shade(WEATHERS[name], rng, drift))
    else:
        track = writer.read_tracks(root / job.variations[0], job.frame)
    return writer.frame_rows(scene, job.frame, s, k, pose, track)


def plan(
    out: Path,
    scenes: Sequence[str],
    variations: Sequence[str],
    frames: int,
    size: tuple[int, int],
    seed: int,
) -> list[Job]:
    """Jobs for what is missing; none for a scene that is complete."""
    jobs = []
    for scene in scenes:
        folders = [out / scene / v for v in variations]
        mine = [
            Job(
                str(out),
                scene,
                f,
                frames,
                size,
                seed,
                tuple(variations),
                tuple(
                    v for v, d in zip(variations, folders, strict=True) if not writer.complete(d, f)
                ),
            )
            for f in range(frames)
        ]
        if any(j.todo for j in mine) or not all(writer.tables_complete(d) for d in folders):
            jobs += mine
    return jobs


def synthesize(
    out,
    frames: int,
    size: tuple[int, int],
    seed: int,
    workers: int = 1,
    scenes: Sequence[str] = SCENES,
    variations: Sequence[str] = VARIATIONS,
    progress: bool = True,
) -> int:
    """Make the set, or what is missing of it.

    Args:
        out: Folder to write to.
        frames: Frames of each scene; each is written in every variation.
        size: (width, height), pixels.
        seed: Decides everything; the same seed gives the same bytes.
        workers: Number of processes.
        scenes: Scene names.
        variations: Variation names.
        progress: Show a progress bar.

    Returns:
        Number of images (RGB) written now.

    Raises:
        InputError: Bad parameters, or a folder that holds something else.
    """
    require_count(frames, '--frames')
    require_count(seed, '--seed', least=0)
    require_count(workers, '--workers')
    scenes = check_names('--scenes', scenes, SCENES)
    variations = check_names('--variations', variations, VARIATIONS)
    out = Path(out)
    open_folder(
        out,
        dict(
            generator='synthesize_vkitti2',
            version=VERSION,
            seed=seed,
            width=size[0],
            height=size[1],
            frames=frames,
        ),
    )
    jobs = plan(out, scenes, variations, frames, size, seed)
    written = sum(len(j.todo) for j in jobs)
    rows: dict[str, dict[int, writer.FrameRows]] = {}
    with progress_bar(len(jobs), 'synthesize', progress) as bar:

        def done(arguments: tuple[Job], got: writer.FrameRows) -> None:
            (job,) = arguments
            mine = rows.setdefault(job.scene, {})
            mine[job.frame] = got
            bar.update()
            if len(mine) == frames:
                for name in variations:
                    writer.write_tables(out / job.scene / name, mine)
                del rows[job.scene]

        run_jobs(run_job, [(job,) for job in jobs], workers, done)
    return written

"""The folder that a converter writes to, and what it keeps there for a restart."""

import dataclasses
import os
import re
import shutil
from pathlib import Path

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_json, write_json
from pandepth_mm.structures.annotations import ANNOTATION_KINDS, FrameRecord

_MAP_FOLDERS = ('panoptic', 'sparse_depth', 'gt_depth_map')


class OutFolder:
    """The output folder of a run.

    Args:
        path: The folder; it need not exist yet.
        name: Of the converter; what a restart needs is kept in ``.{name}``.
        options: What the files of a frame depend on, beside their sources; with ``version``, the
            converter's.
    """

    def __init__(self, path: str | Path, name: str, options: dict) -> None:
        self.path = Path(path)
        self.state = self.path / f'.{name}'
        self.options = options
        self._real = os.path.realpath(self.path)

    def require_apart(self, source: str) -> None:
        """Refuse a file of the data, an absolute path, where the run writes and might replace it.

        Raises:
            InputError: It is there.
        """
        place = os.path.relpath(source, self._real)
        if place.split(os.sep)[0] in (*_MAP_FOLDERS, 'annotations', self.state.name):
            raise InputError(
                '--out', f'{self.path}, of which {place} is the data', 'a folder of its own'
            )

    def check(self) -> None:
        """Refuse to mix with the results of other options; changes nothing.

        Raises:
            InputError: A file, annotations of another origin, or results of other options.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(self.path, 'a file', 'a folder (--out)')
        stored = self.state / 'options.json'
        if not stored.exists():
            if self._annotations():
                raise InputError(
                    self.path,
                    'annotations but nothing on how they were made',
                    'another --out, or --overwrite',
                    'annotations',
                )
            return
        found = read_json(stored)
        for key, value in self.options.items():
            if found.get(key) != value:
                what = 'the version of the converter' if key == 'version' else 'as in this run'
                raise InputError(
                    stored,
                    repr(found.get(key)),
                    f'{value!r}, {what}; take another --out, or --overwrite',
                    key,
                )

    def prepare(self, overwrite: bool, alone: bool) -> None:
        """Make the folder, clear what an overwrite replaces or a crash left behind.

        Args:
            overwrite: Throw away annotations and what an earlier run kept.
            alone: Whether no other run is writing here.

        Raises:
            InputError: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise InputError(
                '--out', f'{self.path} ({e.strerror})', 'a folder that can be written'
            ) from None
        if overwrite:
            for path in self._annotations():
                path.unlink()
            shutil.rmtree(self.state, ignore_errors=True)
        if alone:
            # temporary names of atomic_path, which only a killed process leaves
            temporary = re.compile(r'\..+\.[a-z0-9_]{8}\.(png|json)')
            for folder in (*_MAP_FOLDERS, 'annotations', self.state.name):
                for path in list((self.path / folder).rglob('.*')):
                    if temporary.fullmatch(path.name):
                        path.unlink()
        write_json(self.state / 'options.json', self.options)

    def _annotations(self) -> list[Path]:
        """The annotations of all splits, of whatever origin."""
        folder = self.path / 'annotations'
        return [path for kind in ANNOTATION_KINDS for path in folder.glob(f'{kind}_*.json')]

    def _frame_file(self, name: str) -> Path:
        return self.state / 'frames' / f'{name}.json'

    def _maps(self, record: FrameRecord) -> list[Path]:
        """The files that a frame's conversion wrote."""
        panoptic = record.panoptic_file and f'panoptic/{record.panoptic_file}'
        files = (panoptic, record.sparse_depth_file, record.gt_depth_map_file)
        return [self.path / file for file in files if file]

    def keep(self, name: str, stamp: str, record: FrameRecord, counts: dict) -> dict:
        """Keep the result of a frame; its presence proves that its files are complete.

        Args:
            name: Of the frame.
            stamp: Tells whether the frame's sources are still the same.
            record: Of the frame.
            counts: For the summary.

        Returns:
            ``record`` (as a dict), ``counts``, ``stamp``, ``options`` and ``sizes`` (bytes of the
            files).
        """
        result = dict(
            stamp=stamp,
            # said again here, since parts that were copied into one folder have one options.json
            options=self.options,
            sizes=[path.stat().st_size for path in self._maps(record)],
            record=dataclasses.asdict(record),
            counts=counts,
        )
        write_json(self._frame_file(name), result)
        return result

    def find(self, name: str, stamp: str) -> dict | None:
        """The kept result, if sources, options and files are still the same."""
        path = self._frame_file(name)
        if not path.exists():
            return None
        result = read_json(path)
        maps = self._maps(FrameRecord(**result['record']))
        same = result['stamp'] == stamp and result.get('options') == self.options
        if same and all(p.is_file() for p in maps):
            if result['sizes'] == [p.stat().st_size for p in maps]:
                return result
        return None

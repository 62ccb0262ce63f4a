"""All frames of a data set on one screen: counts, and what is wrong."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pandepth_mm.structures.annotation_rules import DEPTH_KINDS
from pandepth_mm.structures.dataset_check.frame import KINDS, DepthFacts, FrameFacts

TITLES = dict(
    sparse_depth='sparse depth', gt_depth_map='depth ground truth', dense_depth='dense depth'
)
_MEDIAN_RANGE = 0.4, 200.0  # meters: depths of rooms and of roads lie within
_RATIO_RANGE = 0.9, 1.1  # of ground truth / input where both measure
_MANY_SATURATED = 1e-3  # share of the measured pixels
_MANY_BEYOND = 0.5
_MANY_UNMATCHED = 0.05
_MAX_CLASSES = 24  # rows


@dataclasses.dataclass
class SplitReport:
    """What was found in a data set of a config.

    Attributes:
        name: 'train', 'val', ...; where a training mixes data sets, with a number.
        ann_file: Its JSON.
        classes: Names in label order.
        num_things: The first so many of them are things.
        palette: RGB of each class.
        frames: By their place in the JSON.
        paths: Of the images.
        fatal: Problems of the whole that end a training, kind and text.
        unmatched: Instances that no anchor can find; None where that is not known.
        trained: Instances that are neither crowds nor too small for training.
    """

    name: str
    ann_file: str
    classes: Sequence[str] = ()
    num_things: int = 0
    palette: Sequence[Sequence[int]] = ()
    frames: list[FrameFacts] = dataclasses.field(default_factory=list)
    paths: list[str] = dataclasses.field(default_factory=list)
    fatal: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    unmatched: int | None = None
    trained: int = 0

    @property
    def with_map(self) -> list[FrameFacts]:
        """Frames whose panoptic map could be read."""
        return [frame for frame in self.frames if frame.class_pixels is not None]

    def depths(self, kind: str) -> list[DepthFacts]:
        """Of the frames whose map could be read."""
        return [frame.depths[kind] for frame in self.frames if kind in frame.depths]


def find_problems(splits: Sequence[SplitReport]) -> tuple[list[str], list[str]]:
    """Say what is wrong, one line for each kind in each split.

    Returns:
        tuple: What a training fails on, and what deserves a look.
    """
    fatal, notes = [], []
    for split in splits:
        fatal += [f'{split.name}: {kind}: {text}' for kind, text in split.fatal]
        found = defaultdict(list)
        for frame in split.frames:
            for kind, text in frame.problems:
                found[kind].append(text)
        for kind, is_fatal in KINDS.items():
            if kind in found:
                line = f'{split.name}: {kind}: {len(found[kind])}, the first {found[kind][0]}'
                (fatal if is_fatal else notes).append(line)
        notes += [f'{split.name}: units: {text}' for text in _unit_problems(split)]
        if split.unmatched and split.unmatched > _MANY_UNMATCHED * split.trained:
            notes.append(
                f'{split.name}: anchors: none fits {split.unmatched} of {split.trained} instances '
                '(model.rpn_head.anchor_generator.scales)'
            )
    return fatal, notes + _duplicates(splits)


def _unit_problems(split: SplitReport) -> list[str]:
    """Depths of a size that no scene has, or that disagree with each other."""
    texts = []
    for kind in DEPTH_KINDS:
        maps = [depth for depth in split.depths(kind) if depth.measured]
        if not maps:
            continue
        title = TITLES[kind]
        median = float(np.median([depth.median for depth in maps]))
        measured = sum(depth.measured for depth in maps)
        beyond = sum(depth.beyond for depth in maps) / measured
        saturated = sum(depth.saturated for depth in maps) / measured
        ratios = [depth.ratio for depth in maps if depth.ratio is not None]
        if not _MEDIAN_RANGE[0] <= median <= _MEDIAN_RANGE[1]:
            texts.append(f'the median of the {title} is {median:.3g} m: is its scale right?')
        elif beyond > _MANY_BEYOND:
            texts.append(f'{beyond:.0%} of the {title} lie beyond model.max_depth')
        if saturated > _MANY_SATURATED:
            texts.append(
                f'{saturated:.1%} of the {title} are 65535, which Virtual KITTI 2 writes '
                'for the sky'
            )
        ratio = float(np.median(ratios)) if ratios else 1.0
        if not _RATIO_RANGE[0] <= ratio <= _RATIO_RANGE[1]:
            texts.append(f'the {title} is {ratio:.3g} times the input where both measure')
    return texts


def _duplicates(splits: Sequence[SplitReport]) -> list[str]:
    """Images that are there twice, within a split or in two."""
    first: dict[bytes, tuple[str, str]] = {}
    found = defaultdict(list)
    for split in splits:
        for path, frame in zip(split.paths, split.frames, strict=True):
            if frame.digest in first:
                other, twin = first[frame.digest]
                found[other, split.name].append(f'{path} = {twin}')
            elif frame.digest is not None:
                first[frame.digest] = (split.name, path)
    return [
        f'{name}: duplicates: {len(pairs)} images '
        f'{"twice" if name == other else f"that {other} has too"}, the first {pairs[0]}'
        for (other, name), pairs in found.items()
    ]


def format_report(splits: Sequence[SplitReport]) -> str:
    """The table: a row for each number, a column for each split."""
    rows: list[tuple] = [('', *(split.name for split in splits))]
    rows.append(('frames', *(f'{len(split.frames):,}' for split in splits)))
    for title, cell in (
        ('images (width x height)', _sizes),
        ('frames without things', _frames_without_things),
        ('things in a frame', _things_per_frame),
        ('side of a thing, px', _thing_sides),
        ('things without an anchor', _unmatched),
        ('void, % of the pixels', lambda split: _class_share(split, -1)),
    ):
        rows.append((title, *map(cell, splits)))
    for kind, title in TITLES.items():
        if any(split.depths(kind) for split in splits):
            for name, cell in (
                ('density, %', lambda s, kind=kind: _densities(s.depths(kind))),
                ('points', lambda s, kind=kind: _points(s.depths(kind))),
                ('meters', lambda s, kind=kind: _meters(s.depths(kind))),
            ):
                rows.append((f'{title}: {name}', *map(cell, splits)))
    names = next((split.classes for split in splits if split.with_map), ())
    for label, name in enumerate(names[:_MAX_CLASSES]):
        rows.append((f'{name}, %', *(_class_share(split, label) for split in splits)))
    if len(names) > _MAX_CLASSES:
        rows.append((f'... and {len(names) - _MAX_CLASSES} classes more', *[''] * len(splits)))
    rows = [row for row in rows if any(row[1:])]
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(splits) + 1)]
    return '\n'.join(
        '  '.join(
            [row[0].ljust(widths[0])]
            + [str(c).rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in rows
    )


def _spread(values: Sequence[float], digits: str = ',.0f') -> str:
    """Mean, and least to most where they differ."""
    if not len(values):
        return ''
    low, mean, high = (format(f(values), digits) for f in (np.min, np.mean, np.max))
    return mean if low == high else f'{mean} ({low} to {high})'


def _sizes(split: SplitReport) -> str:
    sizes = sorted({frame.size for frame in split.frames})
    shown = ', '.join(f'{width} x {height}' for width, height in sizes[:2])
    return shown + (f', {len(sizes) - 2} more' if len(sizes) > 2 else '')


def _frames_without_things(split: SplitReport) -> str:
    return f'{sum(not f.things for f in split.with_map):,}' if split.with_map else ''


def _things_per_frame(split: SplitReport) -> str:
    return _spread([len(frame.things) for frame in split.with_map], '.1f')


def _thing_sides(split: SplitReport) -> str:
    boxes = [thing.box for frame in split.with_map for thing in frame.things]
    return _spread([(box[2] * box[3]) ** 0.5 for box in boxes])


def _unmatched(split: SplitReport) -> str:
    return '' if split.unmatched is None else f'{split.unmatched:,} of {split.trained:,}'


def _class_share(split: SplitReport, label: int) -> str:
    """Share of the pixels, and for a thing how many there are; void counts, label -1."""
    if not split.with_map:
        return ''
    total = np.sum([frame.class_pixels for frame in split.with_map], axis=0)
    share = f'{100 * total[label] / max(total.sum(), 1):.2f}'
    if not 0 <= label < split.num_things:
        return share
    count = sum(thing.label == label for frame in split.with_map for thing in frame.things)
    return f'{share} ({count:,})'


def _densities(maps: Sequence[DepthFacts]) -> str:
    return _spread([100 * depth.measured / depth.pixels for depth in maps], '.1f')


def _points(maps: Sequence[DepthFacts]) -> str:
    return _spread([depth.measured for depth in maps])


def _meters(maps: Sequence[DepthFacts]) -> str:
    maps = [depth for depth in maps if depth.measured]
    if not maps:
        return ''
    median = np.median([depth.median for depth in maps])
    least, most = min(depth.least for depth in maps), max(depth.most for depth in maps)
    return f'{median:.1f} ({least:.1f} to {most:.1f})'

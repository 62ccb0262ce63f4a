"""Names of picture files, one per frame and none twice."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable

_KEYS = ('scene', 'variation', 'camera', 'frame')


def frame_name(meta: dict, ambiguous: set[str] | None = None) -> str:
    """Name a frame by where it comes from.

    ``Scene02_clone_Camera_0_00007`` where scene and frame are known; otherwise the image's folder
    and name, without the suffix.

    Args:
        meta: The frame's data_info or metainfo: scene, variation, camera, frame, img_path, img_id;
            only img_path is needed.
        ambiguous: Names that more than one frame of the data set has (see :func:`ambiguous_names`);
            they get the img_id in addition. None: the others are unknown, and every name gets it.

    Returns:
        A file name without suffix and without folders.
    """
    name = _plain_name(meta)
    if (ambiguous is None or name in ambiguous) and meta.get('img_id') is not None:
        name += f'_id{_id_text(meta["img_id"])}'
    return name


def id_order(img_id: int | str) -> tuple:
    """Sorts the ids of images: integers by value, then texts."""
    return isinstance(img_id, str), img_id


def ambiguous_names(metas: Iterable[dict]) -> set[str]:
    """Names that several frames of a data set would share."""
    counts = Counter(_plain_name(meta) for meta in metas)
    return {name for name, count in counts.items() if count > 1}


def _plain_name(meta: dict) -> str:
    """Name from the origin, or from the path."""
    scene, variation, camera, frame = (meta.get(key) for key in _KEYS)
    if scene not in (None, '') and frame is not None:
        if isinstance(camera, int):
            camera = f'Camera_{camera}'
        if isinstance(frame, int):
            frame = f'{frame:05d}'
        parts = [scene, variation, camera, frame]
    else:
        folder, base = os.path.split(str(meta.get('img_path') or 'frame'))
        parts = [os.path.basename(folder), os.path.splitext(base)[0]]
    return _clean('_'.join(str(p) for p in parts if p not in (None, '')))


def _id_text(img_id: int | str) -> str:
    """The id as part of a file name; other ids give other texts."""
    text = str(img_id)
    clean = _clean(text)
    if isinstance(img_id, str) and (clean != text or text.isdecimal()):
        clean += f'-{hashlib.sha256(text.encode()).hexdigest()[:8]}'
    return clean


def _clean(name: str) -> str:
    """Keep what every file system takes."""
    return re.sub(r'[^\w.+-]', '-', name)

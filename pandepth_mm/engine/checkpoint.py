"""Checkpoints: loading without running code, saving without half-written files.

A training writes ``.pth`` files with all that resuming needs. Published files hold weights with
some facts about them, as ``.safetensors`` (or ``.pth``).

mmengine leaves three holes in loading, all closed by :func:`set_checkpoint_trust`: older releases
and the onedl fork fall back to a full unpickle; the fork's list of safe names holds the plain
``getattr`` and ``HistoryBuffer.__setstate__``, which together reach ``exec``; and resuming executes
the text under ``meta['config']`` as Python.
"""

import functools
import hashlib
import http.client
import json
import os
import pickle
import re
import socket
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import checkpoint as checkpoint_io
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors import safe_open
from safetensors.torch import save_file

from pandepth_mm.errors import InputError, require_choice, require_file
from pandepth_mm.fileio import PathLike, atomic_path

TRUST_FLAG = '--trust-checkpoint'
SAFETENSORS = '.safetensors'
_META = 'pandepth_mm'  # key of safetensors' metadata, whose values are text
_TIMEOUT = 60  # seconds without an answer
_URLS = ('http://', 'https://')
_FORCE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
_FORCE_NOT = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_STATISTICS = ('min', 'max', 'current', 'mean')


class _PlainHistoryBuffer(HistoryBuffer):
    """Rebuilds a HistoryBuffer from its numbers alone.

    The real ``__setstate__`` copies whatever the file holds into the instance, methods included,
    and calls some of it.
    """

    def __setstate__(self, state: dict) -> None:
        logs, counts = state['_log_history'], state['_count_history']
        if not all(type(x) is np.ndarray and x.dtype.kind in 'biuf' for x in (logs, counts)):
            raise pickle.UnpicklingError('a HistoryBuffer holds something other than numbers')
        self.__class__ = HistoryBuffer
        self.__init__(max_length=int(state['max_length']))
        self._log_history = logs
        self._count_history = counts


def _statistics_method(owner, name: str):
    """Stand in for the ``getattr`` by which HistoryBuffer is pickled."""
    if owner is not _PlainHistoryBuffer or name not in _STATISTICS:
        raise pickle.UnpicklingError(f'getattr of {name!r}')
    return getattr(HistoryBuffer, name)


@functools.cache
def _safe_globals() -> list:
    """Return what a checkpoint of mmengine holds beside tensors.

    Both names of numpy's core are listed, since a file may come from another major version of
    numpy.
    """
    from numpy import dtypes

    multiarray = np.array(0).__reduce__()[0]  # _reconstruct, a private name
    scalar = np.float64(0).__reduce__()[0]
    allowed = [
        np.ndarray,
        np.dtype,
        (_PlainHistoryBuffer, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (_statistics_method, 'builtins.getattr'),
    ]
    for core in ('numpy.core', 'numpy._core'):
        allowed.append((multiarray, f'{core}.multiarray._reconstruct'))
        allowed.append((scalar, f'{core}.multiarray.scalar'))
    kinds = ('Bool', 'UInt8', 'Int32', 'UInt32', 'Int64', 'UInt64', 'Float32', 'Float64')
    allowed += [getattr(dtypes, f'{kind}DType') for kind in kinds]
    return allowed


def _fetch(url: str) -> str:
    """Copy of an address in torch's cache, downloaded once.

    Raises:
        InputError: It cannot be downloaded.
    """
    before = socket.getdefaulttimeout()
    try:
        name = f'{hashlib.sha256(url.encode()).hexdigest()[:8]}-{Path(urlsplit(url).path).name}'
        path = os.path.join(torch.hub.get_dir(), 'checkpoints', name)
        if not os.path.isfile(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            socket.setdefaulttimeout(_TIMEOUT)  # a firewall may just drop what is sent
            torch.hub.download_url_to_file(url, path)
    except (OSError, ValueError, http.client.HTTPException) as e:
        raise InputError(
            url,
            f'no download ({str(e).strip("<>")})',
            'an address that can be reached, or a local file (of a backbone: init_cfg=None goes '
            'without)',
        ) from None
    finally:
        socket.setdefaulttimeout(before)
    return path


def _read_safetensors(path: str) -> dict:
    """Weights and facts of a .safetensors file, as mmengine has them."""
    with safe_open(path, framework='pt') as f:
        meta = json.loads((f.metadata() or {}).get(_META, '{}'))
        return dict(state_dict={name: f.get_tensor(name) for name in f.keys()}, meta=meta)


def _refusal(filename: str, path: str, error: Exception) -> InputError:
    """Turn a failed load into one clear message."""
    with open(path, 'rb') as f:
        head = f.read(2)
    safe = path.endswith(SAFETENSORS)
    # a zip archive of torch.save, or a bare pickle of protocol 2 and up
    if not safe and head not in (b'PK', b'\x80\x02', b'\x80\x03', b'\x80\x04', b'\x80\x05'):
        return InputError(filename, 'a file that is no checkpoint', 'a .pth or .safetensors file')
    if safe or not isinstance(error, pickle.UnpicklingError):
        reason = re.split(r'[.\n]', str(error))[0] or type(error).__name__
        return InputError(filename, f'an unreadable file ({reason})', 'a complete checkpoint')
    name = re.search(r'GLOBAL (\S+)', str(error))
    what = f' (it names {name.group(1)})' if name else ''
    return InputError(
        filename,
        f'a checkpoint that could run code on loading{what}',
        f'weights only; if you trust the file, add {TRUST_FLAG} (in Python: trust_checkpoint=True)',
    )


def read_checkpoint(path: PathLike, trust: bool = False, map_location: str = 'cpu') -> dict:
    """Read one checkpoint.

    Unlike :func:`set_checkpoint_trust` it changes nothing for the process.

    Args:
        path: A local file, .pth or .safetensors, or an http(s) address; a copy is kept in torch's
            cache.
        trust: Unpickle everything, which runs whatever code the file holds.
        map_location: Device for the weights of a .pth file.

    Returns:
        ``state_dict`` and ``meta`` (of .safetensors), or what the .pth file holds.

    Raises:
        InputError: The file is missing or broken, the address cannot be reached, or the file asks
            for more than tensors and numbers without ``trust``.
    """
    filename = os.path.expanduser(str(path))
    local = _fetch(filename) if filename.startswith(_URLS) else filename
    require_file(local, 'a checkpoint')
    try:
        if local.endswith(SAFETENSORS):
            checkpoint = _read_safetensors(local)
        else:
            # those that are there already would be gone afterwards
            names = set(_safe_globals()).difference(torch.serialization.get_safe_globals())
            with torch.serialization.safe_globals(list(names)):
                checkpoint = torch.load(local, map_location=map_location, weights_only=not trust)
    except Exception as e:  # a broken file can fail in any way
        refusal = _refusal(filename, local, e)
        if local != filename:
            os.remove(local)  # or a download that broke off would be kept
        raise refusal from e
    if not isinstance(checkpoint, dict):
        raise InputError(
            filename, type(checkpoint).__name__, 'a checkpoint, that is a dict of weights'
        )
    if isinstance(checkpoint.get('meta'), dict):
        # Runner.resume would execute it, to look for a key of mmcv 1
        checkpoint['meta'].pop('config', None)
    return checkpoint


def write_weights(path: PathLike, weights: dict[str, torch.Tensor], meta: dict) -> None:
    """Write weights and facts about them, atomically.

    Args:
        path: The file to write, .safetensors or .pth.
        weights: By name.
        meta: What JSON can hold.

    Raises:
        InputError: Another suffix.
    """
    suffix = Path(path).suffix
    require_choice(suffix, (SAFETENSORS, '.pth'), path, 'suffix')
    with atomic_path(path) as tmp:
        if suffix == '.pth':
            torch.save(dict(state_dict=weights, meta=meta), tmp)
        else:  # which refuses tensors that share memory
            weights = {name: value.clone().contiguous() for name, value in weights.items()}
            save_file(weights, tmp, metadata={'format': 'pt', _META: json.dumps(meta)})


def _refuse_store(filename: str, map_location):
    raise InputError(
        filename,
        'a store that cannot be read weights-only',
        f'a local file or http(s); if you trust the file, add {TRUST_FLAG}',
    )


# stores that only mmengine can read, and only by a full unpickle; its own prefixes
_STORES = (
    (('pavi://',), checkpoint_io.load_from_pavi),
    ((r'(\S+\:)?s3://', r'(\S+\:)?petrel://'), checkpoint_io.load_from_ceph),
    (('open-mmlab://', 'openmmlab://'), checkpoint_io.load_from_openmmlab),
)


def set_checkpoint_trust(trust: bool) -> None:
    """Choose for this process what loading a checkpoint may do.

    It holds for everything mmengine loads: ``--resume``, ``load_from``, the checkpoint under test
    and ``init_cfg`` of the backbone.

    Args:
        trust: False reads tensors and numbers only, and raises :class:`InputError` for a file that
            asks for more. True is a full unpickle, which runs whatever code the file holds.
    """
    # torch refuses to work with both variables set
    os.environ.pop(_FORCE if trust else _FORCE_NOT, None)
    os.environ[_FORCE_NOT if trust else _FORCE] = '1'
    torch.serialization.add_safe_globals(_safe_globals())  # for code that calls torch.load itself

    def load(filename: str, map_location=None) -> dict:
        return read_checkpoint(filename, trust, map_location)

    CheckpointLoader.register_scheme(prefixes=('', *_URLS), loader=load, force=True)
    for prefixes, full in _STORES:
        CheckpointLoader.register_scheme(
            prefixes=prefixes, loader=full if trust else _refuse_store, force=True
        )


def check_state_dict(checkpoint: dict, model: torch.nn.Module, source: str) -> dict:
    """Check that a checkpoint fills every weight of a model.

    Args:
        checkpoint: ``state_dict``, or the weights themselves.
        model: The model.
        source: Name of the file, for the message.

    Returns:
        The weights of the checkpoint, by the model's names.

    Raises:
        InputError: A weight is missing or has another shape.
    """
    wanted = model.state_dict()
    found = checkpoint.get('state_dict', checkpoint)
    if not isinstance(found, dict):
        raise InputError(source, type(found).__name__, 'a dict of weights', 'state_dict')
    found = {key.removeprefix('module.'): v for key, v in found.items()}
    for key, value in wanted.items():
        if key not in found:
            known = sum(k in found for k in wanted)
            raise InputError(
                source,
                f'{known} of the {len(wanted)} weights of the model ({key} is missing)',
                'a checkpoint of this config',
            )
        shape = tuple(getattr(found[key], 'shape', ()))
        if shape != tuple(value.shape):
            raise InputError(
                source, f'shape {shape}', f'{tuple(value.shape)}, as this config builds it', key
            )
    return found


def fill_model(model: torch.nn.Module, checkpoint: dict, source: str) -> None:
    """Fill a model with the weights of a checkpoint.

    Names that the model lacks are ignored, as in a test.

    Args:
        model: Filled in place.
        checkpoint: ``state_dict``, or the weights themselves.
        source: Name of the file, for messages.

    Raises:
        InputError: A weight is missing or has another shape.
    """
    model.load_state_dict(check_state_dict(checkpoint, model, source), strict=False)


class AtomicLocalBackend(LocalBackend):
    """Local files that are either the old or the new one, never half written.

    A training killed while it saves must not lose the file it resumes from.
    """

    def put(self, obj: bytes, filepath) -> None:
        """Write bytes beside the file, then rename.

        Args:
            obj: The content.
            filepath: The file to write.
        """
        # a fixed name: what a kill leaves is overwritten after resuming
        tmp = f'{filepath}.tmp'
        try:
            super().put(obj, tmp)
            os.replace(tmp, filepath)
        finally:
            if os.path.exists(tmp):
                os.remove(tmp)


def save_atomically() -> None:
    """Make mmengine write local checkpoints by rename."""
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')


def find_resumable(work_dir: str) -> str | None:
    """Find the checkpoint from which a stopped training goes on.

    Args:
        work_dir: Folder of the training.

    Returns:
        What ``last_checkpoint`` names, or, when a kill left that file or its target incomplete, the
        newest complete ``epoch_*.pth`` or ``iter_*.pth``; None if there is none.
    """
    folder = Path(work_dir)
    pointer = folder / 'last_checkpoint'
    if pointer.is_file():
        target = pointer.read_text(encoding='utf-8', errors='replace').strip()
        if '://' in target or (target and zipfile.is_zipfile(target)):
            return target
        # the work dir may have been moved as a whole
        moved = folder / Path(target).name
        if target and zipfile.is_zipfile(moved):
            return str(moved)
    files = [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]
    # a torch file is a zip archive whose directory comes last
    complete = [f for f in files if zipfile.is_zipfile(f)]
    if not complete:
        return None
    newest = str(max(complete, key=lambda f: f.stat().st_mtime))
    if pointer.is_file():
        print_log(f'{pointer} names no complete checkpoint, going on from {newest}')
    return newest

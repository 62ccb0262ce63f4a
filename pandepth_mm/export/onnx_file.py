"""Writing the dense path of a model as an ONNX file."""

import contextlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Sequence

import torch

from pandepth_mm.errors import InputError
from pandepth_mm.export.dense_path import DensePath
from pandepth_mm.export.parity import frame_inputs, largest_differences, random_frame
from pandepth_mm.fileio import PathLike, atomic_path
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.version import __version__

# PyTorch writes 18, and others by a conversion, which fails for older ones
OPSETS = range(18, 24)
TOLERANCE = 1e-3
_PACKAGES = ('onnx', 'onnxruntime', 'onnxscript')


def export_onnx(
    model: PanDepth,
    path: PathLike,
    size: tuple[int, int],
    num_points: int,
    opset: int = OPSETS[0],
    classes: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
) -> dict[str, float]:
    """Write the dense path of a model as an ONNX file, atomically.

    The file is compared with the model under onnxruntime, on a frame of noise with half of the
    points; one that differs is not kept.

    The file's metadata say as text how to make its inputs: ``input_size`` ('WxH'); with a depth
    head ``num_points``, ``k``, ``max_depth`` and ``residual`` ('' for none); ``classes`` (a JSON
    list), if known; ``pandepth_mm_version``.

    Args:
        model: The model; it is put in evaluation mode.
        path: File to write.
        size: (width, height) of the network's input, pixels.
        num_points: Rows of points that the file takes.
        opset: Version of ONNX's operators, one of :data:`OPSETS`.
        classes: Names of the classes, things first, if known.
        tolerance: Largest absolute difference of a logit, and of the depth in meters.

    Returns:
        The largest absolute difference of each output, by name.

    Raises:
        InputError: A package is missing, the model has nothing to export, an argument does not fit,
            or the file differs from the model.
    """
    _check_packages()
    _check_arguments(model, size, num_points, opset, classes)
    import onnx

    dense_path = DensePath(model)
    frame = random_frame(size, model.max_depth, (num_points + 1) // 2)
    inputs = dense_path.select(frame_inputs(model, frame, num_points))
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            dense_path,
            tuple(torch.from_numpy(array) for array in inputs.values()),
            dynamo=True,
            opset_version=opset,
            input_names=dense_path.input_names,
            output_names=dense_path.output_names,
            verbose=False,
        )
    proto = program.model_proto
    written = proto.opset_import[0].version
    if written != opset:  # PyTorch only logs it
        raise InputError('opset', f'{opset}, to which this PyTorch cannot convert', f'{written}')
    # stack traces with paths, and a list of the weights
    for part in (proto.graph, *proto.graph.node):
        del part.metadata_props[:]
    onnx.helper.set_model_props(proto, _metadata(model, size, num_points, classes))
    with atomic_path(path) as tmp:
        onnx.save(proto, tmp)
        onnx.checker.check_model(tmp, full_check=True)
        differences = largest_differences(model, tmp, frame, num_points)
        for name, value in differences.items():
            if not value <= tolerance:  # nor NaN
                raise InputError(
                    path,
                    f'a difference of {value:.2g} to PyTorch',
                    f'at most {tolerance:g}; not written',
                    name,
                )
    return differences


def _check_packages() -> None:
    """Refuse to begin without the extra ``onnx``."""
    missing = [n for n in _PACKAGES if importlib.util.find_spec(n) is None]
    if missing:
        raise InputError(
            'Python packages',
            f'no {", ".join(missing)}',
            f'the extra "onnx": pip install {" ".join(_PACKAGES)}',
        )


def _check_arguments(
    model: PanDepth,
    size: tuple[int, int],
    num_points: int,
    opset: int,
    classes: Sequence[str] | None,
) -> None:
    """See :func:`export_onnx`."""
    divisor = getattr(model.data_preprocessor, 'pad_size_divisor', 1)
    if min(size) < 1 or any(side % divisor for side in size):
        raise InputError(
            'size',
            'x'.join(map(str, size)),
            f'WxH, both positive multiples of {divisor} (model.data_preprocessor.pad_size_divisor)',
        )
    if not 1 <= num_points <= size[0] * size[1]:
        raise InputError(
            'points', f'{num_points}', f'1 to {size[0] * size[1]}, the number of pixels'
        )
    if opset not in OPSETS:
        raise InputError('opset', f'{opset}', f'{OPSETS[0]} to {OPSETS[-1]}')
    if classes is not None and len(classes) != model.num_classes:
        raise InputError(
            'classes', f'{len(classes)} names', f'{model.num_classes}, as the model has'
        )


def _metadata(
    model: PanDepth, size: tuple[int, int], num_points: int, classes: Sequence[str] | None
) -> dict[str, str]:
    """See :func:`export_onnx`."""
    metadata = dict(pandepth_mm_version=__version__, input_size=f'{size[0]}x{size[1]}')
    if model.depth_head is not None:
        metadata.update(
            num_points=str(num_points),
            k=str(model.depth_head.k),
            max_depth=str(model.depth_head.max_depth),
            residual=model.depth_head.residual or '',
        )
    if classes is not None:
        metadata['classes'] = json.dumps(list(classes))
    return metadata


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on packages and deprecations back."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)

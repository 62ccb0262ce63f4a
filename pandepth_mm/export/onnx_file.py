"""Writing a model, up to the fusion, as an ONNX file."""

import contextlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Sequence

import torch
import torch.fx.config

from pandepth_mm.errors import InputError
from pandepth_mm.export.dense_path import DensePath
from pandepth_mm.export.parity import frame_inputs, largest_differences, random_frame
from pandepth_mm.fileio import PathLike, atomic_path
from pandepth_mm.models.depth_heads import CandidateDepthHead, FuseBlockDepthHead
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.fusion_heads import PanopticFusion
from pandepth_mm.version import __version__

# PyTorch writes 18, and others by a conversion, which fails for older ones
OPSETS = range(18, 24)
TOLERANCE = 1e-3
# of the tolerance, where it is not 1: boxes are hundreds of pixels large, a mask is sampled within
# its box and sharpens what it finds, and labels are exact
_UNITS = dict(boxes=10, mask_logits=10, mask_boxes=10, labels=0)
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
    """Write a model, up to the fusion, as an ONNX file, atomically.

    The file is compared with the model under onnxruntime, on a frame of noise with half of the
    points; one that differs is not kept.

    The file's metadata say as text how to make its inputs: ``input_size`` ('WxH'); with a depth
    head ``max_depth``; with rows of points ``num_points``, ``k`` and ``residual`` ('' for none).
    Then what to make of its outputs: ``classes`` (a JSON list), if known; with instances
    ``score_thr``, below which one is none; with a panoptic fusion ``fusion``, the last arguments
    of ``fuse_panoptic`` at the file's size (JSON). And ``pandepth_mm_version``.

    Args:
        model: The model; it is put in evaluation mode.
        path: File to write.
        size: (width, height) of the network's input, pixels.
        num_points: Rows of points that the file takes, if it takes points at all.
        opset: Version of ONNX's operators, one of :data:`OPSETS`.
        classes: Names of the classes, things first, if known.
        tolerance: Largest absolute difference of a logit, of depth and its uncertainty in meters,
            of a box in tens of pixels, and a tenth of a mask logit's. Labels must be the same.

    Returns:
        The largest absolute difference of each output, by name.

    Raises:
        InputError: A package is missing, the model has nothing to export, an argument does not fit,
            or the file differs from the model.
    """
    _check_packages()
    _check_arguments(model, size, num_points, opset, classes)
    import onnx
    from onnxscript import optimizer

    rewritten = not isinstance(model.depth_head, CandidateDepthHead)
    dense_path = DensePath(model)
    frame = random_frame(size, model.max_depth, (num_points + 1) // 2)
    inputs = dense_path.select(frame_inputs(model, frame, num_points))
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            dense_path,
            kwargs={name: torch.from_numpy(array) for name, array in inputs.items()},
            dynamo=True,
            opset_version=opset,
            input_names=dense_path.input_names,
            output_names=dense_path.output_names,
            # rewriting the thousands of small nodes of the guesses takes longer than all else
            optimize=rewritten,
            verbose=False,
        )
    if not rewritten:
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
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
            accepted = tolerance * _UNITS.get(name, 1)
            if not value <= accepted:  # nor NaN
                raise InputError(
                    path,
                    f'a difference of {value:.2g} to PyTorch',
                    f'at most {accepted:g}; not written',
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
        metadata['max_depth'] = str(model.depth_head.max_depth)
    if isinstance(model.depth_head, FuseBlockDepthHead):
        metadata.update(
            num_points=str(num_points),
            k=str(model.depth_head.k),
            residual=model.depth_head.residual or '',
        )
    if model.instance_head is not None:
        metadata['score_thr'] = str(model.instance_head.score_thr)
        fusion = model.panoptic_fusion
        # the file has no other logits than the refined ones
        refined = model.joint_head is None or model.fusion_logits == 'refined'
        if isinstance(fusion, PanopticFusion) and refined:
            metadata['fusion'] = json.dumps(
                dict(
                    num_things=model.num_things,
                    score_thr=max(fusion.score_thr, model.instance_head.score_thr),
                    overlap_thr=fusion.overlap_thr,
                    stuff_area_limit=fusion.stuff_area_limit * size[0] * size[1],
                )
            )
    if classes is not None:
        metadata['classes'] = json.dumps(list(classes))
    return metadata


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks back, and the stack traces of nodes, which take half its time."""
    logger, config = logging.getLogger('torch.onnx'), torch.fx.config
    level = logger.level
    traceless = getattr(config, 'do_not_emit_stack_traces', False)  # older PyTorch has none
    logger.setLevel(logging.ERROR)
    config.do_not_emit_stack_traces = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)
        config.do_not_emit_stack_traces = traceless

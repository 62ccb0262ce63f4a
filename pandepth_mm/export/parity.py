"""Comparing an exported file, under onnxruntime, with its model."""

import numpy as np
import torch

from pandepth_mm.export.dense_path import INSTANCE_OUTPUTS, named_outputs, reads_intrinsics
from pandepth_mm.export.inputs import candidate_inputs, export_inputs
from pandepth_mm.fileio import PathLike
from pandepth_mm.models.depth_heads import CandidateDepthHead
from pandepth_mm.models.detectors import PanDepth

# part of a score that rounding does not reach
_CLEAR = 1e-3
# image, sparse depth, intrinsics
Frame = tuple[np.ndarray, np.ndarray, np.ndarray]


def random_frame(size: tuple[int, int], max_depth: float, num_points: int, seed: int = 0) -> Frame:
    """A frame of noise.

    Args:
        size: (width, height), pixels.
        max_depth: Depth range, meters.
        num_points: Number of measured pixels.
        seed: Of the sampling.

    Returns:
        Image uint8 (H, W, 3), RGB; sparse depth float32 (H, W), meters, 0 = no measurement;
        intrinsics float64 (3, 3), pixels.
    """
    width, height = size
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    depth = np.zeros((height, width), np.float32)
    measured = rng.permutation(depth.size)[:num_points]
    depth.flat[measured] = rng.uniform(0.02, 1, num_points) * max_depth
    cam2img = np.array(
        [[width / 2, 0, (width - 1) / 2], [0, width / 2, (height - 1) / 2], [0, 0, 1]]
    )
    return image, depth, cam2img


def frame_inputs(model: PanDepth, frame: Frame, num_points: int) -> dict[str, np.ndarray]:
    """Make a model's inputs, with what it says of its depth head.

    Args:
        model: The model.
        frame: See :func:`random_frame`.
        num_points: Rows of points, where the model takes points.
    """
    head = model.depth_head
    if isinstance(head, CandidateDepthHead):
        return candidate_inputs(*frame, model.max_depth)
    inputs = export_inputs(
        *frame,
        num_points,
        k=1 if head is None else head.k,
        max_depth=model.max_depth,
        residual=None if head is None else head.residual,
    )
    if reads_intrinsics(model):
        inputs['cam2img'] = frame[2].astype(np.float32)[None]
    return inputs


def run_pytorch(model: PanDepth, frame: Frame) -> dict[str, np.ndarray]:
    """Predict a frame by the model itself, data preprocessor included.

    Args:
        model: The model, in evaluation mode.
        frame: See :func:`random_frame`.

    Returns:
        What the ONNX file gives, by name.
    """
    image, sparse_depth, cam2img = frame
    bgr = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
    data = dict(
        img=[torch.from_numpy(bgr)],
        sparse_depth=[torch.from_numpy(sparse_depth)[None]],
        cam2img=[torch.from_numpy(cam2img)],
    )
    with torch.no_grad():
        inputs = model.data_preprocessor(dict(inputs=data))['inputs']
        found = named_outputs(model, model.forward_dense(inputs))
    return {name: value.cpu().numpy() for name, value in found.items()}


def run_onnx(path: PathLike, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a file under onnxruntime on the CPU.

    Args:
        path: The file.
        inputs: Arrays of ``export_inputs``; the file takes what it reads.

    Returns:
        Its outputs by name.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    names = [output.name for output in session.get_outputs()]
    feeds = {i.name: inputs[i.name] for i in session.get_inputs()}
    return dict(zip(names, session.run(names, feeds), strict=True))


def largest_differences(
    model: PanDepth, path: PathLike, frame: Frame, num_points: int
) -> dict[str, float]:
    """Compare a file under onnxruntime with the model it was made from.

    Args:
        model: The model, in evaluation mode.
        path: The file.
        frame: See :func:`random_frame`; not more than N points.
        num_points: Rows of points that the file takes, N.

    Returns:
        The largest absolute difference of each output: logits and mask logits, depth and its
        uncertainty in meters, boxes in pixels; of the labels 1 if one is another. Instances are
        compared as :func:`match_instances` says.
    """
    found = run_onnx(path, frame_inputs(model, frame, num_points))
    expected = run_pytorch(model, frame)
    if 'boxes' in expected:
        match_instances(found, expected)
    return {
        name: float(np.abs(found[name] - value).max(initial=0)) for name, value in expected.items()
    }


def match_instances(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Bring the instances of two results into one order, in place.

    Rounding swaps instances of nearly equal scores, and decides which one is the last. So each
    expected one is compared with the found one that is most like it. Those whose score is that of
    the last one, or nearly so, do not count: others may stand in their place.

    Args:
        found: With ``boxes``, ``scores``, ``labels``, ``mask_logits``, ``mask_boxes`` of one image.
        expected: The same.
    """
    clear = expected['scores'][0] > expected['scores'][0, -1] * (1 + _CLEAR) + 1e-9
    unlike = np.abs(expected['boxes'][0, :, None] - found['boxes'][0]).max(axis=-1)
    unlike += np.abs(expected['scores'][0, :, None] - found['scores'][0])
    unlike[expected['labels'][0, :, None] != found['labels'][0]] += 1e6
    order = unlike.argmin(axis=1)[clear]
    for name in INSTANCE_OUTPUTS:
        expected[name] = expected[name][:, clear]
        found[name] = found[name][:, order]

"""Comparing an exported file, under onnxruntime, with its model."""

import numpy as np
import torch

from pandepth_mm.export.inputs import export_inputs
from pandepth_mm.fileio import PathLike
from pandepth_mm.models.detectors import PanDepth

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
    """Call ``export_inputs`` with what the model says of its depth head."""
    head = model.depth_head
    return export_inputs(
        *frame,
        num_points,
        k=1 if head is None else head.k,
        max_depth=model.max_depth,
        residual=None if head is None else head.residual,
    )


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
        out = model.forward_dense(inputs)
    found = dict(logits=out.logits if out.refined is None else out.refined, depth=out.depth)
    return {k: v.cpu().numpy() for k, v in found.items() if v is not None}


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
        The largest absolute difference of each output: of the logits, and of the depth in meters.
    """
    found = run_onnx(path, frame_inputs(model, frame, num_points))
    expected = run_pytorch(model, frame)
    return {name: float(np.abs(found[name] - expected[name]).max()) for name in expected}

"""Other sparse inputs than those of the files, for evaluation."""

import numpy as np
from mmcv.transforms import BaseTransform

from pandepth_mm.errors import (
    InputError,
    require_choice,
    require_count,
    require_fraction,
    require_positive,
)
from pandepth_mm.fileio import DEPTH_PNG_MAX, read_depth_png
from pandepth_mm.geometry.lidar import AZIMUTH_STEP, ELEVATION, beam_elevations, scan_line_mask
from pandepth_mm.geometry.sampling import frame_seed, sample_count, sample_depth
from pandepth_mm.registry import TRANSFORMS

SOURCES = ('dense_depth', 'sparse_depth')
_NAME = 'ResampleSparseDepth'
_MAX_LINES = 256
_MIN_STEP = 0.01  # degrees; far below a pixel


@TRANSFORMS.register_module()
class ResampleSparseDepth(BaseTransform):
    """Replace the sparse depth by a random sample or by scan lines.

    Its place is before the resize: the input is sampled from the dense depth at the image's
    original size and then loses points in the resize, as the file's does. Depths are rounded to
    what the file can hold. With the converter's seed, density and maximum depth, the sample is
    exactly the input that the converter wrote (without ``--input-from-gt``), and thinner samples
    are subsets of it.

    Scan lines are those of a LiDAR at the camera's place, see ``pandepth_mm.geometry.lidar``.

    Required keys: ``dense_depth_path``, ``dense_depth_scale``, ``sparse_depth_scale``, ``cam2img``,
    ``img_id``; or, with source 'sparse_depth', ``sparse_depth`` and ``img_id``. ``scene``,
    ``variation``, ``camera`` and ``frame`` name the frame for the seed; where one is missing,
    ``img_id`` does. Set key: ``sparse_depth``, float32 (H, W), meters, 0 = no measurement.

    Args:
        density: Fraction of the image's pixels to sample, in (0, 1]. Where fewer have dense depth,
            all of them are the input.
        lines: Number of beams instead, 2 to 256, evenly spaced.
        azimuth_step: Degrees between two measurements of a beam.
        elevation: Lowest and highest beam in degrees, positive upwards.
        seed: Seed of the samples.
        max_depth: Meters beyond which nothing is measured; None for no limit.
        source: 'dense_depth', or 'sparse_depth' to thin the given input, for data without dense
            depth. Its samples are nested in each other too, but differ from those of the dense
            depth. Not for lines.

    Raises:
        InputError: A value that is not as stated here.
    """

    def __init__(
        self,
        density: float | None = None,
        lines: int | None = None,
        azimuth_step: float = AZIMUTH_STEP,
        elevation: tuple[float, float] = ELEVATION,
        seed: int = 0,
        max_depth: float | None = None,
        source: str = 'dense_depth',
    ) -> None:
        if (density is None) == (lines is None):
            raise _wrong('density, lines', f'{density}, {lines}', 'one of the two')
        require_choice(source, SOURCES, _NAME, 'source')
        if density is not None:
            require_fraction(density, _NAME, 'density')
        else:
            require_count(lines, _NAME, 'lines', least=2)
            if lines > _MAX_LINES:
                raise _wrong('lines', lines, f'at most {_MAX_LINES} beams')
            if source != 'dense_depth':
                raise _wrong(
                    'source', source, "'dense_depth': lines of a sparse map are mostly empty"
                )
        if not _MIN_STEP <= azimuth_step < 90:
            raise _wrong('azimuth_step', azimuth_step, f'{_MIN_STEP} to 90 degrees')
        if len(elevation) != 2 or not -90 < elevation[0] < elevation[1] < 90:
            raise _wrong('elevation', elevation, 'degrees, the lower one first, between -90 and 90')
        if max_depth is not None:
            require_positive(max_depth, _NAME, 'max_depth', 'm')
        self.density = density
        self.lines = lines
        self.azimuth_step = azimuth_step
        self.elevation = tuple(elevation)
        self.seed = seed
        self.max_depth = max_depth
        self.source = source

    def transform(self, results: dict) -> dict:
        """Replace the sparse depth.

        Raises:
            InputError: The transform comes after the resize, the record names no dense depth, the
                file is bad, or the given input has fewer points than a sample of it needs.
        """
        if 'ori_cam2img' in results:
            raise InputError(
                'config', 'it after ResizePanopticDepth', 'it before, at the original size', _NAME
            )
        depth = self._source_depth(results)
        if self.lines is not None:
            beams = beam_elevations(self.lines, self.elevation)
            mask = scan_line_mask(depth, results['cam2img'], beams, self.azimuth_step)
            results['sparse_depth'] = np.where(mask, depth, 0)
            return results
        if self.source == 'sparse_depth':
            check_thinning(results, depth, self.density)
        names = [results.get(key) for key in ('scene', 'variation', 'camera', 'frame')]
        if None in names:
            names = [results['img_id']]
        seed = frame_seed(self.seed, *names, 'sparse_depth')
        results['sparse_depth'] = sample_depth(depth, self.density, seed)
        return results

    def _source_depth(self, results: dict) -> np.ndarray:
        """What to sample from: float32 (H, W), meters, 0 = none; a copy."""
        limit = np.inf if self.max_depth is None else self.max_depth
        if self.source == 'sparse_depth':
            given = results['sparse_depth']
            return np.where(given > limit, 0, given)
        if 'dense_depth_path' not in results:
            raise InputError(
                'annotations',
                f'no dense_depth_file for image {results.get("img_path")}',
                "one, or source='sparse_depth' to thin the given input",
                _NAME,
            )
        shape = results.get('ori_shape') or (results['height'], results['width'])
        depth = read_depth_png(
            results['dense_depth_path'], results['dense_depth_scale'], shape, DEPTH_PNG_MAX
        )
        depth[depth > limit] = 0
        # rounded as write_depth_png does; a depth beyond its range cannot have been in the file
        scale = results['sparse_depth_scale']
        raw = np.rint(depth.astype(np.float64) * scale)
        raw[(raw == 0) & (depth > 0)] = 1
        raw[raw > DEPTH_PNG_MAX] = 0
        return raw.astype(np.float32) / np.float32(scale)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(density={self.density}, '
            f'lines={self.lines}, azimuth_step={self.azimuth_step}, '
            f'elevation={self.elevation}, seed={self.seed}, '
            f'max_depth={self.max_depth}, source={self.source!r})'
        )


def check_thinning(record: dict, depth: np.ndarray, density: float) -> None:
    """Refuse to thin an input to more points than it has.

    Args:
        record: Names the file.
        depth: The given input, float (H, W), meters, 0 = no measurement.
        density: Fraction of the pixels wanted.

    Raises:
        InputError: It has fewer.
    """
    found = np.count_nonzero(depth)
    if found < sample_count(depth.size, density):
        raise InputError(
            record.get('sparse_depth_path', 'sparse_depth'),
            f'a density of {found / depth.size:.6f}, and no dense depth to sample from',
            f'at least the density asked for, {density}',
        )


def _wrong(field: str, found, expected: str) -> InputError:
    return InputError(_NAME, f'{found}', expected, field)

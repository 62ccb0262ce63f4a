"""Loading of depth PNGs."""

from mmcv.transforms import BaseTransform

from pandepth_mm.errors import InputError, require_choice
from pandepth_mm.fileio import read_depth_png
from pandepth_mm.registry import TRANSFORMS

DEPTH_KEYS = ('sparse_depth', 'gt_depth_map', 'dense_depth')


@TRANSFORMS.register_module()
class LoadDepthMap(BaseTransform):
    """Load a 16-bit depth PNG with the scale of its record.

    Required keys: ``{source}_path``, ``{source}_scale``; ``ori_shape``, the shape of the loaded
    image, where there is one, else ``height`` and ``width``. Added key: ``{key}``, float32 (H, W),
    meters, 0 = no measurement.

    Args:
        key: 'sparse_depth' (the input), 'gt_depth_map' (the ground truth) or 'dense_depth' (of
            every pixel, for metrics that want it; see ``optional``).
        source: Prefix of the record's keys, by default ``key``. 'dense_depth' with key
            'gt_depth_map' trains on the dense depth.
        invalid: Raw value that means "no measurement" beside 0; 65535 in Virtual KITTI 2's own
            files.
        max_depth: Meters beyond which there is no measurement; None for no limit.
        optional: Where the record names no such file, add no key; otherwise that is an error. For
            dense depth: metrics that can do without it report how many frames had it.
    """

    def __init__(
        self,
        key: str,
        source: str | None = None,
        invalid: int | None = None,
        max_depth: float | None = None,
        optional: bool = False,
    ) -> None:
        require_choice(key, DEPTH_KEYS, 'config', 'LoadDepthMap.key')
        self.key = key
        self.source = source or key
        self.invalid = invalid
        self.max_depth = max_depth
        self.optional = optional

    def transform(self, results: dict) -> dict:
        """Add the depth map.

        Raises:
            InputError: The record names no such file, or the file is bad.
        """
        if f'{self.source}_path' not in results:
            if self.optional:
                return results
            raise InputError(
                'annotations',
                f'no {self.source} file for image {results.get("img_path")}',
                f'one, since the pipeline has LoadDepthMap({self.key!r})',
            )
        shape = results.get('ori_shape') or (results['height'], results['width'])
        depth = read_depth_png(
            results[f'{self.source}_path'], results[f'{self.source}_scale'], shape, self.invalid
        )
        if self.max_depth is not None:
            depth[depth > self.max_depth] = 0
        results[self.key] = depth
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(key={self.key!r}, source={self.source!r}, '
            f'invalid={self.invalid}, max_depth={self.max_depth}, optional={self.optional})'
        )

"""Images with sparse depth, depth ground truth and panoptic ground truth."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from pandepth_mm.datasets.transforms.load_image_from_file import LoadImageFromFile
from pandepth_mm.errors import InputError, require_choice, require_count, require_positive
from pandepth_mm.fileio import read_depth_png, read_panoptic_png
from pandepth_mm.registry import DATASETS
from pandepth_mm.structures.annotation_rules import DEPTH_KINDS
from pandepth_mm.structures.annotations import (
    Annotations,
    FrameRecord,
    check_files,
    read_annotations,
)
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.structures.panoptic_ids import VOID_LABEL

_ORIGIN_KEYS = ('scene', 'variation', 'camera', 'frame')


@DATASETS.register_module()
class PanopticDepthDataset(BaseDataset):
    """Data set of the package's data contract (``structures/annotations.py``).

    One COCO panoptic JSON per split, with the depth files and the intrinsics beside each image.
    Frames without things are kept. The JSON, its categories, the presence of all files and the
    headers of the first frame are checked when it is loaded.

    Args:
        ann_file: The JSON, relative to ``data_root``.
        data_root: Root of the converted files.
        metainfo: ``thing_classes``, ``stuff_classes`` (names, as in the JSON) and, if wanted,
            ``palette`` (RGB, things first).
        img_scale: (width, height) of the network's input; stated only here, and read by
            `ResizePanopticDepth`.
        depth_scale: Units per meter of depth files whose record carries no scale.
        source_root: Root of the RGB images and the dense depth; overrides the ``info.data_root`` of
            the JSON when the data has moved. With neither, ``data_root``.
        data_prefix: ``seg``: folder of the panoptic PNGs.
        filter_cfg: For training, ``filter_empty_gt`` (drop frames without things, default False)
            and ``min_size`` (pixels).
        **kwargs: Of mmengine's BaseDataset: ``pipeline``, ``test_mode``, ``indices``,
            ``serialize_data``, ``lazy_init``, ``max_refetch``.

    Raises:
        InputError: A file or config value that is wrong.
    """

    def __init__(
        self,
        ann_file: str,
        data_root: str | None = None,
        metainfo: dict | None = None,
        img_scale: tuple[int, int] | None = None,
        depth_scale: float = 256.0,
        source_root: str | None = None,
        data_prefix: dict | None = None,
        filter_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if img_scale is not None:
            if not isinstance(img_scale, Sequence) or len(img_scale) != 2:
                raise InputError(
                    'config', repr(img_scale), '(width, height) in pixels', 'img_scale'
                )
            for pixels in img_scale:
                require_count(pixels, 'config', 'img_scale')
            img_scale = tuple(img_scale)
        require_positive(depth_scale, 'config', 'depth_scale', '(units per meter)')
        for key in filter_cfg or {}:
            require_choice(key, ('filter_empty_gt', 'min_size'), 'config', 'filter_cfg')
        data_root = data_root or ''
        self.img_scale = img_scale
        self.depth_scale = float(depth_scale)
        self.source_root = source_root
        # mmengine opens strings in metainfo as files: paths are added below
        self._classes = self._complete_metainfo(metainfo)
        super().__init__(
            ann_file=ann_file,
            metainfo=self._classes,
            data_root=data_root,
            data_prefix=dict(data_prefix or dict(seg='panoptic')),
            filter_cfg=filter_cfg,
            **kwargs,
        )
        self._metainfo['panoptic_ann_file'] = self.ann_file

    @classmethod
    def _complete_metainfo(cls, metainfo: dict | None) -> dict:
        """Check the classes, add ``classes`` and, if missing, a palette."""
        given = dict(metainfo or {})
        merged = {**cls.METAINFO, **given}
        for key in ('thing_classes', 'stuff_classes'):
            if isinstance(merged.get(key), str) or key not in merged:
                raise InputError(
                    'config', repr(merged.get(key)), 'a tuple of class names', f'metainfo.{key}'
                )
            merged[key] = tuple(merged[key])
        classes = merged['thing_classes'] + merged['stuff_classes']
        if not classes or len(set(classes)) < len(classes) or len(classes) > VOID_LABEL:
            raise InputError(
                'config',
                f'{classes}',
                f'1 to {VOID_LABEL} distinct names (label {VOID_LABEL} is void)',
                'metainfo.thing_classes + stuff_classes',
            )
        if tuple(given.get('classes', classes)) != classes:
            raise InputError(
                'config', f'{given["classes"]}', f'{classes}, things first', 'metainfo.classes'
            )
        merged['classes'] = classes
        parent = cls.METAINFO
        own_classes = (*parent.get('thing_classes', ()), *parent.get('stuff_classes', ()))
        own_palette = parent.get('palette') or ()
        if given.get('palette') is None and (classes != own_classes or not own_palette):
            # a class that METAINFO has too keeps its color
            known = dict(zip(own_classes, own_palette, strict=False))
            merged['palette'] = [
                known.get(name, color)
                for name, color in zip(classes, default_palette(classes), strict=True)
            ]
        if len(merged['palette']) != len(classes):
            raise InputError(
                'config',
                f'{len(merged["palette"])} colors',
                f'{len(classes)}, one per class',
                'metainfo.palette',
            )
        return merged

    def load_data_list(self) -> list[dict]:
        """Read and check the JSON and the files it lists."""
        data_list = self.parse_frames(self.read_annotations())
        check_files(
            self.ann_file,
            (
                path
                for data_info in data_list
                for key, path in data_info.items()
                if key.endswith('_path')
            ),
        )
        self._check_first_frame(data_list[0])
        return data_list

    def read_annotations(self) -> Annotations:
        """Read and check the JSON alone."""
        return read_annotations(
            self.ann_file, self._classes['thing_classes'], self._classes['stuff_classes']
        )

    def parse_frames(self, content: Annotations) -> list[dict]:
        """The frames of the JSON as data_info; their files may be missing."""
        source_root = self._find_source_root(content.info)
        return [self._parse_image(frame, content, source_root) for frame in content.frames]

    def _find_source_root(self, info: dict) -> str:
        """Folder that RGB and dense depth files are relative to."""
        if self.source_root is not None:
            root, named_by = self.source_root, 'source_root'
        elif info.get('data_root'):
            root = os.path.join(self.data_root, info['data_root'])
            named_by = 'info.data_root'
        else:
            return self.data_root
        if not os.path.isdir(root):
            raise InputError(
                self.ann_file,
                f'no folder {root}',
                'the folder of the original images (when it has moved, set '
                'source_root of the data set)',
                named_by,
            )
        return root

    def _parse_image(self, frame: FrameRecord, content: Annotations, source_root: str) -> dict:
        """A frame of the JSON as data_info, without arrays."""
        data_info = dict(
            img_path=os.path.join(source_root, frame.file_name),
            img_id=frame.id,
            height=frame.height,
            width=frame.width,
            cam2img=np.array(frame.cam2img, dtype=np.float64),
            img_scale=self.img_scale,
            num_classes=len(self._classes['classes']),
        )
        for kind in DEPTH_KINDS:
            file, scale = getattr(frame, f'{kind}_file'), getattr(frame, f'{kind}_scale')
            if file is not None:
                root = source_root if kind == 'dense_depth' else self.data_root
                data_info[f'{kind}_path'] = os.path.join(root, file)
                data_info[f'{kind}_scale'] = self.depth_scale if scale is None else scale
        for key in _ORIGIN_KEYS:
            data_info[key] = getattr(frame, key)
        if frame.segments is not None:
            data_info['seg_map_path'] = os.path.join(self.data_prefix['seg'], frame.panoptic_file)
            data_info['segments_info'] = [
                dict(
                    id=segment['id'],
                    category=content.labels[segment['category_id']],
                    isthing=content.is_thing[segment['category_id']],
                    iscrowd=int(segment.get('iscrowd') or 0),
                )
                for segment in frame.segments
            ]
        return data_info

    def _check_first_frame(self, data_info: dict) -> None:
        """Read the first frame's files: sizes, bit depths, scales."""
        shape = (data_info['height'], data_info['width'])
        LoadImageFromFile().transform(dict(data_info))
        for prefix in DEPTH_KINDS:
            if f'{prefix}_path' in data_info:
                read_depth_png(data_info[f'{prefix}_path'], data_info[f'{prefix}_scale'], shape)
        if 'seg_map_path' in data_info:
            read_panoptic_png(data_info['seg_map_path'], shape)

    def filter_data(self) -> list[dict]:
        """Apply ``filter_cfg``, in training only."""
        if self.test_mode or not self.filter_cfg:
            return self.data_list
        drop_empty = self.filter_cfg.get('filter_empty_gt', False)
        min_size = self.filter_cfg.get('min_size', 0)
        kept = [
            data_info
            for data_info in self.data_list
            if min(data_info['width'], data_info['height']) >= min_size
            and (
                not drop_empty
                or any(segment['isthing'] for segment in data_info.get('segments_info', ()))
            )
        ]
        if not kept:
            raise InputError(
                'config',
                f'{self.filter_cfg}: no frame left of {self.ann_file}',
                'a milder filter',
                'filter_cfg',
            )
        return kept

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of the things in a frame, for ClassBalancedDataset."""
        segments = self.get_data_info(idx).get('segments_info', ())
        return [s['category'] for s in segments if s['isthing']]

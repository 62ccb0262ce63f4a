"""The annotation files: COCO panoptic and COCO instances."""

from collections.abc import Sequence

from pandepth_mm.converters.vkitti2.frame import NUM_THINGS
from pandepth_mm.converters.vkitti2.layout import Frame
from pandepth_mm.fileio import KITTI_DEPTH_SCALE
from pandepth_mm.structures.vkitti2_meta import CLASS_COLORS, CLASSES, DEPTH_SCALE


def categories() -> list[dict]:
    """COCO categories, things first, ids 1..14 in the order of CLASSES."""
    return [
        dict(
            id=number, name=name, isthing=int(number <= NUM_THINGS), color=list(CLASS_COLORS[name])
        )
        for number, name in enumerate(CLASSES, start=1)
    ]


def image_entry(frame: Frame, image_id: int, cam2img: list[list[float]]) -> dict:
    """The entry of ``images`` for a frame.

    ``file_name`` and ``depth_file`` are relative to the data root, the other
    files to the output folder.
    """
    return dict(
        id=image_id,
        file_name=frame.files['rgb'],
        width=frame.width,
        height=frame.height,
        cam2img=cam2img,
        scene=frame.scene,
        variation=frame.variation,
        camera=frame.camera,
        frame=frame.number,
        sparse_depth_file=f'sparse_depth/{frame.name}.png',
        sparse_depth_scale=KITTI_DEPTH_SCALE,
        depth_gt_file=f'depth_gt/{frame.name}.png',
        depth_gt_scale=KITTI_DEPTH_SCALE,
        depth_file=frame.files['depth'],
        depth_scale=DEPTH_SCALE,
    )


def panoptic_annotations(
    info: dict, images: Sequence[dict], frames: Sequence[Frame], results: Sequence[dict]
) -> dict:
    """The COCO panoptic annotations of a split.

    Args:
        info: ``info`` of the file.
        images: One entry a frame, of :func:`image_entry`.
        frames: The frames.
        results: What ``convert_frame`` gave for each.

    Returns:
        The content of ``panoptic_{split}.json``.
    """
    return dict(
        info=info,
        categories=categories(),
        images=list(images),
        annotations=[
            dict(
                image_id=image['id'],
                file_name=f'{frame.name}.png',
                segments_info=result['segments'],
            )
            for image, frame, result in zip(images, frames, results, strict=True)
        ],
    )


def instance_annotations(info: dict, images: Sequence[dict], results: Sequence[dict]) -> dict:
    """The COCO instance annotations of a split: its thing segments.

    Args as in :func:`panoptic_annotations`. ``track_id`` and ``segment_id``
    come on top of COCO's keys.
    """
    annotations = []
    for image, result in zip(images, results, strict=True):
        for segment in result['segments']:
            if segment['category_id'] > NUM_THINGS:
                continue
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image['id'],
                    category_id=segment['category_id'],
                    segmentation=dict(
                        size=[image['height'], image['width']],
                        counts=result['rles'][str(segment['id'])],
                    ),
                    area=segment['area'],
                    bbox=segment['bbox'],
                    iscrowd=0,
                    segment_id=segment['id'],
                    track_id=segment['id'] // 256 - 1,
                )
            )
    return dict(
        info=info,
        categories=categories()[:NUM_THINGS],
        images=list(images),
        annotations=annotations,
    )

r"""IoU of a model's semantic prediction on labeled photographs, over classes that both sides have.

    python tools/analysis_tools/photo_miou.py photos --labels labels --mapping camvid.yml

Photographs seldom have the classes of the data that a model was trained on. A mapping, JSON or
YAML, names the classes to compare, and for each the labels of the annotation and the classes of the
model that are merged into it. For the 11 classes of CamVid, as SegNet's authors gave them out, and
a model of Virtual KITTI 2's classes:

    sky:      {labels: [0], classes: [Sky]}
    building: {labels: [1], classes: [Building]}
    pole:     {labels: [2], classes: [Pole]}
    road:     {labels: [3], classes: [Road]}
    tree:     {labels: [5], classes: [Tree, Vegetation]}
    sign:     {labels: [6], classes: [TrafficSign]}
    car:      {labels: [8], classes: [Car, Van, Truck]}

Pixels of labels that the mapping does not name are left out. A prediction of a class that it does
not name is wrong. Labels are 8-bit PNGs of the size and the stems of the images. No depth is given:
the model sees the image alone. IoU is that of the pixels of all images together.
"""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from mmengine.logging import MMLogger
from tqdm import tqdm

from pandepth_mm.apis import PanDepthInferencer, init_model
from pandepth_mm.apis.inputs import load_frame
from pandepth_mm.apis.sources import list_frames
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError, require_choice, require_file
from pandepth_mm.evaluation.functional import confusion_matrix, semantic_summary
from pandepth_mm.fileio import check_writable, read_label_png, write_json

IGNORED = 255


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='IoU on labeled photographs')
    add = parser.add_argument
    add('images', help='image, or folder of images')
    add('--labels', required=True, help='folder of label maps, 8-bit PNGs of the same stems')
    add('--mapping', required=True, help='JSON or YAML, see above')
    add('--config', help='config file or name (the shipped model)')
    add('--weights')
    add('--device')
    add('--out', metavar='JSON', help='IoU and confusion matrix')
    return parser.parse_args()


def read_mapping(path: str, classes: tuple[str, ...]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read which labels and classes are one.

    Args:
        path: JSON or YAML.
        classes: The model's.

    Returns:
        Names of what is compared; for each label 0..255 its number among them, or 255; the same for
        each class of the model; uint8.

    Raises:
        InputError: No such file, another content, a class that the model lacks, or a label or class
            that stands in two places.
    """
    require_file(path, 'a mapping')
    expected = '{name: {labels: [number, ...], classes: [class, ...]}, ...}'
    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise InputError(path, f'broken YAML ({" ".join(str(e).split())})', expected) from None
    if not isinstance(content, dict) or not content:
        raise InputError(path, type(content).__name__, expected)
    of_label = np.full(256, IGNORED, np.uint8)
    of_class = np.full(len(classes), IGNORED, np.uint8)
    for number, (name, entry) in enumerate(content.items()):
        if (
            not isinstance(entry, dict)
            or set(entry) != {'labels', 'classes'}
            or not all(isinstance(value, list) and value for value in entry.values())
        ):
            raise InputError(path, f'{entry}', expected, str(name))
        for label in entry['labels']:
            require_choice(label, range(255), path, f'{name}.labels')
            _claim(of_label, label, number, label, f'{path}: {name}.labels')
        for class_name in entry['classes']:
            require_choice(class_name, classes, path, f'{name}.classes')
            index = classes.index(class_name)
            _claim(of_class, index, number, class_name, f'{path}: {name}.classes')
    return [str(name) for name in content], of_label, of_class


def _claim(table: np.ndarray, index: int, number: int, shown: object, where: str) -> None:
    """Write an entry that must be free."""
    if table[index] != IGNORED:
        raise InputError(where, f'{shown!r}, which stands elsewhere too', 'each in one place')
    table[index] = number


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Log errors only."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    try:
        yield
    finally:
        logger.setLevel(level)


@cli_main
def main() -> None:
    """Print the IoU of each class and their mean."""
    args = parse_args()
    if args.out:
        check_writable(args.out, '--out')
    sources, _ = list_frames(args.images, None, None, None)
    inferencer = PanDepthInferencer(
        init_model(args.config, args.weights), args.device, show_progress=False
    )
    names, of_label, of_class = read_mapping(args.mapping, tuple(inferencer.classes))
    for source in sources:
        require_file(
            Path(args.labels) / f'{source.name}.png', f'the labels of {source.name}', '--labels'
        )
    confusion = np.zeros((len(names), len(names) + 1), np.int64)
    for source in tqdm(sources, 'images', disable=len(sources) == 1):
        frame = load_frame(source, 1.0, inferencer.model.max_depth)
        labels = read_label_png(Path(args.labels) / f'{source.name}.png', frame.image.shape[:2])
        with quiet():  # it would tell of each image that it has no depth
            (result,) = inferencer.predict([frame])
        if result.semantic is None:
            raise InputError('model', 'no semantic head', 'a model that predicts classes')
        confusion += confusion_matrix(
            of_label[labels], of_class[result.semantic], len(names), IGNORED
        )
    summary = semantic_summary(confusion)
    iou = dict(zip(names, summary['per_class']['IoU'].tolist(), strict=True))
    width = max(map(len, (*iou, 'mean')))
    print(f'{len(sources)} images, {confusion.sum()} pixels compared')
    for name, value in (*iou.items(), ('mean', summary['mIoU'])):
        print(f'{name:{width}} {value:.3f}')
    if args.out:
        write_json(
            args.out,
            dict(
                images=len(sources),
                mIoU=summary['mIoU'],
                IoU={name: None if np.isnan(value) else value for name, value in iou.items()},
                confusion=dict(rows=names, columns=[*names, 'other'], counts=confusion.tolist()),
            ),
        )


if __name__ == '__main__':
    main()

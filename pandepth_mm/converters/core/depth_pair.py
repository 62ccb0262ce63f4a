"""Input and ground truth that a user gives, and can give the wrong way round."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pandepth_mm.errors import InputError

# A ground truth that is a scan without what the camera cannot see is a little sparser than the
# input, and right. The other way round, an accumulated or dense map is the input: KITTI's has about
# four times as many measurements as its scans.
_MARGIN = 1.5
_NEARLY_ALL = 0.9  # of the frames: a few may have an empty ground truth


class DepthPair(NamedTuple):
    """Depth of the input and of the ground truth, as the user gives them.

    Attributes:
        sparse: What the user knows the input by: a folder or a flag.
        gt: The same of the ground truth.
        sparse_count: Key of its measured pixels in the counts of a frame.
        gt_count: The same of the ground truth.
    """

    sparse: str
    gt: str
    sparse_count: str
    gt_count: str

    def require_order(self, counts: Iterable[Mapping[str, int]], root: Path, split: str) -> None:
        """Refuse a split whose input is denser than its ground truth, in nearly all frames.

        Args:
            counts: Of each frame, with ``pixels``; frames without a ground truth do not count.
            root: Folder of the data, for the message.
            split: Name of the split, for the message.

        Raises:
            InputError: In 9 of 10 frames the input has over 1.5 times as many measurements.
        """
        pairs = [
            (count[self.sparse_count], count[self.gt_count], count['pixels'])
            for count in counts
            if self.sparse_count in count and self.gt_count in count
        ]
        denser = sum(sparse > _MARGIN * gt for sparse, gt, _ in pairs)
        if pairs and denser >= _NEARLY_ALL * len(pairs):
            sparse, gt, pixels = map(sum, zip(*pairs, strict=True))
            raise InputError(
                root,
                f'depth at {sparse / pixels:.2%} of the pixels in {self.sparse}, the input, and at '
                f'{gt / pixels:.2%} in {self.gt}, the ground truth; {denser} of {len(pairs)} '
                'frames are so',
                'the denser maps as the ground truth: the two are the wrong way round',
                split,
            )

"""The converters between the encodings of a panoptic map."""

import numpy as np
import pytest

from pandepth_mm.structures.panoptic_ids import decode_panoptic, encode_panoptic, number_segments


def segment(category, isthing, **kwargs):
    return dict(category=category, isthing=isthing, **kwargs)


def test_a_frame_worked_by_hand():
    """Of 5 classes 0 and 1 are things; class 3 has two segments, class 1 a crowd."""
    ids = np.array([[65536, 65536, 7, 7], [300, 0, 9, 9], [300, 12, 12, 0]])
    listed = [9, 65536, 300, 12, 7]
    segments = [
        segment(3, False, iscrowd=0),
        segment(1, True, iscrowd=0, area=2),
        segment(3, False),
        segment(1, True, iscrowd=1),
        segment(4, 0),
    ]
    numbers = number_segments(ids, listed)
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [[2, 2, 5, 5], [3, 0, 1, 1], [3, 4, 4, 0]]
    panoptic, encoded = encode_panoptic(numbers, segments, 5)
    assert panoptic.dtype == np.int32
    assert panoptic.tolist() == [[1001, 1001, 4, 4], [2003, 5, 3, 3], [2003, 3001, 3001, 5]]
    assert encoded == [
        dict(id=3, category=3, isthing=False, iscrowd=False),
        dict(id=1001, category=1, isthing=True, iscrowd=False),
        dict(id=2003, category=3, isthing=False, iscrowd=False),
        dict(id=3001, category=1, isthing=True, iscrowd=True),
        dict(id=4, category=4, isthing=False, iscrowd=False),
    ]
    again, found = decode_panoptic(panoptic, 5)
    assert again.dtype == np.int32
    assert again.tolist() == [[3, 3, 2, 2], [4, 0, 1, 1], [4, 5, 5, 0]]
    # id, category, instance, area
    rows = [(1, 3, 0, 2), (2, 4, 0, 2), (3, 1, 1, 2), (4, 3, 2, 2), (5, 1, 3, 2)]
    assert [tuple(s.values()) for s in found] == rows
    assert list(found[0]) == ['id', 'category', 'instance', 'area']


def test_random_frames_against_loops():
    rng = np.random.default_rng(0)
    for _ in range(50):
        num_classes, n = rng.integers(1, 8), rng.integers(0, 9)
        things = rng.random(num_classes) < 0.5
        listed = rng.choice(np.r_[1:40, 256**3 - 40 : 256**3], n, replace=False).tolist()
        ids = rng.choice([0, *listed], (9, 11))
        ids.flat[: n + 1] = [0, *listed]  # each has a pixel
        labels = rng.integers(num_classes, size=n).tolist()
        segments = [segment(label, things[label], iscrowd=rng.random() < 0.2) for label in labels]

        panoptic, encoded = encode_panoptic(number_segments(ids, listed), segments, num_classes)
        internal = [s['id'] for s in encoded]
        assert len({*internal, num_classes}) == n + 1
        assert (panoptic[ids == 0] == num_classes).all()
        for old, new, given, label in zip(listed, encoded, segments, labels, strict=True):
            assert ((panoptic == new['id']) == (ids == old)).all()
            assert new['id'] % 1000 == new['category'] == label
            assert (new['isthing'], new['iscrowd']) == (things[label], given['iscrowd'])
        # k: 0 for the first of each stuff class, the others count on
        others = [
            i // 1000
            for j, (i, label) in enumerate(zip(internal, labels, strict=True))
            if things[label] or label in labels[:j]
        ]
        assert others == list(range(1, len(others) + 1))
        assert sum(i < 1000 for i in internal) == n - len(others)

        numbers, found = decode_panoptic(panoptic, num_classes)
        assert [s['id'] for s in found] == list(range(1, n + 1))
        for s, i in zip(found, sorted(internal), strict=True):
            assert ((numbers == s['id']) == (panoptic == i)).all()
            assert (s['category'], s['instance']) == (i % 1000, i // 1000)
            assert s['area'] == (panoptic == i).sum()
        assert ((numbers == 0) == (ids == 0)).all()


def test_void_and_frames_without_segments():
    void = np.zeros((2, 3), dtype=np.int32)
    panoptic, encoded = encode_panoptic(number_segments(void, []), [], 4)
    assert panoptic.tolist() == [[4] * 3] * 2 and encoded == []
    # any label beyond the classes is void, with an instance number too
    numbers, found = decode_panoptic(np.array([[4, 255, 7004, 2], [1002, 2, 999, 4]]), 4)
    assert numbers.tolist() == [[0, 0, 0, 1], [2, 1, 0, 0]]
    assert [(s['category'], s['instance'], s['area']) for s in found] == [(2, 0, 2), (2, 1, 1)]


def test_refusals():
    ids = np.array([[0, 5, 6, 7]])
    with pytest.raises(ValueError, match=r'segment ids \[5, 7\] that are not among \[6\]'):
        number_segments(ids, [6])
    with pytest.raises(ValueError, match=r'no pixel of the segment ids \[9, 2\]'):
        number_segments(ids, [9, 5, 6, 2, 7])
    for wrong in (-1, 256**3):
        with pytest.raises(ValueError, match='panoptic ids from'):
            decode_panoptic(np.array([[0, wrong]]), 3)

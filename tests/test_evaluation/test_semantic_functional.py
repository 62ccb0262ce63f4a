"""IoU against a loop over the pixels."""

import numpy as np
import pytest

from pandepth_mm.evaluation.functional import confusion_matrix, semantic_summary


def test_confusion_equals_a_loop():
    rng = np.random.default_rng(0)
    gt = rng.choice([0, 1, 2, 3, 255], size=(20, 30))
    pred = rng.choice([0, 1, 2, 3, 4, 255, -1], size=(20, 30))
    expected = np.zeros((4, 5), int)
    for g, p in zip(gt.ravel(), pred.ravel(), strict=True):
        if g != 255:
            expected[g, p if 0 <= p < 4 else 4] += 1
    matrix = confusion_matrix(gt, pred, 4)
    np.testing.assert_array_equal(matrix, expected)
    summary = semantic_summary(matrix)
    for c in range(4):
        counts = gt != 255
        inter = np.sum((gt == c) & (pred == c))
        union = np.sum(counts & ((gt == c) | (pred == c)))
        assert summary['per_class']['IoU'][c] == inter / union
    assert summary['aAcc'] == np.sum(gt == pred) / np.sum(gt != 255) - np.sum(
        (gt == 255) & (pred == 255)
    ) / np.sum(gt != 255)


def test_absent_classes_do_not_count():
    gt = np.array([[0, 0, 1, 255]])
    pred = np.array([[0, 0, 1, 2]])  # class 2 only where nothing counts
    summary = semantic_summary(confusion_matrix(gt, pred, 5))
    assert summary['mIoU'] == summary['mAcc'] == summary['aAcc'] == 1
    assert np.isnan(summary['per_class']['IoU'][2:]).all()


def test_class_only_predicted_counts_as_zero():
    summary = semantic_summary(confusion_matrix(np.array([[0, 0]]), np.array([[0, 1]]), 3))
    assert summary['mIoU'] == (0.5 + 0) / 2
    assert summary['mAcc'] == 0.5  # recall has no class 1


def test_predicted_void_is_not_forgiven():
    summary = semantic_summary(
        confusion_matrix(np.array([[0, 0, 0, 0]]), np.array([[0, 255, 255, 255]]), 3)
    )
    assert summary['mIoU'] == 0.25


def test_nothing_counts():
    void = np.full((2, 2), 255)
    assert np.isnan(semantic_summary(confusion_matrix(void, void, 3))['mIoU'])


def test_label_out_of_range_raises():
    with pytest.raises(ValueError, match='ground-truth labels'):
        confusion_matrix(np.array([[3]]), np.array([[0]]), 3)

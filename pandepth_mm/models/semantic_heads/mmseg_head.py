"""A decode head of mmsegmentation as semantic head."""

from collections.abc import Sequence

from mmdet.utils import ConfigType, OptConfigType
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.errors import InputError
from pandepth_mm.models.hand_down import hand_down
from pandepth_mm.registry import MODELS, type_name
from pandepth_mm.structures.panoptic_ids import VOID_LABEL

_WHERE = 'model.semantic_head.decode_head'


@MODELS.register_module()
class MMSegHead(BaseModule):
    """Preliminary logits of every class, by a decode head of mmsegmentation.

    Any head fits that makes logits from feature maps and does nothing else. Its logits are
    upsampled bilinearly to the size of the image. A head is refused if it refines another one's
    logits (``OCRHead``), predicts from queries (``Mask2FormerHead``), has a loss that reads more
    than logits and labels (``EncHead``, ``PIDHead``), or reads maps of one size (``DPTHead``,
    ``SETRMLAHead``).

    Names in ``decode_head`` are mmseg's, with the prefix ``mmseg.`` or without, and so are those
    inside it. (Elsewhere in our configs a bare ``CrossEntropyLoss`` is mmdet's, which counts
    classes differently.)

    Args:
        decode_head: Config of the head, as mmseg has it: ``type``, ``in_channels``, ``in_index``,
            ``channels``, ... ; the class count is handed down.
        num_classes: Number of classes, void not counted.
        loss: Config of the loss, called with logits (B, C, H, W) and labels (B, H, W). None keeps
            the head's own ``loss_decode`` and ``sampler``.

    Raises:
        InputError: mmseg is not installed, the head does not fit, or it states another class count
            or another label for void than 255.
    """

    def __init__(
        self,
        decode_head: ConfigType,
        num_classes: int,
        loss: OptConfigType = dict(type='pandepth_mm.HardPixelCrossEntropyLoss'),
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.decode_head = _build(decode_head, num_classes)
        self.keeps_loss = loss is None
        self.loss = self.decode_head.loss_decode if self.keeps_loss else MODELS.build(loss)

    def forward(self, feats: Sequence[Tensor], out_size: tuple[int, int]) -> Tensor:
        """Predict the logits.

        Args:
            feats: Maps of the neck (or the backbone), finest first; the head's ``in_index`` says
                which it reads.
            out_size: Height and width of the output, pixels.

        Returns:
            Logits (B, num_classes, *out_size).
        """
        return F.interpolate(
            self.decode_head(feats),
            size=tuple(out_size),
            mode='bilinear',
            align_corners=self.decode_head.align_corners,
        )

    def loss_by_feat(self, logits: Tensor, gt_sem_seg: Tensor) -> dict[str, Tensor]:
        """Loss of the logits (B, C, H, W).

        Args:
            logits: Output of :meth:`forward`.
            gt_sem_seg: Labels (B, H, W), int64, 255 does not count.

        Returns:
            ``loss_semantic``, or what the head's own losses are called, after 'semantic.', with its
            accuracy.
        """
        if not self.keeps_loss:
            return dict(loss_semantic=self.loss(logits, gt_sem_seg))
        from mmseg.structures import SegDataSample

        samples = [SegDataSample(gt_sem_seg=PixelData(data=labels[None])) for labels in gt_sem_seg]
        losses = self.decode_head.loss_by_feat(logits, samples)
        return {f'semantic.{name}': value for name, value in losses.items()}


def _build(cfg: ConfigType, num_classes: int) -> BaseModule:
    """Build a decode head in mmseg's scope, once it is known to fit."""
    try:
        from mmseg.models.decode_heads.cascade_decode_head import BaseCascadeDecodeHead
        from mmseg.models.decode_heads.decode_head import BaseDecodeHead
        from mmseg.registry import MODELS as MMSEG_MODELS
    except ImportError as e:
        raise InputError(
            'Python packages', f'no mmseg ({e})', 'mmsegmentation, for MMSegHead'
        ) from e
    cfg = hand_down(cfg, _WHERE, dict(num_classes=num_classes))
    with MMSEG_MODELS.switch_scope_and_registry('mmseg') as registry:
        kind = registry.get(cfg['type'])
        problem = None
        if kind is None:
            problem = 'which mmseg does not have'
        elif not issubclass(kind, BaseDecodeHead):
            problem = 'which is no BaseDecodeHead'
        elif issubclass(kind, BaseCascadeDecodeHead):
            problem = 'which reads the logits of another head'
        elif kind.loss_by_feat is not BaseDecodeHead.loss_by_feat:
            problem = 'whose loss reads more than logits and labels'
        elif type_name(cfg) in ('DPTHead', 'SETRMLAHead'):
            problem = 'which reads maps of one size, of a plain vision transformer'
        if problem:
            raise InputError(
                'config',
                f'{type_name(cfg)}, {problem}',
                'a decode head that makes logits of feature maps, and nothing else',
                f'{_WHERE}.type',
            )
        head = registry.build(cfg)
    for key, expected in (('ignore_index', VOID_LABEL), ('out_channels', num_classes)):
        if getattr(head, key) != expected:
            raise InputError('config', f'{getattr(head, key)}', f'{expected}', f'{_WHERE}.{key}')
    return head

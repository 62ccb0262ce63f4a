"""docs/images/architecture.svg shows the data flow that the code has.

One test image goes through the paper's model, and every part of it notes which tensors it was given
and which it made.
"""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from random_batch import random_batch
from test_docs import look_up

from pandepth_mm.registry import MODELS

ROOT = Path(__file__).parents[1]
DRAWING = ROOT / 'docs' / 'images' / 'architecture.svg'
CONFIG = ROOT / 'configs' / 'pandepth' / 'pandepth_effb5_vkitti2.py'
SVG = '{http://www.w3.org/2000/svg}'
SIZE = (70, 134)  # no multiple of any stride
INPUTS = ('img', 'sparse_depth', 'cam2img')
# branch of the detector -> what of it is called
CALLS = dict(
    backbone='forward',
    neck='forward',
    semantic_head='forward',
    rpn_head='predict',
    roi_head='predict',
    depth_head='forward',
    joint_head='forward',
    panoptic_fusion='predict',
)


# ---- reading the drawing


def drawn(kind):
    """Groups of a class in the drawing, by id."""
    groups = ElementTree.parse(DRAWING).iter(f'{SVG}g')
    return {group.get('id'): group for group in groups if group.get('class').split()[0] == kind}


def texts(element):
    return [text.text for text in element.iter(f'{SVG}text')]


def drawn_flows():
    paths = ElementTree.parse(DRAWING).iter(f'{SVG}path')
    flows = [path.get('data-flow') for path in paths]
    return [tuple(flow.split()) for flow in flows if flow]


def drawn_makers():
    """Branch that a tensor of the drawing comes from; inputs: themselves."""
    makers = {name: name for name in INPUTS}
    makers.update((to, start) for start, to in drawn_flows() if start in CALLS)
    return makers


def shapes(texts):
    """Shapes in texts, as tuples of sides in text."""
    side = r'(?:\d+|N|[HW](?:/\d+)?)'
    found = []
    for text in texts:
        found += re.findall(rf'{side}(?: × {side})+', text)
    return [tuple(shape.split(' × ')) for shape in found]


def sides(shape, num):
    """Lengths of the sides, for an input of SIZE and ``num`` detections."""
    known = dict(H=SIZE[0], W=SIZE[1], N=num)
    lengths = []
    for side in shape:
        name, _, stride = side.partition('/')
        length = int(name) if name.isdigit() else known[name]
        lengths.append(math.ceil(length / int(stride or 1)))
    return tuple(lengths)


# ---- looking at the model


def tensors(value):
    """All tensors in nested values."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, BaseDataElement):
        value = dict(value.items())
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors(item)]
    return []


class Traced:
    """The model of the drawing, and what one image does in it.

    Attributes:
        flows: (branch or input, branch) for what the second one is given.
        made: Tensors that each branch made, and the inputs.
        sample: The image's predictions.
    """

    def __init__(self):
        self.cfg = Config.fromfile(CONFIG)
        self.cfg.model.backbone.init_cfg = None
        # random weights are sure of nothing; a few boxes shall remain
        self.cfg.model.test_cfg.rcnn.score_thr = 0.0
        self.cfg.model.test_cfg.rcnn.max_per_img = 3
        torch.manual_seed(0)
        self.model = MODELS.build(self.cfg.model).eval()
        self.flows, self.made, self._maker = set(), {}, {}
        for branch, method in CALLS.items():
            self._watch(branch, method)
        self._watch('depth_head', 'prepare')
        batch = self.model.data_preprocessor(random_batch(seeds=[0], size=SIZE), False)
        for name in INPUTS:
            self._note_made(name, batch['inputs'][name])
        with torch.no_grad():
            (self.sample,) = self.model.predict(
                **{'batch_inputs': batch['inputs'], 'batch_data_samples': batch['data_samples']}
            )

    def _watch(self, branch, method):
        module = getattr(self.model, branch)
        call = getattr(module, method)

        def watched(*args, **kwargs):
            for tensor in tensors([args, kwargs]):
                maker = self.maker(tensor)
                if maker is not None:
                    self.flows.add((maker, branch))
            made = call(*args, **kwargs)
            if method == CALLS[branch]:
                self._note_made(branch, made)
            return made

        setattr(module, method, watched)

    def _note_made(self, name, value):
        self.made[name] = tensors(value)  # kept, so that no memory is reused
        for tensor in self.made[name]:
            self._maker.setdefault(self._memory(tensor), name)

    def maker(self, tensor):
        """Who made a tensor, or what it is a view of."""
        return self._maker.get(self._memory(tensor))

    @staticmethod
    def _memory(tensor):
        return tensor.untyped_storage().data_ptr() if tensor.numel() else None


@pytest.fixture(scope='module')
def traced():
    from pandepth_mm.registry import set_default_scope

    set_default_scope()
    return Traced()


# ---- the comparison


def test_modules_are_the_models(traced):
    modules = drawn('module')
    assert set(modules) == set(CALLS)
    for branch, group in modules.items():
        name = texts(group)[0]
        assert name == type(getattr(traced.model, branch)).__name__
        assert MODELS.get(name) is not None


def test_every_class_name_is_one_of_the_model(traced):
    names = {cls.__name__ for module in traced.model.modules() for cls in type(module).__mro__}
    text = ' '.join(texts(ElementTree.parse(DRAWING).getroot()))
    written = set(re.findall(r'\b[A-Z]\w*[a-z]\w*[A-Z]\w*', text))
    assert written <= names
    assert {'FuseBlock', 'Shared2FCBBoxHead'} <= written
    assert {'LSFE', 'DPC', 'MC'} <= names & set(re.findall(r'\w+', text))


def test_arrows_are_the_flow_of_the_code(traced):
    flows, makers = drawn_flows(), drawn_makers()
    assert len(flows) == len(set(flows))
    given = {(makers[start], to) for start, to in flows if to in CALLS}
    # every depth head is handed the maps; the paper's does not read them
    assert given == traced.flows - {('neck', 'depth_head')}


def test_arrows_to_the_predictions(traced):
    predictions = {name for name in drawn('tensor') if name[:5] == 'pred_'}
    assert predictions == {k for k in traced.sample.keys() if k[:5] == 'pred_'}
    flows, makers = drawn_flows(), drawn_makers()
    shown = {
        to: makers[to] if start in CALLS else makers[start]
        for start, to in flows
        if to in predictions
    }
    (refined,) = traced.made[shown.pop('pred_sem_seg')]
    assert torch.equal(traced.sample.pred_sem_seg.sem_seg, refined.argmax(1))
    for name, maker in shown.items():
        made = tensors(traced.sample.get(name))
        assert {traced.maker(tensor) for tensor in made} == {maker}, name


def test_shapes_are_the_models(traced):
    num = len(traced.sample.pred_instances)
    assert num == 3
    makers, compared = drawn_makers(), 0
    for name, group in drawn('tensor').items():
        for shape in shapes(texts(group)):
            found = [tuple(t.shape) for t in traced.made[makers[name]]]
            lengths = sides(shape, num)
            assert lengths in found or (1, *lengths) in found, (name, shape)
            compared += 1
    assert compared == 17


def test_numbers_are_the_configs():
    cfg = Config.fromfile(CONFIG)
    for text in ElementTree.parse(DRAWING).iter(f'{SVG}text'):
        for key in (text.get('data-keys') or '').split():
            value = str(look_up(cfg, key))
            numbers = re.findall(r'[Bb]?[\d.]*\d', text.text.lower())
            assert value in numbers, (key, value, text.text)

"""Loading without running code, saving without half files."""

import copyreg
import os
import pickle
import socket

import numpy as np
import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader, save_checkpoint
from safetensors.torch import save_file

from pandepth_mm.engine.checkpoint import (
    AtomicLocalBackend,
    fill_model,
    find_resumable,
    read_checkpoint,
    set_checkpoint_trust,
    write_weights,
)
from pandepth_mm.errors import InputError
from pandepth_mm.models.backbones import EfficientNetPS


@pytest.fixture(autouse=True)
def restore_loading(monkeypatch):
    for name in ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    before = torch.serialization.get_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def load(path):
    return CheckpointLoader.load_checkpoint(str(path))


class Reduced:
    """Pickles as the given ``__reduce__`` value."""

    def __init__(self, *value):
        self.value = value

    def __reduce__(self):
        return self.value


class ReducedBuffer(Reduced):
    """Pickles as a HistoryBuffer with the given state."""

    __class__ = HistoryBuffer  # pickle looks at it

    def __init__(self, state):
        super().__init__(copyreg.__newobj__, (HistoryBuffer,), state)


def test_what_mmengine_saves_comes_back(tmp_path):
    set_checkpoint_trust(False)
    buffer = HistoryBuffer([1.0, 4.0], [1, 2])
    saved = dict(
        state_dict=dict(w=torch.arange(3.0)),
        meta=dict(epoch=2, dataset_meta=dict(classes=('a', 'b'))),
        message_hub=dict(loss=buffer, best=np.float64(0.5)),
        numbers=[np.float32(1.5), np.int64(3), np.bool_(True)],
        array=np.arange(4, dtype=np.uint8),
    )
    torch.save(saved, tmp_path / 'a.pth')
    loaded = load(tmp_path / 'a.pth')
    assert torch.equal(loaded['state_dict']['w'], torch.arange(3.0))
    assert loaded['meta'] == saved['meta']
    assert loaded['numbers'] == saved['numbers']
    assert loaded['array'].tolist() == [0, 1, 2, 3]
    restored = loaded['message_hub']['loss']
    assert type(restored) is HistoryBuffer
    assert restored.data[0].tolist() == [1.0, 4.0]
    assert restored.data[1].tolist() == [1, 2]
    assert restored.mean() == pytest.approx((1 + 4) / (1 + 2))
    assert restored.statistics('max') == 4.0
    restored.update(7.0)
    assert restored.current() == 7.0
    # and it can be saved and loaded once more, also by torch itself
    torch.save(dict(b=restored), tmp_path / 'b.pth')
    assert torch.load(tmp_path / 'b.pth')['b'].current() == 7.0
    assert load(tmp_path / 'b.pth')['b'].current() == 7.0


def write_exec_by_getattr(path, made):
    """A file that reaches exec with getattr and HistoryBuffer alone.

    ``__setstate__`` of HistoryBuffer copies a dict that the file chooses into the instance (here
    the builtins), and calls ``update`` of an object that the file chooses with a value that the
    file chooses (here exec).
    """

    builtins = Reduced(getattr, (HistoryBuffer.min, '__builtins__'))
    names = ReducedBuffer(builtins)
    runner = ReducedBuffer(dict(update=Reduced(getattr, (names, 'exec'))))
    victim = ReducedBuffer(
        dict(_statistics_methods=runner, _set_default_statistics=Reduced(getattr, (names, 'dict')))
    )
    holder = ReducedBuffer(dict(x=victim))
    code = f'import os; os.mkdir({str(made)!r})'
    again = Reduced(getattr, (holder, 'x'), dict(statistics_methods=code))
    torch.save(dict(state_dict={}, names=names, holder=holder, again=again), path)


def test_getattr_is_no_way_around(tmp_path):
    made, path = tmp_path / 'made', tmp_path / 'a.pth'
    write_exec_by_getattr(path, made)
    set_checkpoint_trust(False)
    with pytest.raises(InputError, match='could run code'):
        load(path)
    assert not made.exists()

    # the same file with the safe names of mmengine's onedl fork
    torch.serialization.clear_safe_globals()
    reconstruct, scalar = np.array(0).__reduce__()[0], np.float64(0).__reduce__()[0]
    with torch.serialization.safe_globals(
        [getattr, HistoryBuffer, np.ndarray, np.dtype, reconstruct, scalar]
    ):
        torch.load(path, weights_only=True)
    assert made.is_dir()


@pytest.mark.parametrize(
    'state',
    [
        dict(_log_history=np.array(['a']), _count_history=np.array([1]), max_length=3),
        dict(_log_history=[1.0], _count_history=np.array([1]), max_length=3),
        dict(max_length=3),
    ],
)
def test_history_buffer_of_something_else(tmp_path, state):
    torch.save(dict(b=ReducedBuffer(state)), tmp_path / 'a.pth')
    set_checkpoint_trust(False)
    with pytest.raises(InputError):
        load(tmp_path / 'a.pth')


@pytest.mark.parametrize('how', ['zip', 'pickle'])
def test_code_is_refused_unless_trusted(tmp_path, how, monkeypatch):
    made, path = tmp_path / 'made', tmp_path / 'a.pth'
    content = dict(state_dict={}, x=Reduced(os.mkdir, (str(made),)))
    if how == 'zip':
        torch.save(content, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=False)
    # what mmdet's users have in their environment does not weaken it
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    set_checkpoint_trust(False)
    with pytest.raises(InputError, match='--trust-checkpoint') as error:
        load(path)
    assert str(path) in str(error.value)
    # not even a caller that asks for a full unpickle gets one
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=False)
    assert not made.exists()

    set_checkpoint_trust(True)
    load(path)
    assert made.is_dir()


@pytest.mark.parametrize(
    'content, message',
    [
        (b'', 'no checkpoint'),
        (b'hello', 'no checkpoint'),
        (b'PK\x03\x04 not a real archive', 'complete checkpoint'),
    ],
)
def test_no_checkpoint(tmp_path, content, message):
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    set_checkpoint_trust(False)
    with pytest.raises(InputError, match=message):
        load(path)


def test_safetensors_that_are_broken(tmp_path):
    write_weights(tmp_path / 'a.safetensors', dict(w=torch.arange(100.0)), dict(iter=3))
    whole = (tmp_path / 'a.safetensors').read_bytes()
    set_checkpoint_trust(False)
    assert load(tmp_path / 'a.safetensors')['meta'] == dict(iter=3)
    path = tmp_path / 'b.safetensors'
    for content in (b'', b'hello', whole[:20], whole[:-1], b'PK' + whole, whole + b'1'):
        path.write_bytes(content)
        for read in (load, read_checkpoint):
            with pytest.raises(InputError, match='b.safetensors: found an unreadable file .*') as e:
                read(str(path))
            assert '\n' not in str(e.value)
    # foreign ones have no facts, and broken facts are refused
    save_file(dict(w=torch.arange(3.0)), path)
    found = load(path)
    assert found['meta'] == {} and found['state_dict']['w'].tolist() == [0, 1, 2]
    save_file(dict(w=torch.arange(3.0)), path, metadata=dict(pandepth_mm='{'))
    with pytest.raises(InputError, match='found an unreadable file'):
        load(path)


def test_weights_that_share_memory(tmp_path):
    """And parts of larger tensors: both formats give back the same."""
    table = torch.arange(12.0).reshape(3, 4)
    weights = dict(a=table, b=table, c=table.T, d=table[1:, :2])
    for suffix in ('.pth', '.safetensors'):
        write_weights(tmp_path / f'w{suffix}', weights, {})
        found = read_checkpoint(tmp_path / f'w{suffix}')['state_dict']
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], weights[name]) for name in weights)
    with pytest.raises(InputError, match="w.pt: suffix: found '.pt'; expected one of"):
        write_weights(tmp_path / 'w.pt', weights, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ['w.pth', 'w.safetensors']


@pytest.mark.parametrize('url', ['http://localhost:{}/w.pth', 'https://[bad/w.pth', 'http://'])
def test_an_address_that_cannot_be_reached(url, tmp_path, monkeypatch):
    """The reason is told, and what to do; also where a backbone begins from weights."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    with socket.socket() as free:  # a port that nobody listens to afterwards
        free.bind(('localhost', 0))
        url = url.format(free.getsockname()[1])
    set_checkpoint_trust(False)
    init_cfg = dict(type='Pretrained', checkpoint=url)
    backbone = EfficientNetPS('b0', init_cfg=init_cfg)
    for read in (load, read_checkpoint, lambda _: backbone.init_weights()):
        with pytest.raises(InputError) as error:
            read(url)
        assert str(error.value).startswith(f'{url}: found no download (')
        assert 'or a local file (of a backbone: init_cfg=None goes' in str(error.value)
        assert 'localhost' not in url or 'Connection refused' in str(error.value)
    assert socket.getdefaulttimeout() is None
    assert [path.name for path in tmp_path.rglob('*') if path.is_file()] == []


def test_no_dict_and_no_file(tmp_path):
    set_checkpoint_trust(False)
    torch.save([1, 2], tmp_path / 'a.pth')
    with pytest.raises(InputError, match='found list'):
        load(tmp_path / 'a.pth')
    with pytest.raises(InputError, match='no such file'):
        load(tmp_path / 'b.pth')
    with pytest.raises(InputError, match='found a folder'):
        load(tmp_path)


@pytest.mark.parametrize('url', ['s3://a/b.pth', 'open-mmlab://resnet50'])
def test_stores_that_need_a_full_unpickle(url):
    set_checkpoint_trust(False)
    with pytest.raises(InputError, match='weights-only'):
        load(url)


def test_interrupted_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'epoch_1.pth'
    backend = AtomicLocalBackend()
    backend.put(b'old', path)

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', fail)
        with pytest.raises(KeyboardInterrupt):
            backend.put(b'new', path)
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['epoch_1.pth']
    backend.put(b'new', path)
    assert path.read_bytes() == b'new'


def test_mmengine_saves_through_it(tmp_path, monkeypatch):
    from mmengine.fileio import backends as registered
    from mmengine.fileio import io

    from pandepth_mm.engine.checkpoint import save_atomically

    monkeypatch.setattr(io, 'backend_instances', {})
    for table in (registered.backends, registered.prefix_to_backends):
        for key, value in list(table.items()):
            monkeypatch.setitem(table, key, value)
    save_atomically()
    path = str(tmp_path / 'a.pth')
    assert isinstance(get_file_backend(path), AtomicLocalBackend)
    moves = []
    replace = os.replace
    monkeypatch.setattr(os, 'replace', lambda a, b: (moves.append((a, str(b))), replace(a, b)))
    save_checkpoint(dict(state_dict={}), path)
    assert moves == [(f'{path}.tmp', path)]
    assert torch.load(path) == dict(state_dict={})


def test_find_resumable(tmp_path):
    assert find_resumable(tmp_path) is None
    assert find_resumable(tmp_path / 'nowhere') is None
    files = [tmp_path / f'epoch_{i}.pth' for i in (1, 2, 10)]
    for i, file in enumerate(files):
        torch.save(dict(i=i), file)
        os.utime(file, (i, i))
    assert find_resumable(tmp_path) == str(files[2])

    pointer = tmp_path / 'last_checkpoint'
    pointer.write_text(str(files[1]))
    assert find_resumable(tmp_path) == str(files[1])
    for text in ('', str(tmp_path / 'epoch_11.pth')):
        pointer.write_text(text)
        assert find_resumable(tmp_path) == str(files[2])
    # half a file, as a kill leaves it
    files[2].write_bytes(files[2].read_bytes()[:-30])
    pointer.write_text(str(files[2]))
    assert find_resumable(tmp_path) == str(files[1])
    # the folder was moved
    pointer.write_text('/somewhere/else/epoch_1.pth')
    assert find_resumable(tmp_path) == str(files[0])


def read_into(model, path):
    checkpoint = read_checkpoint(str(path))
    fill_model(model, checkpoint, str(path))
    return checkpoint


def test_a_checkpoint_fills_a_model(tmp_path):
    """From weights alone, of a distributed run, and with names beyond."""
    source, path = torch.nn.Linear(3, 2), tmp_path / 'w.pth'
    weights = source.state_dict()
    for content in (
        weights,
        dict(state_dict=weights, meta=dict(iter=3)),
        {f'module.{name}': value for name, value in weights.items()},
        {**weights, 'other.weight': torch.zeros(1)},
    ):
        torch.save(content, path)
        model = torch.nn.Linear(3, 2)
        before = dict(os.environ)
        checkpoint = read_into(model, path)
        assert checkpoint.keys() == content.keys()
        assert all(
            torch.equal(a, b) for a, b in zip(model.parameters(), source.parameters(), strict=True)
        )
        assert dict(os.environ) == before  # nothing for the whole process
    torch.save(dict(weight=weights['weight']), path)
    with pytest.raises(InputError, match=r'1 of the 2 weights .*bias is mis'):
        read_into(torch.nn.Linear(3, 2), path)
    torch.save(weights, path)
    with pytest.raises(InputError, match=r'weight: found shape \(2, 3\)'):
        read_into(torch.nn.Linear(4, 2), path)
    torch.save(dict(state_dict=Reduced(print, ('this ran',))), path)
    with pytest.raises(InputError, match='could run code on loading'):
        read_into(torch.nn.Linear(3, 2), path)

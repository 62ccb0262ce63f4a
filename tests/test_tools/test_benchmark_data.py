"""tools/analysis_tools/benchmark_data.py on a few frames."""

import benchmark_data
import pytest
from benchmark_data import MIB, growth, measure_memory, parse_args, read_settings
from test_converters.vkitti2_frames import make_root
from tiny_dataset import make_tiny_dataset

from pandepth_mm.fileio import read_json

CONFIG = 'pandepth_effb0_minivkitti'


@pytest.fixture(scope='module')
def options(tmp_path_factory):
    """The config's name, and its data set replaced by a tiny one."""
    root = make_tiny_dataset(tmp_path_factory.mktemp('tiny'), splits=('train',))
    keys = dict(data_root=root, img_scale='(96,48)')
    return [
        CONFIG,
        '--cfg-options',
        *(f'train_dataloader.dataset.{k}={v}' for k, v in keys.items()),
    ]


def test_all_is_told(options, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark_data, 'YARDSTICK_SIZE', (20, 30))
    raw, out = make_root(tmp_path / 'raw'), tmp_path / 'out.json'
    numbers = ['--workers', '1', '2', '--samples', '16', '--frames', '6', '3', '--raw', raw]
    benchmark_data.main([*options, *map(str, numbers), '--out', str(out)])
    printed, found = capsys.readouterr().out, read_json(out)
    for table in ('converter', 'loader'):
        assert [row['workers'] for row in found[table]] == [1, 2]
        for row in found[table]:
            assert row['cpu_ms'] > 0 < row['per_second']
            assert row['per_second'] == pytest.approx(row['workers'] * row['per_worker'])
            assert f'{row["workers"]:8}{row["per_second"]:12.1f}' in printed
    many, few = found['memory']
    assert (many['frames'], few['frames']) == (6, 3)
    assert many['records'] / few['records'] == pytest.approx(2, rel=0.2)
    assert 0 < few['private'] < few['pss']
    assert f'the records by {(many["records"] - few["records"]) / MIB:.1f}\n' in printed
    assert 0 < found['yardstick']['core'] < 1.1


def test_memory_of_a_worker(options):
    """Its own part does not grow with the records; where they are no bytes, it does."""
    settings = read_settings(parse_args(options))
    private, records = growth([measure_memory(settings, frames) for frames in (500, 8000)])
    assert private < records / 2 and records > 5 * MIB
    settings.dataset.serialize_data = False
    private, _ = growth([measure_memory(settings, frames) for frames in (500, 8000)])
    assert private > records


def test_names_are_distinct_and_files_those_of_the_config(options, tmp_path):
    settings = read_settings(parse_args(options))
    dataset = benchmark_data.build_dataset(
        benchmark_data.repeat_frames(settings.dataset, 10, tmp_path)
    )
    original = benchmark_data.build_dataset(settings.dataset)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert len(infos) == 10 and len({info['img_id'] for info in infos}) == 10
    for key in (key for key in infos[0] if key.endswith('_path')):
        assert len({info[key] for info in infos}) == 10
        # four frames, then the same again
        with open(infos[6][key], 'rb') as file, open(original.get_data_info(2)[key], 'rb') as same:
            assert file.read() == same.read()


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--workers', '1', '0'], '--workers: found 0'),
        (['--samples', '0'], '--samples: found 0'),
        (['--frames', '-3'], '--frames: found -3'),
        (['--out', '/proc/no/such'], '--out'),
    ],
)
def test_bad_input(capsys, flags, message):
    with pytest.raises(SystemExit):
        benchmark_data.main([CONFIG, *flags])
    err = capsys.readouterr().err
    assert message in err and 'Traceback' not in err


def test_config_without_one_data_set(capsys, toy_config):
    with pytest.raises(SystemExit):
        benchmark_data.main([str(toy_config)])
    assert 'train_dataloader.dataset: found no ann_file' in capsys.readouterr().err

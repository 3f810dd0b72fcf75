"""The paper's numbers against literal ones, and hand-made records through to the page."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from looc_mm_paper_tables import (
    METHODS,
    TABLES,
    aggregate,
    build_page,
    collect,
    find_method,
    find_results,
    to_html,
    to_markdown,
    write_pages,
)
from mmengine.config import Config

from looc_mm.corruptions import GROUPS

CONFIGS = Path(__file__).parents[2] / 'configs'

# Typed from the paper a second time, a whole row each: (table, index of the row, method, numbers).
PAPER = [
    ('Table 1', 0, 'supervised', '72.3 83.7 95.7'),
    ('Table 1', 1, 'moco', '61.1 81.0 95.2'),
    ('Table 1', 2, 'moco_rotation', '43.3 79.4 94.1'),
    ('Table 1', 3, 'moco_same_rotation', '45.5 78.1 94.3'),
    ('Table 1', 4, 'looc_rotation', '65.2 80.2 95.5'),
    ('Table 2', 0, 'moco', '36.2 62.0 36.7 64.7 67.9±0.5 77.3±0.1 81.0 95.2'),
    ('Table 2', 1, 'looc_color', '41.2 67.0 40.1 69.7 68.2±0.6 77.6±0.1 81.1 95.3'),
    ('Table 2', 2, 'looc_rotation', '40.0 65.4 38.8 67.0 70.1±0.4 79.3±0.1 80.2 95.5'),
    ('Table 2', 3, 'looc', '44.0 69.3 39.6 69.2 70.9±0.3 80.8±0.2 79.2 94.7'),
    ('Table 2', 4, 'loocpp', '46.1 71.5 39.3 69.3 68.1±0.4 78.8±0.2 81.2 95.2'),
    ('Table 3', 0, 'supervised', '30.9 54.8 28.4 47.1 44.9 58.5 47.2 36.5 83.7 95.7'),
    ('Table 3', 1, 'moco', '29.2 54.2 37.9 38.5 47.7 60.1 48.2 37.2 81.0 95.2'),
    ('Table 3', 2, 'looc_rotation', '34.2 59.6 31.3 33.1 42.4 54.9 42.7 31.8 80.2 95.5'),
    ('Table 3', 3, 'looc_texture', '30.1 54.1 42.4 39.6 54.0 61.9 51.3 41.9 81.0 94.7'),
    ('Table 3', 4, 'looc_rotation_texture', '33.3 59.2 37.0 35.2 50.2 56.9 46.5 37.2 79.4 94.3'),
    ('Table 3', 5, 'loocpp_rotation_texture', '32.6 57.3 38.3 37.6 52.0 60.0 48.8 38.9 82.1 95.1'),
    ('Table 4', 0, 'moco_all', '- - - - - 81.1±0.2 -'),
    ('Table 4', 1, 'looc_all', '- - - - - 81.4±0.2 -'),
    ('Table 4', 2, 'mocopp_all', '80.8 94.6 43.4 68.5 70.0±0.8 80.5±0.3 48.3'),
    ('Table 4', 3, 'loocpp_all', '82.2 95.3 45.9 71.4 71.0±0.7 81.9±0.3 48.0'),
    ('Table 5', 0, 'loocpp_all', '78.5 94.3 38.5 64.7 68.6±0.6 77.6±0.1 48.0'),
    ('Table 5', 1, 'loocpp_all', '79.7 94.4 42.9 68.7 69.1±0.7 79.5±0.2 47.1'),
    ('Table 5', 2, 'loocpp_all', '81.5 94.9 41.4 67.4 70.5±0.6 80.0±0.2 52.6'),
    ('Table 5', 3, 'loocpp_all', '80.3 94.9 43.0 68.6 70.4±0.5 80.5±0.2 44.1'),
    ('Table 5', 4, 'loocpp_all', '82.2 95.3 45.9 71.4 71.0±0.7 81.9±0.3 48.0'),
    ('Table E.1', 0, 'moco', '81.0 95.2'),
    ('Table E.1', 1, 'moco_rotation', '79.4 94.1'),
    ('Table E.1', 2, 'moco_add_one_color', '74.9 92.5'),
    ('Table E.1', 3, 'moco_add_one_rotation', '79.3 94.4'),
    ('Table E.1', 4, 'looc_color', '81.1 95.3'),
    ('Table E.1', 5, 'looc_rotation', '80.2 95.5'),
]
HEADS = {
    'Table 1': ['rotation in100 top1', 'linear in100 top1', 'linear in100 top5'],
    'Table 2': [
        *('linear inat2019 top1', 'linear inat2019 top5', 'linear cub top1', 'linear cub top5'),
        *('few_shot flowers102 top1/5-shot', 'few_shot flowers102 top1/10-shot'),
        *('linear in100 top1', 'linear in100 top5'),
    ],
    'Table 3': [
        *('linear objectnet top1', 'linear objectnet top5'),
        *(f'robustness imagenet-c top1/{each}' for each in ('noise', 'blur', 'weather', 'digital', 'all', 'd>=3')),
        *('linear in100 top1', 'linear in100 top5'),
    ],
    'Table 5': [
        *('linear in100 top1', 'linear in100 top5', 'linear inat2019 top1', 'linear inat2019 top5'),
        *('few_shot flowers102 top1/5-shot', 'few_shot flowers102 top1/10-shot', 'robustness imagenet-c top1/all'),
    ],
    'Table E.1': ['linear in100 top1', 'linear in100 top5'],
}
HEADS['Table 4'] = HEADS['Table 5']


def record(checkpoint: str | None, value: float, **more) -> dict:
    """A record of a checkpoint <folder>/<config>/..."""
    return {
        **dict(protocol='linear', dataset='in100', representation='V', metric='top1', value=value, ci=None),
        **dict(checkpoint=checkpoint, experiment=checkpoint and checkpoint.split('/')[1], seed=0, seconds=1.0),
        **more,
    }


def run(config: str, epoch: int = 500) -> str:
    return f'work_dirs/{config}/epoch_{epoch}.pth'


@pytest.fixture
def results(tmp_path):
    """Write records and read them, one file per call's entry."""

    def write(*files: list[dict], **options):
        paths = []
        for number, records in enumerate(files):
            paths.append(tmp_path / str(number) / 'results.json')
            paths[-1].parent.mkdir(exist_ok=True)
            paths[-1].write_text(json.dumps(records))
        return collect(paths, **options)[0]

    return write


def cells(page, table: str) -> dict[str, list[str]]:
    """Our numbers by label of the row."""
    section = next(each for each in page.sections if each.title.startswith(f'{table}. '))
    return {label: [ours for ours, _ in pairs] for label, _, pairs in section.body}


def test_the_page_says_how_linear_layers_were_fitted(results):
    fitted = record(run('moco_r50_in100'), 60.0, solver='lbfgs')
    assert "ours by lbfgs, the paper's by sgd on random crops" in build_page(results([fitted])).intro
    assert 'Linear layers' not in build_page(results([record(run('moco_r50_in100'), 60.0)])).intro


def section(page, table: str):
    return next(each for each in page.sections if each.title.startswith(f'{table}. '))


def test_the_papers_numbers():
    found = []
    for table in TABLES:
        for index, row in enumerate(table.rows):
            numbers = [
                '-' if each is None else f'{each[0]}±{each[1]}' if isinstance(each, tuple) else str(each)
                for each in row.values
            ]
            found.append((table.name, index, row.method, ' '.join(numbers)))
    assert found == PAPER
    assert {
        table.name: [f'{each.protocol} {each.dataset} {each.metric}' for each in table.columns] for table in TABLES
    } == HEADS


def test_comparisons_hold_for_the_papers_numbers():
    number = {
        (name, index, column): float(text.split('±')[0])
        for name, index, _, texts in PAPER
        for column, text in enumerate(texts.split())
        if text != '-'
    }
    for table in TABLES:
        assert table.checks
        for check in table.checks:
            assert number[table.name, check.better, check.column] > number[table.name, check.worse, check.column], check


def test_the_papers_all_cannot_be_rebuilt():
    """What the note under Table 3 says."""
    sizes = [len(GROUPS[group]) for group in ('noise', 'blur', 'weather', 'digital')]
    for table, _, _, texts in PAPER:
        if table == 'Table 3':
            numbers = [float(each) for each in texts.split()]
            mean = sum(size * each for size, each in zip(sizes, numbers[2:6], strict=True)) / sum(sizes)
            assert 1.15 < numbers[6] - mean < 1.75


def test_methods_are_those_of_the_configs():
    for method in METHODS:
        for suite in ('r50_in100', 'r18_imagenette', 'factors'):
            (path,) = CONFIGS.glob(f'*/{method}_{suite}.py')
            found = find_method('any/epoch_1.pth', f'{method}_{suite}', {})
            assert found == (method, suite, texture_of(path))
    for other in ('multi_head_moco_r50_in100', 'looc_simclr_r50_in100', 'augself_factors'):
        assert len(list(CONFIGS.glob(f'*/{other}.py'))) == 1
        assert find_method('any/epoch_1.pth', other, {}) is None


def texture_of(config: Path) -> str | None:
    """The type of the texture augmentation that a config builds."""
    pipeline = (Config.fromfile(config).model.get('data_preprocessor') or {}).get('pipeline', {})
    found = [each['type'] for each in pipeline.get('augmentations', ()) if each['type'].endswith('Texture')]
    return found[0] if found else None


@pytest.mark.parametrize(
    ('checkpoint', 'experiment', 'expected'),
    [
        ('work_dirs/mine/epoch_500.pth', 'looc_r50_in100', ('looc', 'r50_in100', None)),
        (
            'work_dirs/looc_r50_in100/epoch_500.pth',
            'loocpp_all_factors',
            ('loocpp_all', 'factors', 'RandomConvTexture'),
        ),
        ('work_dirs/looc_r50_in100/epoch_500.pth', 'mine', None),
        ('work_dirs/looc_r50_in100/epoch_500.pth', None, None),
        ('work_dirs/mine/epoch_16.pth', 'looc_simclr_factors', None),
        ('work_dirs/mine/epoch_16.pth', 'moco_stylized_r50_in100', None),
        ('given/a/epoch_1.pth', 'moco_factors', ('looc', None, None)),
        ('given/b/epoch_1.pth', None, ('moco_all', None, None)),
        ('given_not/epoch_1.pth', None, None),
    ],
)
def test_the_method_is_the_records_and_not_the_folders(checkpoint, experiment, expected):
    assert find_method(checkpoint, experiment, {'given': 'looc', 'given/b/': 'moco_all'}) == expected


def test_stylised_images_are_the_papers_setting_of_looc_all(results):
    stylized, plain = 'looc_all_stylized_r50_in100', 'looc_all_r50_in100'
    (path,) = CONFIGS.glob(f'*/{stylized}.py')
    assert texture_of(path) == 'StylizedTexture'
    assert find_method('any.pth', stylized, {}) == ('looc_all', 'r50_in100', 'StylizedTexture')
    page = build_page(results([record(run(stylized), 70.0)]))
    assert cells(page, 'Table 4')['LooC'][0] == '70.0'
    assert not [note for note in section(page, 'Table 4').notes if 'RandomConvTexture' in note]
    with pytest.raises(ValueError, match='runs with stylised images and runs with RandomConvTexture, and no mean'):
        build_page(results([record(run(stylized), 70.0)], [record(run(plain), 60.0)]))


def test_a_note_names_the_rows_with_another_texture_than_the_papers(results):
    page = build_page(
        results(
            [record(run('looc_texture_r50_in100'), 60.0)],
            [record(run('loocpp_rotation_texture_r50_in100'), 61.0)],
            [record(run('looc_rotation_r50_in100'), 62.0)],
        )
    )
    note = (
        'In our numbers of LooC (texture), LooC++ (rotation, texture), texture is RandomConvTexture (random '
        "convolutions) and not the paper's stylised images."
    )
    assert section(page, 'Table 3').notes[-1] == note
    assert f'Note: {note}'.replace("'", '&#x27;') in to_html(page)
    assert not [each for table in ('Table 1', 'Table 4') for each in section(page, table).notes if 'texture' in each]


def test_a_method_given_by_hand_goes_before_the_folders_name(results):
    checkpoint = run('looc_r50_in100')
    assert [each.method for each in results([record(checkpoint, 1)], given={checkpoint: 'moco'})] == ['moco']


def test_runs_are_averaged(results):
    """60, 64 and 65: mean 63, half range 2.5."""
    found = results(
        [record('w/looc_rotation_factors/seed0/epoch_16.pth', 60.0)],
        [record('w/looc_rotation_factors/seed1/epoch_16.pth', 64.0, seed=1)],
        [record('w/looc_rotation_factors/seed2/epoch_16.pth', 65.0, seed=2)],
        [record('w/looc_rotation_factors/seed2/epoch_16.pth', 65.0, seed=2)],  # a copy
    )
    cell = aggregate(found[:3])
    assert (cell.value, cell.spread, cell.runs) == (63.0, 2.5, 3)
    assert cells(build_page(found), 'Table 1')['LooC + Rotation'] == ['–', '63.0 ± 2.5 (n=3)', '–']


def test_a_single_run_keeps_its_interval(results):
    page = build_page(
        results(
            [
                record(
                    run('looc_r50_in100'),
                    70.04,
                    protocol='few_shot',
                    dataset='flowers102',
                    metric='top1/5-shot',
                    ci=0.46,
                )
            ]
        )
    )
    row = section(page, 'Table 2').body[3]
    assert row[:2] == ('LooC (color, rotation)', 'looc')
    assert row[2][4] == ('70.0 (±0.5)', '70.9 (±0.3)')
    assert row[2][5] == ('–', '80.8 (±0.2)')


def test_every_record_goes_to_its_column(results):
    checkpoint = run('looc_rotation_texture_r50_in100')
    robustness = dict(protocol='robustness', dataset='imagenet-c')
    page = build_page(
        results(
            [
                record(checkpoint, 1.0, dataset='objectnet'),
                record(checkpoint, 2.0, dataset='objectnet', metric='top5'),
                record(checkpoint, 3.0, metric='top1/noise', **robustness),
                record(checkpoint, 4.0, metric='top1/all', **robustness),
                record(checkpoint, 5.0, metric='top1/d>=3', **robustness),
                record(checkpoint, 6.0, metric='top1/fog', **robustness),
                record(checkpoint, 7.0),
                record(checkpoint, 8.0, representation=['invariant']),  # not V
                record(checkpoint, 9.0, factor='color'),  # not the class
            ]
        )
    )
    ours = cells(page, 'Table 3')['LooC (rotation, texture)']
    assert ours == ['1.0', '2.0', '3.0', '–', '–', '–', '4.0', '5.0', '7.0', '–']
    assert page.unused == {'robustness on imagenet-c': 1, 'linear on in100': 2}


def test_table_5_takes_the_spaces(results):
    checkpoint = run('loocpp_all_r50_in100')
    page = build_page(
        results(
            [
                record(checkpoint, 1.0, protocol='space_ablation', representation=['invariant']),
                record(checkpoint, 2.0, protocol='space_ablation', representation=['color', 'invariant']),
                record(checkpoint, 3.0, protocol='space_ablation', representation=['color']),
                record(checkpoint, 4.0, representation=['invariant', 'color']),  # gives way to the ablation's
                record(checkpoint, 5.0, representation=['invariant', 'texture']),
                record(checkpoint, 6.0),  # V of LooC++ is all its spaces
            ]
        )
    )
    assert [row[0] for row in cells(page, 'Table 5').values()] == ['1.0', '2.0', '–', '5.0', '6.0']
    assert cells(page, 'Table 4')['LooC++'][0] == '6.0'


def test_stand_ins_are_named(results):
    rotation = dict(protocol='rotation', factor='rotation')
    found = results(
        [
            record(run('moco_factors'), 90.0, dataset='factors', factor='shape'),
            record(run('moco_factors'), 91.0, dataset='factors', **rotation),
            record(run('moco_factors'), 50.0, dataset='factors', factor='color'),
            record(run('moco_factors'), 40.0, dataset='flowers5', protocol='few_shot', metric='top1/5-shot'),
        ]
    )
    page = build_page(found, {'in100': 'factors/shape', 'flowers102': 'flowers5'})
    one, two = section(page, 'Table 1'), section(page, 'Table 2')
    assert one.head[:2] == ['factors (stand-in for IN-100) 4-way rotation', 'factors/shape (stand-in for IN-100) top-1']
    assert cells(page, 'Table 1')['MoCo'] == ['91.0', '90.0', '–']
    assert 'factors/shape instead of IN-100' in one.warning and 'flowers5' not in one.warning
    assert 'flowers5 instead of Flowers-102' in two.warning
    assert two.head[0] == 'iNat-1k top-1' and two.head[4] == 'flowers5 (stand-in for Flowers-102) 5-shot'
    for text in (to_markdown(page), to_html(page)):
        assert 'stand-in for IN-100' in text and 'factors/shape instead of IN-100' in text


def test_directions(results):
    """One comparison as in the paper, one equal at the shown precision, one reversed; others lack numbers."""
    page = build_page(
        results(
            [
                record(run('moco_r50_in100'), 60.0),
                record(run('moco_rotation_r50_in100'), 55.0),
                record(run('moco_same_rotation_r50_in100'), 55.04),
                record(run('looc_rotation_r50_in100'), 50.0),
            ]
        )
    )
    one = section(page, 'Table 1')
    assert one.verdicts == [
        'MoCo above MoCo + Rotation on IN-100 top-1: yes, 60.0 > 55.0 (paper 81.0 > 79.4)',
        'MoCo + Rotation above MoCo + Rotation (same for q and k) on IN-100 top-1: no, 55.0 = 55.0 (paper 79.4 > 78.1)',
        'LooC + Rotation above MoCo + Rotation on IN-100 top-1: no, 50.0 < 55.0 (paper 80.2 > 79.4)',
    ]
    assert one.summary == '1 of 3 comparisons point the same way; 3 more lack a number.'
    three = section(page, 'Table 3')
    assert three.verdicts == [] and three.summary == 'no two numbers that a comparison of the paper needs.'


def test_a_direction_within_the_spread_is_called_so(results):
    found = results(
        [record('w/moco_factors/seed0/a.pth', 60.0), record('w/moco_factors/seed1/a.pth', 62.0)],
        [record('w/moco_rotation_factors/seed0/a.pth', 60.0)],
    )
    assert 'yes, 61.0 > 60.0, within the spread (' in section(build_page(found), 'Table 1').verdicts[0]


def test_markup_is_escaped(results):
    name = 'a<b>|"&_x'
    found = results([record(run('moco_factors'), 60.0, dataset=name)])
    page = build_page(found, {'in100': name})
    text = to_html(page)
    assert 'a&lt;b&gt;|&quot;&amp;_x (stand-in' in text and '<b>|' not in text
    head = next(line for line in to_markdown(page).splitlines() if line.startswith('| model'))
    assert 'a\\<b>\\|"\\&\\_x (stand-in' in head


def test_html_is_well_formed_and_stands_alone(results):
    class Checker(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.rows = [], []

        def handle_starttag(self, tag, attrs):
            assert tag not in ('script', 'link', 'img')
            if tag == 'tr':
                self.rows.append(0)
            self.rows[-1:] = [each + (tag in ('td', 'th')) for each in self.rows[-1:]]
            if tag != 'meta':
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    checker = Checker()
    checker.feed(to_html(build_page(results([record(run('moco_r50_in100'), 60.0)]))))
    assert checker.open == []
    assert checker.rows == [2 + len(table.columns) for table in TABLES for _ in range(1 + len(table.rows))]


def test_markdown_rows_have_the_columns_of_the_head(results):
    text = to_markdown(build_page(results([record(run('moco_r50_in100'), 60.0)])))
    rows = [line for line in text.splitlines() if line.startswith('|')]
    assert [line.count('|') - 3 for line in rows] == [
        len(table.columns) for table in TABLES for _ in range(2 + len(table.rows))
    ]
    assert 'tand-in' not in text
    assert '| MoCo | `moco` | – / 61.1 | 60.0 / 81.0 | – / 95.2 |' in rows


def test_written_as_a_whole(results, tmp_path):
    page = build_page(results([record(run('moco_r50_in100'), 60.0)]))
    paths = write_pages(page, tmp_path / 'new/folder')
    assert sorted(paths) == sorted((tmp_path / 'new/folder').iterdir())
    assert [path.read_text(encoding='utf-8') for path in paths] == [to_markdown(page), to_html(page)]


def test_what_has_no_method_is_counted(tmp_path):
    path = tmp_path / 'results.json'
    path.write_text(json.dumps([record(None, 1), record(run('augself_factors'), 1), record(run('moco_factors'), 1)]))
    found, left = collect([path])
    assert [each.method for each in found] == ['moco']
    assert left == {
        'random weights': 1,
        f'{run("augself_factors")}: no method of the tables (config augself_factors)': 1,
    }
    assert collect([path], suite='r50_in100')[0] == []


def test_of_a_training_that_was_repeated_in_its_folder_the_newest_counts(results):
    old, new = (record(run('moco_r50_in100'), value) | {'weights': name} for name, value in (('a', 1), ('b', 2)))
    assert [each.value for each in results([old, new])] == [2]
    assert [each.value for each in results([new, old])] == [1]


@pytest.mark.parametrize(
    ('records', 'message'),
    [
        ([record(run('moco_r50_in100'), 1), record(run('moco_r50_in100'), 2)], 'for the same checkpoint and seed'),
        ([record(run('moco_r50_in100', 1), 1), record(run('moco_r50_in100', 2), 2)], 'two checkpoints of one run'),
        ([record(run('moco_r50_in100'), 1), record(run('looc_factors'), 2)], 'choose one with --suite'),
        ([record(run('moco_r50_in100'), 1, dataset='imagenette')], 'No result has a place'),
        ([record(run('moco_r50_in100'), 1, protocol='knn')], 'No result has a place'),
    ],
)
def test_contradictions_are_refused(results, records, message):
    with pytest.raises(ValueError, match=message):
        build_page(results(records))


def test_stand_ins_that_cannot_be(results):
    found = results([record(run('moco_r50_in100'), 1)])
    with pytest.raises(ValueError, match="No table has the dataset 'in1000'; there are in100"):
        build_page(found, {'in1000': 'imagenette'})
    with pytest.raises(ValueError, match='has results on in100, for which imagenette is given as a stand-in'):
        build_page(found, {'in100': 'imagenette'})
    with pytest.raises(ValueError, match='IN-C-100 has two stand-ins'):
        build_page(found, {'imagenet-c': 'a', 'in-c-100': 'b'})
    with pytest.raises(ValueError, match=r"the methods \['looc_rotations'\]; those of the tables are looc, "):
        collect([], {'w': 'looc_rotations'})


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[', 'cannot be read as JSON'),
        ('{}', 'it is no list'),
        ('[1]', 'a record is a dict, got int'),
        ('[{"protocol": "linear"}]', 'lacks dataset, representation, metric, value, checkpoint'),
        (json.dumps([record('w/a', float('nan'))]), 'value is a number, got nan'),
        (json.dumps([record('w/a', 1, ci='0.5')]), "ci is a number, got '0.5'"),
        (json.dumps([record('w/a', 1, representation='Z')]), "representation is 'V' or a list of spaces, got 'Z'"),
        (json.dumps([record('w/a', 1, dataset=None)]), 'dataset is a name, got None'),
        (json.dumps([record('w/a', 1) | {'checkpoint': 1}]), 'checkpoint is str or null, got 1'),
        (json.dumps([record('w/a', 1, seed=[1])]), r'seed is int or null, got \[1\]'),
    ],
)
def test_files_that_are_no_results(tmp_path, text, message):
    path = tmp_path / 'results.json'
    path.write_text(text)
    with pytest.raises(ValueError, match=f'is no results.json.*{message}'):
        collect([path])


def test_files_are_found_once(tmp_path):
    (tmp_path / 'a/b').mkdir(parents=True)
    for folder in ('a', 'a/b'):
        (tmp_path / folder / 'results.json').write_text('[]')
    (tmp_path / 'a/other.json').write_text('[]')
    assert len(find_results([tmp_path, tmp_path / 'a', tmp_path / 'a/results.json'])) == 2
    assert find_results([tmp_path / 'a/other.json']) == [tmp_path / 'a/other.json']
    for missing in (tmp_path / 'none', tmp_path / 'a/b/c'):
        with pytest.raises(FileNotFoundError, match='No results.json at'):
            find_results([missing])

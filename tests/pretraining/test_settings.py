"""Settings follow from pictures, machine and budget."""

from dataclasses import replace

import pytest

from looc_mm.pretraining.settings import Facts, Schedule, choose, fit_schedule, worth_packing

LAPTOP = Facts(pictures=3000, short_side=400, gpu=False, bfloat16=False, memory=16, cores=2)
H100 = Facts(pictures=130_000, short_side=375, gpu=True, bfloat16=True, memory=79, cores=16)


def test_a_laptop_gets_the_recipe():
    found = choose(LAPTOP)
    assert (found.network.name, found.batch, found.lr, found.amp) == ('resnet18-narrow', 64, 0.001, False)
    assert (found.size, found.canvas, found.workers, found.epochs) == (64, 88, 1, 67)
    lines = found.lines()
    assert lines['network'] == 'ResNet-18 with a quarter of its channels: there is no GPU'
    assert lines['precision'] == 'float32: on a CPU; bfloat16 without hardware for it is 7 times slower'
    assert lines['views'] == '64 x 64 px, from canvases of 88 px: no limit below 10 minutes on a CPU'


@pytest.mark.parametrize(('minutes', 'size', 'canvas'), [(3, 48, 64), (9.9, 48, 64), (10, 64, 88), (30, 64, 88)])
def test_few_minutes_get_small_views(minutes, size, canvas):
    found = choose(replace(LAPTOP, minutes=minutes))
    assert (found.size, found.canvas) == (size, canvas)


@pytest.mark.parametrize(('side', 'size'), [(28, 32), (40, 32), (48, 48), (63, 48), (64, 64), (1000, 64)])
def test_views_are_no_larger_than_the_pictures(side, size):
    found = choose(replace(LAPTOP, short_side=side))
    assert found.size == size
    assert ('of the pictures' in found.reasons['views']) == (size < 64)


@pytest.mark.parametrize(('pictures', 'batch'), [(8, 8), (40, 32), (63, 32), (64, 64), (10**6, 64)])
def test_few_pictures_get_a_small_batch(pictures, batch):
    found = choose(replace(LAPTOP, pictures=pictures))
    assert found.batch == batch
    assert found.lr == pytest.approx(0.001 * (batch / 64) ** 0.5, rel=0.05)


def test_a_gpu_gets_larger_networks():
    found = choose(H100)
    assert (found.network.name, found.size, found.canvas, found.batch) == ('resnet50', 224, 304, 256)
    assert (found.amp, found.workers, found.lr, found.epochs) == (True, 15, 0.002, 154)
    assert choose(replace(H100, pictures=19_999)).network.name == 'resnet18'
    assert choose(replace(H100, memory=6)).network.name == 'resnet18'
    short = choose(replace(H100, minutes=20))
    assert (short.network.name, short.size) == ('resnet18', 128)
    assert choose(replace(H100, short_side=100)).size == 96
    assert not choose(replace(H100, bfloat16=False)).amp


def test_memory_limits_the_batch():
    assert choose(replace(H100, memory=16)).batch == 128, '8 GiB / 47 MiB = 174 pictures'
    assert choose(replace(H100, memory=16, bfloat16=False)).batch == 64, 'float32 is twice as large'
    assert choose(LAPTOP, 'resnet50', 224).batch == 64
    assert choose(replace(LAPTOP, memory=4), 'resnet50', 224).batch == 16, '2 GiB / 94 MiB = 21 pictures'
    with pytest.raises(ValueError, match='1.0 GiB of memory do not suffice for 8 pictures .* 224 px and resnet50'):
        choose(replace(LAPTOP, memory=1), 'resnet50', 224)


def test_what_is_asked_is_taken():
    found = choose(LAPTOP, 'resnet18', 96)
    assert (found.network.name, found.size) == ('resnet18', 96)
    assert found.reasons['network'] == found.reasons['views'] == 'as asked'


def test_refusals():
    with pytest.raises(ValueError, match='Got 7 pictures; a training needs at least 8'):
        choose(replace(LAPTOP, pictures=7))
    with pytest.raises(ValueError, match="network 'vit'; allowed are resnet18-narrow, resnet18, resnet50"):
        choose(LAPTOP, 'vit')
    with pytest.raises(ValueError, match='Got views of 16 px; .* at least 32'):
        choose(LAPTOP, None, 16)


def test_a_budget_of_many_passes_is_whole_epochs():
    assert fit_schedule(pictures=640, batch=64, step=0.1, budget=10.4) == Schedule(10, 10)
    assert fit_schedule(pictures=640, batch=64, step=0.1, budget=10.7) == Schedule(11, 10)
    assert fit_schedule(pictures=690, batch=64, step=0.1, budget=60).seconds(0.1) == pytest.approx(60)


@pytest.mark.parametrize('budget', [3.0, 10.0, 30.0, 99.0])
def test_a_budget_of_few_passes_is_ten_partial_epochs(budget):
    found = fit_schedule(pictures=9469, batch=64, step=0.3, budget=budget)
    assert found.epochs == 10
    assert found.pictures == found.steps * 64
    assert budget - 10 * 0.3 < found.seconds(0.3) <= budget + 1e-9


def test_a_budget_has_at_least_ten_steps():
    assert fit_schedule(pictures=9469, batch=64, step=3, budget=-5) == Schedule(10, 1, 64)


def test_slow_pictures_are_decoded_once_if_it_pays():
    assert worth_packing(step=1.0, ready=0.5, passes=3)
    assert not worth_packing(step=1.0, ready=0.5, passes=2)
    assert not worth_packing(step=1.0, ready=0.7, passes=100)

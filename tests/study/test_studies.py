"""The declared studies fit the configurations that they name."""
from pathlib import Path

import pytest
from mmengine.config import Config

from ddp_perception.diffusion import Sampler
from ddp_perception.heads import DiffusionHead
from ddp_perception.study import STUDIES, Comparison, Measure, Row, Study, Variant
from ddp_perception.study.declaration import merged
from ddp_perception.study.evaluations import evaluations_of
from ddp_perception.study.training import build_head
from tests.study.tiny import STUDY

ROOT = Path(__file__).resolve().parents[2]
GRIDS = dict(input_grid=[[-50., 50., 1.]] * 2, output_grid=[[-50., 50., 0.5]] * 2)


def bases_of(study):
    """The heads of both configurations, on features of 24 channels."""
    bases = {}
    for base in ('plain', 'diffusion'):
        cfg = Config.fromfile(str(ROOT / getattr(study, base)))
        head = cfg.model.get('seg_head') or cfg.model.decode_head
        inputs = GRIDS if cfg.model.get('seg_head') else dict(in_index=0)
        bases[base] = {**head.to_dict(), 'in_channels': 24, **inputs}
    return bases, cfg.get('default_scope', 'mmdet3d')


@pytest.mark.parametrize('name', STUDIES)
def test_every_head_is_built_and_every_evaluation_known(name):
    study = STUDIES[name]
    bases, scope = bases_of(study)
    for variant in study.variants:
        head = build_head(variant.settings(bases), scope, 0)
        assert isinstance(head, DiffusionHead) == (variant.base == 'diffusion')
        assert evaluations_of(variant.evaluations, Sampler())
    layers = build_head(study.variant('layers_8').settings(bases), scope, 0)
    assert len(layers.diffusion.denoiser.decoder.layers) == 8
    assert build_head(study.variant('none').settings(bases), scope, 0
                      ).diffusion.codec.channels == 0


@pytest.mark.parametrize('name', STUDIES)
def test_the_published_variant_stays_published_whatever_the_configuration(name):
    study = STUDIES[name]
    bases, scope = bases_of(study)
    bases['diffusion']['diffusion'] = dict(scale=3., recipe='unrolled',
                                           schedule='linear')
    head = build_head(study.variant('published').settings(bases), scope, 0)
    assert head.diffusion.codec.scale == 0.01
    assert head.diffusion.training_maps.shares()['truth'] == 1
    assert head.diffusion.schedule.name == 'cosine'


@pytest.mark.parametrize('name', STUDIES)
def test_every_variant_is_shown_and_the_smoke_version_claims_something(name):
    study = STUDIES[name]
    assert {variant for row in study.rows for variant in row.variants} == {
        variant.name for variant in study.variants}
    smoke = study.smoke()
    assert {item.name for item in smoke.variants} == set(study.pictured)
    assert smoke.rows and smoke.iterations < study.iterations


def test_rows_bring_their_variants():
    camvid = STUDIES['camvid']
    part = camvid.of_rows(['layers', 'encoding'])
    assert [row.name for row in part.rows] == ['layers', 'encoding']
    assert {item.name for item in part.variants} == {
        'layers_1', 'unrolled', 'layers_4', 'layers_8', 'published', 'one_hot',
        'analog_bits', 'unrolled_one_hot', 'unrolled_analog_bits'}
    assert camvid.of_rows(None) is camvid
    with pytest.raises(ValueError, match="no row 'depth'; it has diffusion, "):
        camvid.of_rows(['depth'])


def test_settings_of_a_variant_are_nested_into_the_base():
    bases = {'diffusion': dict(type='A', diffusion=dict(scale=1., schedule='linear')),
             'plain': dict(type='B')}
    assert STUDY.variant('wide').settings(bases) == dict(
        type='A', diffusion=dict(scale=2., schedule='linear'))
    assert bases['diffusion']['diffusion']['scale'] == 1.
    other = merged(dict(loss=dict(type='A', weight=2.)), dict(loss=dict(type='B')))
    assert other == dict(loss=dict(type='B'))
    assert STUDY.variant('plain').settings(bases) == dict(type='B')


@pytest.mark.parametrize('measure, named', [
    (Measure('thin', 'steps_1/iou'), "names no variant: 'thin'"),
    (Measure('plain', 'steps_3/iou'), r"which is evaluated by \['steps_1'\]")])
def test_a_row_of_what_is_not_measured_is_refused(measure, named):
    row = Row('odd', 'Odd', [Comparison('odd', measure, 1.)])
    with pytest.raises(ValueError, match=named):
        Study('odd', 'Odd', '', '', 1, 1, STUDY.variants, [row], ('wide', 'plain'))
    with pytest.raises(ValueError, match="got 'other'"):
        Variant('odd', 'Odd', base='other')


def test_seeds_are_as_many_as_the_most_demanding_row_asks_for():
    camvid = STUDIES['camvid']
    trained = [(number, item.name) for number, item in camvid.trainings()]
    assert len(set(trained)) == len(trained)
    assert [number for number, _ in trained] == sorted(number for number, _ in trained)
    assert sum(name == 'layers_8' for _, name in trained) == 1
    assert sum(name == 'unrolled' for _, name in trained) == 3  # of `diffusion` too
    alone = camvid.of_rows(['layers'])
    assert {item.name: alone.repeats_of(item.name) for item in alone.variants} == {
        'layers_1': 1, 'unrolled': 1, 'layers_4': 1, 'layers_8': 1}
    assert len(alone.trainings(2)) == 8
    with pytest.raises(ValueError, match='repeats of the row odd .* got 0'):
        Row('odd', 'Odd', [], repeats=0)


@pytest.mark.parametrize('name', STUDIES)
def test_claims_on_real_figures_have_enough_seeds(name):
    study = STUDIES[name]
    for row in ('diffusion', 'map', 'steps', 'drift', 'sampler', 'seeds',
                'uncertainty'):
        assert next(item for item in study.rows if item.name == row).repeats == 3

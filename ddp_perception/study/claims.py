"""What every study trains and claims, whatever its data."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ddp_perception.study.declaration import Comparison, Measure, Row, Variant
from ddp_perception.study.evaluations import BRIEF, FULL, SAMPLES

_STEPS_PAPER = ('82.3, 82.6, 82.6 mIoU after 1, 3, 10 steps (Cityscapes, ConvNeXt-T, '
                "after self-aligned training; table of the authors' repository, "
                'segmentation/README.md)')
_PLAIN_PAPER = ('44.9 mIoU without, 46.1 after 1 step, 47.0 after 3 (ADE20K, Swin-T; '
                'by a summary of the paper)')
_SCHEDULE_PAPER = '47.0 against 45.1 mIoU (ADE20K, Swin-T; by a summary of the paper)'
_SETTINGS_PAPER = 'the published setting is {} (configurations of the authors)'
_RUNS = {'steps_1/iou': '1 step', 'steps_3/iou': '3 steps', 'steps_10/iou': '10 steps'}


def published(**diffusion: Any) -> dict[str, Any]:
    """Return a head's settings of the published training."""
    return dict(diffusion={'scale': 0.01, 'schedule': 'cosine', 'self_aligned': False,
                           'recipe': 'published', **diffusion})


def unrolled(**diffusion: Any) -> dict[str, Any]:
    """Return a head's settings of the recipe of three passes per iteration."""
    return published(**{'scale': 1., 'recipe': 'unrolled', **diffusion})


def rollout(**diffusion: Any) -> dict[str, Any]:
    """Return a head's settings of steps with gradients through expected maps."""
    return published(**{'scale': 1., 'recipe': 'rollout', 'feedback': 'expected',
                        **diffusion})


def samples(**losses: Any) -> Variant:
    """Return the head that is trained on pairs of samples.

    Args:
        losses: the option of the head that holds its loss, with `EnergyScore`.
    """
    return Variant('samples', 'samples, scale 1', dict(
        published(scale=1., recipe='samples', noise='pink'), **losses),
        evaluations=SAMPLES)


def _with_layers(settings: Mapping[str, Any], count: int) -> dict[str, Any]:
    return dict(settings, decoder=dict(num_layers=count))


VARIANTS = (
    Variant('plain', 'plain head', base='plain'),
    Variant('none', 'the same decoder, no noisy map', dict(
        diffusion=dict(noisy_map=False, recipe='published', self_aligned=False),
        sampler=dict(num_steps=1))),
    Variant('published', 'published, scale 0.01', published(), evaluations=FULL),
    Variant('unrolled', 'unrolled, scale 1', unrolled(), evaluations=FULL),
    Variant('rollout', 'rollout, scale 1', rollout(), evaluations=FULL),
    Variant('on_policy', 'on-policy, scale 1', published(
        scale=1., recipe='on_policy'), evaluations=BRIEF),
    Variant('scale_1', 'published, scale 1', published(scale=1.), evaluations=FULL),
    Variant('aligned', 'half self-aligned, scale 1',
            published(scale=1., self_aligned=0.5), evaluations=FULL),
    Variant('scale_0.001', 'published, scale 0.001', published(scale=0.001),
            evaluations=BRIEF),
    Variant('scale_0.1', 'published, scale 0.1', published(scale=0.1),
            evaluations=BRIEF),
    Variant('scale_3', 'published, scale 3', published(scale=3.), evaluations=BRIEF),
    Variant('unrolled_0.1', 'unrolled, scale 0.1', unrolled(scale=0.1),
            evaluations=BRIEF),
    Variant('unrolled_3', 'unrolled, scale 3', unrolled(scale=3.),
            evaluations=BRIEF),
    Variant('linear', 'published, linear schedule', published(schedule='linear'),
            evaluations=BRIEF),
    Variant('unrolled_linear', 'unrolled, linear schedule',
            unrolled(schedule='linear'), evaluations=BRIEF),
    *(Variant(f'layers_{count}', f'unrolled, {count} layer{"s" * (count > 1)}',
              _with_layers(unrolled(), count), evaluations=BRIEF)
      for count in (1, 4, 8)),
)
"""Both configurations' heads of two layers, but where a label says otherwise."""


def _steps(text: str, variant: str, more: int, fewer: int, least: float = 0.
           ) -> Comparison:
    return Comparison(f'{text}, {more} steps over {fewer}',
                      Measure(variant, f'steps_{more}/iou'),
                      Measure(variant, f'steps_{fewer}/iou'), least)


def better(text: str, one: str, other: str, least: float = 0.) -> Comparison:
    """Compare two variants, each after three steps."""
    return Comparison(text, Measure(one, 'steps_3/iou'), Measure(other, 'steps_3/iou'),
                      least)


def _over_single(text: str, one: str, other: str, least: float = 0.) -> Comparison:
    return Comparison(text, Measure(one, 'steps_3/iou'), Measure(other, 'steps_1/iou'),
                      least)


def _auroc(text: str, variant: str) -> Comparison:
    return Comparison(text, Measure(variant, 'seeds/auroc'),
                      Measure('plain', 'steps_1/auroc'), 0.02)


def _mean_seed(variant: str) -> Comparison:
    return Comparison(f'{variant}, mean of 4 over 1', Measure(variant, 'seeds/iou'),
                      Measure(variant, 'steps_3/iou'))


def _best_seed(variant: str, run: str = 'seeds', text: str = '') -> Comparison:
    return Comparison(f'{variant}{text}, best of 4 in an image over their mean',
                      Measure(variant, f'{run}/best_iou'),
                      Measure(variant, f'{run}/mean_iou'), 3.)


def _ece(text: str, variant: str, figure: str) -> Comparison:
    return Comparison(text, 0.02, Measure(variant, figure))


_SCALES = ('scale_0.001', 'published', 'scale_0.1', 'scale_1', 'scale_3',
           'unrolled_0.1', 'unrolled', 'unrolled_3')
_LAYERS = ('layers_1', 'unrolled', 'layers_4', 'layers_8')

ROWS = (
    Row('diffusion', 'A diffusion head is better than one pass without diffusion', [
        _over_single('rollout over no noisy map', 'rollout', 'none', 1.),
        _over_single('rollout over the plain head', 'rollout', 'plain', 1.),
        _over_single('unrolled over no noisy map', 'unrolled', 'none', 1.),
        _over_single('unrolled over the plain head', 'unrolled', 'plain', 1.),
        _over_single('published over no noisy map', 'published', 'none'),
        _over_single('published over the plain head', 'published', 'plain')],
        paper=_PLAIN_PAPER, figures=_RUNS,
        shown=('plain', 'none', 'published', 'unrolled', 'rollout', 'samples')),
    Row('map', 'The noisy map steers the prediction', [
        Comparison('rollout, truth noised to t = 0.5 over noise alone',
                   Measure('rollout', 'truth_0.5/iou'),
                   Measure('rollout', 'steps_1/iou'), 5.),
        Comparison('unrolled, truth noised to t = 0.5 over noise alone',
                   Measure('unrolled', 'truth_0.5/iou'),
                   Measure('unrolled', 'steps_1/iou'), 5.),
        Comparison('samples, the same', Measure('samples', 'truth_0.5/iou'),
                   Measure('samples', 'steps_1/iou'), 5.),
        Comparison('published, the same', Measure('published', 'truth_0.5/iou'),
                   Measure('published', 'steps_1/iou'), 5.)],
        figures={'steps_1/iou': 'noise alone', 'truth_0.5/iou': 'truth at t = 0.5',
                 'zeros_1/iou': 'zeros, 1 step', 'zeros/iou': 'zeros, 3 steps',
                 'feedback/iou': "another image's map fed back",
                 'feedback/apart': 'cells that it changes, %',
                 'seeds/apart': 'cells that another seed changes, %'},
        shown=('published', 'scale_1', 'aligned', 'unrolled', 'rollout', 'samples')),
    Row('steps', 'More steps predict better', [
        _steps('rollout', 'rollout', 3, 1, 1.),
        _steps('rollout', 'rollout', 10, 3, -0.3),
        _steps('unrolled', 'unrolled', 3, 1, 1.),
        _steps('unrolled', 'unrolled', 10, 3, -0.3),
        _steps('samples', 'samples', 3, 1, 1.),
        _steps('samples', 'samples', 10, 3, -0.3),
        _steps('published', 'published', 3, 1),
        _steps('published', 'published', 10, 3, -0.3)],
        paper=_STEPS_PAPER,
        figures={f'steps_{count}/iou': f'{count} step{"s" * (count > 1)}'
                 for count in (1, 2, 3, 5, 10)},
        shown=('published', 'scale_1', 'aligned', 'unrolled', 'rollout', 'samples')),
    Row('drift', 'Training on own predictions keeps more steps from drifting', [
        Comparison('10 steps less 3, half self-aligned against published, scale 1',
                   Measure('aligned', 'drift'), Measure('scale_1', 'drift')),
        Comparison('the same, unrolled against published, scale 1',
                   Measure('unrolled', 'drift'), Measure('scale_1', 'drift')),
        Comparison('the same, rollout against unrolled',
                   Measure('rollout', 'drift'), Measure('unrolled', 'drift')),
        _steps('published, scale 1', 'scale_1', 10, 3, -0.3),
        _steps('half self-aligned', 'aligned', 10, 3, -0.3)],
        figures={**_RUNS, 'drift': '10 steps less 3'}),
    Row('recipe', 'The recipe matters where the map is visible', [
        better('rollout over unrolled', 'rollout', 'unrolled'),
        better('unrolled over published, scale 1', 'unrolled', 'scale_1'),
        better('unrolled over half self-aligned', 'unrolled', 'aligned'),
        better('unrolled over on-policy', 'unrolled', 'on_policy'),
        better('unrolled over published, scale 0.01', 'unrolled', 'published')],
        figures={**_RUNS, 'oracle_gain': 'truth at t = 0.5 less noise alone'},
        repeats=1),
    Row('scale', 'A small scale is best', [
        better('published, 0.01 over 0.001', 'published', 'scale_0.001'),
        better('published, 0.01 over 0.1', 'published', 'scale_0.1'),
        better('published, 0.01 over 1', 'published', 'scale_1'),
        better('published, 0.01 over 3', 'published', 'scale_3'),
        better('unrolled, 0.1 over 1', 'unrolled_0.1', 'unrolled'),
        better('unrolled, 1 over 3', 'unrolled', 'unrolled_3')],
        paper=_SETTINGS_PAPER.format('0.01'),
        figures={**_RUNS, 'oracle_gain': 'truth at t = 0.5 less noise alone'},
        shown=_SCALES, repeats=1),
    Row('schedule', 'The cosine schedule is better than the linear one', [
        better('published', 'published', 'linear'),
        better('unrolled', 'unrolled', 'unrolled_linear')],
        paper=_SCHEDULE_PAPER, figures=_RUNS, repeats=1),
    Row('layers', 'A deeper decoder is better', [
        better('2 layers over 1', 'unrolled', 'layers_1'),
        better('4 over 2', 'layers_4', 'unrolled'),
        better('8 over 4', 'layers_8', 'layers_4')],
        paper=_SETTINGS_PAPER.format('6 layers, 5 of maps'), figures=_RUNS,
        shown=_LAYERS, repeats=1),
    Row('sampler', 'DDIM is better than DDPM', [
        Comparison(f'{text}, {steps} steps', Measure(name, f'steps_{steps}/iou'),
                   Measure(name, f'ddpm_{steps}/iou'))
        for name, text in (('rollout', 'rollout'), ('unrolled', 'unrolled'),
                           ('published', 'published'), ('samples', 'samples'))
        for steps in (3, 10)],
        figures={'steps_3/iou': 'DDIM, 3', 'ddpm_3/iou': 'DDPM, 3',
                 'steps_10/iou': 'DDIM, 10', 'ddpm_10/iou': 'DDPM, 10'}),
    Row('seeds', 'Several seeds say more than one', [
        _mean_seed('rollout'), _mean_seed('unrolled'), _best_seed('unrolled'),
        _best_seed('samples'), _mean_seed('samples'), _mean_seed('published')],
        figures={'steps_3/iou': '1 seed', 'seeds/iou': 'mean of 4',
                 'seeds/mean_iou': 'an image, mean seed',
                 'seeds/best_iou': 'an image, best seed',
                 'seeds/apart': 'cells apart, %'},
        shown=('published', 'scale_1', 'aligned', 'unrolled', 'rollout', 'samples')),
    Row('samples', 'Noise at every step makes better samples', [
        Comparison('a sample of an image, DDPM of 10 steps over DDIM of 3',
                   Measure('samples', 'seeds_ddpm/mean_iou'),
                   Measure('samples', 'seeds/mean_iou')),
        Comparison('mean of 4, the same', Measure('samples', 'seeds_ddpm/iou'),
                   Measure('samples', 'seeds/iou')),
        Comparison('mean of 4 by DDPM over the plain head',
                   Measure('samples', 'seeds_ddpm/iou'),
                   Measure('plain', 'steps_1/iou')),
        _best_seed('samples', 'seeds_ddpm', ' by DDPM'),
        Comparison('areas of a sample, DDIM over DDPM',
                   Measure('samples', 'seeds/areas'),
                   Measure('samples', 'seeds_ddpm/areas'))],
        figures={f'{run}/{figure}': f'{text}, {name}' for run, name in (
            ('seeds', 'DDIM 3'), ('seeds_ddpm', 'DDPM 10')) for figure, text in (
                ('iou', 'mean of 4'), ('mean_iou', 'an image, mean seed'),
                ('best_iou', 'an image, best seed'), ('apart', 'cells apart, %'),
                ('areas', 'connected areas'), ('truth_areas', 'in truth'))}),
    Row('uncertainty', 'The passes tell where the prediction is wrong', [
        _auroc('AUROC, best of 4 seeds over entropy of the plain head', 'unrolled'),
        _auroc('the same, rollout', 'rollout'),
        _auroc('the same, samples', 'samples'),
        _auroc('the same, published', 'published'),
        _ece('ECE at the fitted temperature below 0.02, unrolled',
             'unrolled', 'steps_3/ece_scaled'),
        _ece('the same, mean of 4 samples', 'samples', 'seeds/ece_scaled'),
        _ece('the same, plain head', 'plain', 'steps_1/ece_scaled'),
        _ece('ECE at the temperature of the other half of the evaluation set '
             'below 0.02, unrolled', 'unrolled', 'steps_3/ece_halves'),
        _ece('the same, rollout', 'rollout', 'steps_3/ece_halves'),
        _ece('the same, mean of 4 samples', 'samples', 'seeds/ece_halves'),
        _ece('the same, published', 'published', 'steps_3/ece_halves'),
        _ece('the same, plain head', 'plain', 'steps_1/ece_halves'),
        _ece('the same with offsets of the classes, published',
             'published', 'steps_3/ece_offsets'),
        _ece('the same, rollout', 'rollout', 'steps_3/ece_offsets'),
        _ece('the same, plain head', 'plain', 'steps_1/ece_offsets')],
        figures={'steps_1/auroc': 'AUROC of entropy, 1 pass',
                 'steps_3/auroc_entropy': 'of entropy, 3 steps',
                 'steps_3/auroc_changes': 'of changes over 3 steps',
                 'seeds/auroc_entropy': 'of entropy, 4 seeds',
                 'seeds/auroc_mutual_information': 'of mutual information',
                 'seeds/auroc_disagreement': 'of disagreement',
                 'seeds/auroc_spread': 'of spread',
                 'steps_1/ece_scaled': 'ECE scaled, 1 pass',
                 'steps_1/ece_halves': 'by the other half',
                 'steps_1/ece_offsets': 'with offsets',
                 'steps_3/ece': 'ECE, 3 steps', 'steps_3/ece_scaled': 'scaled',
                 'steps_3/ece_halves': 'by the other half',
                 'steps_3/ece_offsets': 'with offsets'},
        shown=('plain', 'published', 'unrolled', 'rollout', 'samples')),
)
"""Rows of every study."""

"""The ways in which a study lets a trained head predict."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ddp_perception.diffusion import Sampler
from ddp_perception.probing import ProbeOptions, Variation, variations
from ddp_perception.probing.variations import Seeds, Steps, Zeros

STEPS = (1, 2, 3, 5, 10)
NUM_SEEDS = 4
TIME = 0.5
USUAL = 3
"""Steps of every evaluation that does not vary them."""
SEVERAL_STEPS = f'steps_{USUAL}'
SEEDS, FEEDBACK = 'seeds', 'feedback'
TRUTH, NO_TRUTH = f'truth_{TIME:g}', f'no_truth_{TIME:g}'
ZEROS, ZEROS_ONCE = 'zeros', 'zeros_1'
DDPM, DDPM_LONG = f'ddpm_{USUAL}', 'ddpm_10'
SEEDS_DDPM = 'seeds_ddpm'

BRIEF = ('steps_1', SEVERAL_STEPS, 'steps_10', TRUTH)
"""What most variants are evaluated by."""
FULL = (*(f'steps_{count}' for count in STEPS), ZEROS_ONCE, ZEROS, FEEDBACK, SEEDS,
        TRUTH, NO_TRUTH, DDPM, DDPM_LONG)
"""What heads of the main claims are evaluated by."""
SAMPLES = (*FULL, SEEDS_DDPM)
"""Everything: with several seeds of the ancestral sampler's ten steps."""


def evaluations_of(names: Sequence[str], own: Sampler) -> list[Variation]:
    """Return what is run, each after its reference.

    Args:
        names: of `SAMPLES`. What one is compared with is run too.
        own: the head's sampler; what is not varied stays.

    Raises:
        ValueError: an unknown name.
    """
    usual = replace(own, num_steps=USUAL, num_seeds=1)
    found = variations(usual, ProbeOptions(STEPS, (TIME, ), NUM_SEEDS))
    by_key = {item.key: item for item in found}
    for name, steps in ((DDPM, USUAL), (DDPM_LONG, 10)):
        reference = by_key[f'steps_{steps}']
        by_key[name] = Steps(name, f'{steps} steps, DDPM', 'ddpm', steps, replace(
            reference.sampler, method='ddpm'), reference)
        found.append(by_key[name])
    found.append(Seeds(
        SEEDS_DDPM, f'10 steps, DDPM, {NUM_SEEDS} seeds', 'seeds', NUM_SEEDS, replace(
            by_key[DDPM_LONG].sampler, num_seeds=NUM_SEEDS), by_key[DDPM_LONG]))
    once = by_key['steps_1']
    found.append(Zeros(ZEROS_ONCE, '1 step, zeros for noise', 'zeros', 1, once.sampler,
                       once))
    unknown = [name for name in names if name not in SAMPLES]
    if unknown:
        raise ValueError(f'an evaluation must be one of {SAMPLES}, got {unknown[0]!r}')
    needed: set[str] = set()
    for item in found:
        if item.key in names:
            chain: Variation | None = item
            while chain is not None:
                needed.add(chain.key)
                chain = chain.reference
    return [item for item in found if item.key in needed]

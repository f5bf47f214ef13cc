"""Samples of a trained diffusion head beside the truth and the plain head."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ddp_perception.decoder.probing import replaced
from ddp_perception.study.evaluations import NUM_SEEDS, SEEDS_DDPM, evaluations_of
from ddp_perception.study.features import Split
from ddp_perception.study.tasks import Task

ROWS = 4


@torch.no_grad()
def save_samples(path: str | Path, task: Task, diffusion: tuple[Any, str],
                 plain: tuple[Any, str], evaluated: Split) -> Path:
    """Draw a few images of the evaluation set, spread evenly, one in a row.

    Args:
        path: of the picture.
        task: what is predicted.
        diffusion: head and label; sampled from several noise maps by the
            ancestral sampler.
        plain: head and label.
        evaluated: features and truth.

    Returns:
        The picture's file.
    """
    from ddp_perception.visualization.panels import Panels
    count = min(ROWS, len(evaluated))
    places = [index * len(evaluated) // count for index in range(count)]
    feats, truth = evaluated.batch(places)
    size = (truth.shape[-2], truth.shape[-1])
    (sampled, label), (single, plain_label) = diffusion, plain
    *_, ancestral = evaluations_of([SEEDS_DDPM], sampled.sampler)
    with replaced(sampled, 'sampler', ancestral.sampler):
        last = task.steps(sampled, feats)[-1]
    columns = [('truth', [task.paint_truth(one) for one in truth])]
    shown = [(f'{label}, seed {seed}', last[:, [seed]])
             for seed in range(NUM_SEEDS)]
    shown += [(f'mean of {NUM_SEEDS} seeds', last),
              (plain_label, task.steps(single, feats)[-1])]
    columns += [(title, [task.paint(scores) for scores in task.scores(
        prediction, size)]) for title, prediction in shown]
    height, width = columns[0][1][0].shape[:2]
    panels = Panels(count * len(columns), (height + 2, width + 2), len(columns),
                    labels=task.legend(truth))
    for row in range(count):
        for column, (title, pictures) in enumerate(columns):
            # A frame, for pictures may be white at their edges.
            panels.show(row * len(columns) + column, np.pad(
                pictures[row], ((1, 1), (1, 1), (0, 0)), constant_values=128),
                title if row == 0 else '')
    return panels.save(path)

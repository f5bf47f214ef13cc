"""What the demos on single images share."""
from __future__ import annotations

import dataclasses
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demos import training
from demos.course import Demo

if TYPE_CHECKING:
    from mmengine.runner import Runner

SEEDS = 4
"""Noise maps that the picture's prediction averages."""


class ImageDemo(Demo):
    """A demo whose every sample is one image."""

    samples, unseen, picture = 'images', 'drives', 'picture.png'

    def figures(self, evaluation: Runner, last: dict, others: dict[str, dict]
                ) -> dict[str, Any]:
        """Evaluate once more with a single step; name the figures of both."""
        head = self.head(evaluation)
        one = training.evaluate_one_step(evaluation, head)
        return self.named_figures(one, last, head.sampler.num_steps)

    @abstractmethod
    def named_figures(self, one: dict, last: dict, steps: int) -> dict[str, Any]:
        """Return the report's figures of both evaluations.

        Args:
            one: measured after a single step.
            last: measured after all steps.
            steps: their number.
        """

    def draw(self, evaluation: Runner, last: dict, path: Path) -> Path:
        """Draw the middle image of the unseen ones, and how sure the model is."""
        import torch
        from mmengine.dataset import pseudo_collate

        from ddp_perception.cli.runner import bare_model
        from ddp_perception.fields import Setting, fields_of
        dataset = evaluation.test_dataloader.dataset
        batch = pseudo_collate([dataset[len(dataset) // 2]])
        head = self.head(evaluation)
        sampler = head.sampler
        head.sampler = dataclasses.replace(sampler, num_seeds=SEEDS)
        with torch.no_grad():
            sample, = bare_model(evaluation).eval().test_step(batch)
        head.sampler = sampler
        field, = fields_of(sample)
        return field.draw(sample, path, Setting(head, dataset.metainfo))

"""Read the truth of a configuration's data without the inputs."""
from __future__ import annotations

from typing import TYPE_CHECKING

from ddp_perception.cli.configuration import bare_name

if TYPE_CHECKING:
    from mmengine.config import Config


def build_datasets(cfg: Config) -> list:
    """Build the data sets of training and test, their images unread."""
    from mmengine.registry import DATASETS, init_default_scope
    init_default_scope(cfg.default_scope)
    return [DATASETS.build(loader.dataset)
            for loader in (cfg.train_dataloader, cfg.test_dataloader)]


def loading_steps(cfg: Config, *names: str) -> list:
    """Build those steps of the test pipeline that have one of these names."""
    from mmengine.registry import TRANSFORMS, init_default_scope
    init_default_scope(cfg.default_scope)
    return [TRANSFORMS.build(step) for step in cfg.test_dataloader.dataset.pipeline
            if bare_name(step) in names]

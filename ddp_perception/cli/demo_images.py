"""The course that the demos on single images share."""
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ddp_perception.cli import demo_parts

SEEDS = 4
"""Noise maps whose disagreement the picture shows."""


@dataclass(frozen=True)
class ImageTask:
    """What distinguishes one demo from another.

    Args:
        title: of the data.
        make_data: writes the data into a root with a number of processes.
        figures: names the figures of the report after one and after all
            steps, given those of both evaluations and the number of steps.
        constant: the figures of the best prediction that ignores the image,
            of a configuration.
        draw: draws the results of several seeds for one image into a file.
        rows: lines of the printed table, of a report.
    """

    title: str
    make_data: Callable
    figures: Callable
    constant: Callable
    draw: Callable
    rows: Callable


def run(args, task):
    """Write data, train, evaluate with one and with all steps, draw, report.

    Args:
        args (argparse.Namespace): See `demo_parts.add_arguments`.
        task (ImageTask): Which demo.

    Returns:
        int: Exit status.
    """
    start = time.perf_counter()
    print(f'1/4  {task.title}', flush=True)
    task.make_data(args.data_root, args.workers)
    from ddp_perception.cli import configuration, runner
    from ddp_perception.evaluation.passes import describe_passes
    cfg = configuration.load_config(args.config, data_root=args.data_root)
    cfg.work_dir = args.work_dir
    runner.prepare_process(cfg)

    print('2/4  training', flush=True)
    checkpoint, seconds, reused = demo_parts.train(cfg, args.data_root, args.fresh)

    print('3/4  evaluation on unseen drives', flush=True)
    evaluation, last = demo_parts.evaluate(cfg, checkpoint)
    head = runner.bare_model(evaluation).decode_head
    sampler = head.sampler
    head.sampler = dataclasses.replace(sampler, num_steps=1)
    one = evaluation.test()
    head.sampler = sampler
    constant, counts = task.constant(cfg)

    print('4/4  picture and report', flush=True)
    picture = task.draw(several_seeds(evaluation), Path(args.work_dir, 'picture.png'))
    report = {**task.figures(one, last, sampler.num_steps), **constant,
              'decoder_passes': describe_passes(**sampler.passes), **counts,
              'seconds_train': round(seconds, 1), 'training_reused': reused,
              'config': args.config, 'picture': str(picture),
              'seconds_total': round(time.perf_counter() - start
                                     + (seconds if reused else 0), 1)}
    demo_parts.print_report(
        task.rows(report), report, demo_parts.write_report(report, args.work_dir),
        f'{report["val_samples"]} images of unseen drives')
    return 0


def several_seeds(evaluation):
    """Predict the middle image of the unseen ones from several noise maps.

    Args:
        evaluation (Runner): That has evaluated the model.

    Returns:
        list[SegDataSample]: One sample per seed; they hold the truth too.
    """
    import torch
    from mmengine.dataset import pseudo_collate

    from ddp_perception.cli.runner import bare_model
    dataset = evaluation.test_dataloader.dataset
    batch = pseudo_collate([dataset[len(dataset) // 2]])
    model = bare_model(evaluation).eval()
    head, samples = model.decode_head, []
    sampler = head.sampler
    with torch.no_grad():
        for seed in range(SEEDS):
            head.sampler = dataclasses.replace(sampler, seed=seed)
            samples.append(model.test_step(batch)[0])
    head.sampler = sampler
    return samples


def loading_steps(cfg, *names):
    """Build those steps of the test pipeline that have one of these names."""
    from mmengine.registry import TRANSFORMS, init_default_scope
    init_default_scope(cfg.default_scope)
    return [TRANSFORMS.build(step) for step in cfg.test_dataloader.dataset.pipeline
            if step['type'].split('.')[-1] in names]


def build_datasets(cfg):
    """Build the data sets of training and test, their images unread."""
    from mmengine.registry import DATASETS, init_default_scope
    init_default_scope(cfg.default_scope)
    return [DATASETS.build(loader.dataset)
            for loader in (cfg.train_dataloader, cfg.test_dataloader)]

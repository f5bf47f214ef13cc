"""Depth on a CPU in minutes: synthesize, train, test, draw.

Writes a synthetic set in the layout of KITTI depth, trains a small model with
the diffusion head on its training drives, evaluates it on drives in worlds
that it has never seen, and leaves in the work directory:

  report.json   figures, sample counts, seconds
  picture.png   an unseen image, its depth, true depth and uncertainty
  *.pth, logs   of the training

A second run reuses the data, and the trained model unless code, configuration
or data have changed since.

Example:
  ddp-perception demo-kitti --work-dir work_dirs/demo-kitti
"""
from ddp_perception.cli import demo_images, demo_parts

CONFIG = 'projects/kitti_depth/configs/demo_kitti_cpu.py'
DATA = dict(seed=0, train_drives=30, test_drives=6, frames=5, stride=10,
            image_size=(416, 128))


def add_arguments(parser):
    """Add the options of this sub-command."""
    demo_parts.add_arguments(parser, CONFIG, 'work_dirs/demo-kitti',
                             'data/demo_kitti')


def run(args):
    """Run this sub-command."""
    return demo_images.run(args, demo_images.ImageTask(
        'synthetic KITTI', make_data, figures, constant_depth, draw, rows))


def make_data(root, workers):
    """Write the synthetic set unless it is there."""
    from data_tools.synthetic_kitti import write_synthetic_kitti
    write_synthetic_kitti(root, workers=workers, overwrite=True, **DATA)


def figures(one, last, steps):
    """Return errors after one and after all steps; rmse in metres."""
    return {'abs_rel_1_step': round(one['abs_rel'], 5),
            **{f'{ours}_{steps}_steps': round(last[name], 5)
               for ours, name in (('abs_rel', 'abs_rel'), ('rmse', 'rmse'),
                                  ('delta1', 'd1'))}}


def constant_depth(cfg):
    """Evaluate each pixel's median depth of training.

    Returns:
        tuple[dict, dict]: Its figure; the numbers of images.
    """
    from ddp_perception.evaluation.constant_depth import (
        evaluate_constant_depth,
        iter_depths,
        pixel_median_depth,
    )
    train, val = demo_images.build_datasets(cfg)
    load = demo_images.loading_steps(cfg, 'LoadKITTIDepth', 'KBCrop')
    metric = cfg.test_evaluator
    found = evaluate_constant_depth(
        pixel_median_depth(iter_depths(train, load)), iter_depths(val, load),
        metric.min_depth, metric.max_depth, metric.crop)
    return {'abs_rel_constant': round(found['abs_rel'], 5)}, dict(
        train_samples=len(train), val_samples=len(val))


def draw(samples, path):
    """Draw an image, its depth and the standard deviation over the seeds."""
    import numpy as np
    import torch
    from PIL import Image

    from ddp_perception.visualization import save_depth
    depth = torch.stack([sample.pred_depth_map.data[0] for sample in samples])
    sample = samples[0]
    image = np.asarray(Image.open(sample.img_path).convert('RGB'))
    top, left, height, width = sample.kb_crop
    return save_depth(
        path, image[top:top + height, left:left + width], depth.mean(0).numpy(),
        truth=sample.gt_depth_map.data[0].numpy(), uncertainty=depth.std(0).numpy())


def rows(report):
    """Return the lines of the printed table."""
    last = {name: demo_parts.after_last_step(report, name)
            for name in ('abs_rel', 'rmse', 'delta1')}
    return [['', 'abs_rel', 'rmse, m', 'delta1, %'],
            ['diffusion head', f'{last["abs_rel"]:.4f}', f'{last["rmse"]:.2f}',
             f'{100 * last["delta1"]:.1f}'],
            ['after 1 step', f'{report["abs_rel_1_step"]:.4f}', '', ''],
            ["each pixel's median", f'{report["abs_rel_constant"]:.4f}', '', '']]

"""Predict and draw: one file and one picture per frame, image or sample.

What INPUT is follows from the test data of CONFIG.

Frames, where its data set is of mmdet3d's nuScenes kind: an info file (JSON or
pickle, as "prepare" or mmdet3d writes it) or a nuScenes root with info files.
Outputs are named by the token; one that cannot name a file (../x, say) is
changed in the name, not in the file. Maps give
  <token>.npz   probabilities (class, x, y), float16; classes, xbound, ybound,
                token; uncertainty (class, x, y), float16, uncertainty_label
  <token>.png   the map among the six cameras; beside it the true map where the
                data set has one
and, where the model detects boxes too,
  <token>_boxes.json  bboxes_3d, scores_3d, labels_3d and box_type_3d as mmdet3d's
                inferencers write them; names: the class of each; columns: of a box, x,
                y, z (middle of its bottom), length (along yaw), width, height in
                metres, yaw in radians from the x to the y axis, velocity in m/s, all
                in the LiDAR frame: nuScenes' x right, y forward, z up. The picture
                shows those of score 0.3 and above, and true boxes where there are any

Images, where its pipeline starts from a single image: an image or a folder,
which is searched with all folders below it for .png, .jpg and .jpeg. Outputs
keep the layout of the folder; no truth is needed. Per image:
  segmentation  <name>_labels.png   8-bit class indices, from 0 in the order of
                                    the data set's classes: Cityscapes' train
                                    ids; ADE20K's own ids less 1 (0 is wall)
                <name>_overlay.jpg  classes in colour over the image, with legend
  depth         <name>_depth.png    16-bit metres x 256 at the size of the
                                    image, 0 where there is none: outside the
                                    part that the configuration's KBCrop keeps
                <name>_picture.jpg  the image and its depth in colour
  both          <name>_uncertainty.npz  uncertainty (H, W) float16, label

Anything else: a folder that takes the place of the data set's data_root, or a
file in the place of its ann_file.

A task of your own saves and draws what its field says.

Examples:
  ddp-perception predict CONFIG CHECKPOINT /data/nuscenes --limit 20
  ddp-perception predict CONFIG CHECKPOINT frame/info.json --out maps
  ddp-perception predict CONFIG CHECKPOINT street.png --out labels
  ddp-perception predict CONFIG CHECKPOINT drive/image_02 --out depth
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ddp_perception.cli import arguments
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.model import BaseModel

    from ddp_perception.cli.sample_input import Samples

DEFAULTS = {'split': 'val', 'data_prefix': 'auto', 'threshold': 0.5}
FRAMES_ONLY = ('split', 'data_prefix')
NOT_FOR_IMAGES = (*FRAMES_ONLY, 'threshold', 'no_truth', 'data_root')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    arguments.add_checkpoint(parser)
    parser.add_argument('input', metavar='INPUT',
                        help='info file or nuScenes root; image or folder of '
                        'images; data root or annotation file')
    parser.add_argument('--out', default='predictions', metavar='DIR',
                        help='where the files go (default: %(default)s)')
    parser.add_argument('--limit', type=int, metavar='N',
                        help='only the first N frames, images or samples')
    arguments.add_device(parser)
    arguments.add_onnx(parser)
    parser.add_argument('--no-pictures', action='store_true',
                        help='write the predicted values alone')
    parser.add_argument('--refinement', action='store_true',
                        help='also draw the prediction after every step, as a '
                        'strip (<name>_steps.png) and an animation (.gif)')
    frames = parser.add_argument_group(
        'frames and samples', 'these and --data-root mean nothing for images')
    frames.add_argument('--split', metavar='NAME',
                      help='of a nuScenes root: which of its info files '
                      f'(default: {DEFAULTS["split"]})')
    frames.add_argument('--data-prefix', choices=['auto', 'nuscenes', 'flat'],
                      help='where images and sweeps lie under the data root: '
                      'in samples/CAM_FRONT and so on, or all in one folder '
                      '(default: look)')
    frames.add_argument('--threshold', type=float, metavar='P',
                      help='probability from which the picture shows a class '
                      f'(default: {DEFAULTS["threshold"]})')
    frames.add_argument('--no-truth', action='store_true',
                      help='do not draw the truth although there is one')
    arguments.add_compile(parser)
    arguments.add_sampling(parser)
    arguments.add_seed(parser)
    arguments.add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    from mmengine.registry import init_default_scope

    from ddp_perception import compat
    from ddp_perception.cli import (
        build_errors,
        checkpoint_checks,
        configuration,
        exported,
        output_places,
        sample_input,
    )
    from ddp_perception.datasets.bounded_files import bound_local_files
    from ddp_perception.datasets.sample_errors import name_damaged_files
    bound_local_files()
    name_damaged_files()
    if args.onnx is not None and args.refinement:
        raise UserError('--refinement draws every step; --onnx gives the last alone')
    exported.require_graph_alone(args)
    if args.limit is not None and args.limit < 1:
        raise UserError(f'--limit must be at least 1, got {args.limit}')
    cfg = configuration.load_config(args.config, args.cfg_options)
    configuration.require_keys(cfg, args.config, ['model'], 'used to predict')
    checkpoint_checks.require_checkpoint(args.checkpoint)
    output_places.require_folder_place(args.out, '--out')
    compat.load_checkpoints_safely(args.trust_checkpoint)
    compat.load_pickles_safely()
    configuration.set_sampling(cfg, arguments.sampling_changes(args), args.seed)
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    with build_errors.naming_settings(cfg, args.config):
        kind = sample_input.input_kind(cfg)
        what = _PREDICT[kind](args, cfg)
    print(f'{what}{"" if args.no_pictures else " and pictures"} in {args.out}')
    return 0


def _predict_frames(args: argparse.Namespace, cfg: Config) -> str:
    from ddp_perception.cli import prediction
    info_file = prediction.find_info_file(args.input, _option(args, 'split'))
    root = args.data_root or info_file.parent
    dataset = prediction.build_dataset(
        cfg, info_file, root, _option(args, 'data_prefix'),
        truth=not args.no_truth, limit=args.limit)
    return _predict_dataset(args, cfg, dataset, 'frame')


def _predict_samples(args: argparse.Namespace, cfg: Config) -> str:
    from ddp_perception.cli import sample_input
    _refuse(args, FRAMES_ONLY, 'a data set that reads no info files of nuScenes')
    dataset = sample_input.build_samples(cfg, args.input, args.data_root)
    return _predict_dataset(args, cfg, dataset, 'sample')


def _predict_dataset(args: argparse.Namespace, cfg: Config, dataset: Samples,
                     unit: str) -> str:
    from ddp_perception.cli import prediction
    return prediction.predict_all(
        _load_model(args, cfg), dataset, args.out, pictures=not args.no_pictures,
        threshold=_option(args, 'threshold'), limit=args.limit,
        truth=not args.no_truth, unit=unit, refinement=args.refinement)


def _predict_images(args: argparse.Namespace, cfg: Config) -> str:
    from ddp_perception.cli import image_files, image_prediction
    from ddp_perception.wording import counted
    _refuse(args, NOT_FOR_IMAGES, 'images, which the test pipeline of this '
            'configuration starts from')
    folder, images = image_files.find_images(args.input, args.out)
    images = images[:args.limit]
    pipeline = image_prediction.build_pipeline(cfg)
    metainfo = image_prediction.read_metainfo(cfg)
    what = image_prediction.predict_images(
        _load_model(args, cfg), pipeline, metainfo, folder, images, args.out,
        pictures=not args.no_pictures, refinement=args.refinement)
    return counted(len(images), what)


_PREDICT = {'frames': _predict_frames, 'images': _predict_images,
            'samples': _predict_samples}


def _option(args: argparse.Namespace, name: str) -> Any:
    given = getattr(args, name)
    return DEFAULTS[name] if given is None else given


def _refuse(args: argparse.Namespace, names: Sequence[str], where: str) -> None:
    """Raise UserError where one of some options was given."""
    given = [name for name in names if getattr(args, name) not in (None, False)]
    if given:
        raise UserError(f'--{given[0].replace("_", "-")} means nothing for {where}')


def _load_model(args: argparse.Namespace, cfg: Config) -> BaseModel:
    from ddp_perception.cli import compiled, exported, prediction
    model = prediction.load_model(cfg, prediction.choose_device(args.device),
                                  args.checkpoint, args.config, args.trust_checkpoint)
    if args.compile:
        compiled.compile_heads(model)
    if args.onnx is not None:
        exported.attach_graph(model, args.onnx)
    return model

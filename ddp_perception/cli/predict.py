"""Predict and draw: maps for frames, or labels or depth for images.

What INPUT is follows from the model of CONFIG.

With a seg_head (map segmentation), it is an info file (JSON or pickle, as
"prepare" or mmdet3d writes it) or a nuScenes root with info files. Per frame
two files are written: <token>.npz (probabilities (class, x, y), classes,
xbound, ybound, token) and <token>.png (the map among the six cameras; beside
it the true map where the data set has one). A token that cannot name a file
(../x, say) is changed in the name, not in the file.

With a decode_head (segmentation or depth), it is an image or a folder, which
is searched with all folders below it for .png, .jpg and .jpeg. Outputs keep
the layout of the folder; no truth is needed. Per image:
  segmentation  <name>_labels.png   8-bit class indices, from 0 in the order of
                                    the data set's classes: Cityscapes' train
                                    ids; ADE20K's own ids less 1 (0 is wall)
                <name>_overlay.jpg  classes in colour over the image, with legend
  depth         <name>_depth.png    16-bit metres x 256 at the size of the
                                    image, 0 where there is none: outside the
                                    part that the configuration's KBCrop keeps
                <name>_picture.jpg  the image and its depth in colour

Examples:
  ddp-perception predict CONFIG CHECKPOINT /data/nuscenes --limit 20
  ddp-perception predict CONFIG CHECKPOINT frame/info.json --out maps
  ddp-perception predict CONFIG CHECKPOINT street.png --out labels
  ddp-perception predict CONFIG CHECKPOINT drive/image_02 --out depth
"""
from ddp_perception.cli import arguments
from ddp_perception.cli.errors import UserError

MAPS_ONLY = {'split': 'val', 'data_prefix': 'auto', 'threshold': 0.5,
             'no_truth': False, 'data_root': None}
"""Options that mean nothing for images, and their defaults."""


def add_arguments(parser):
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    parser.add_argument('checkpoint', metavar='CHECKPOINT',
                        help='file of train or convert-checkpoint (.pth, '
                        '.safetensors)')
    parser.add_argument('input', metavar='INPUT',
                        help='info file or nuScenes root; image or folder of '
                        'images')
    parser.add_argument('--out', default='predictions', metavar='DIR',
                        help='where the files go (default: %(default)s)')
    parser.add_argument('--limit', type=int, metavar='N',
                        help='only the first N frames or images')
    parser.add_argument('--device', metavar='NAME',
                        help='cpu, cuda, cuda:1 (default: cuda if present)')
    parser.add_argument('--no-pictures', action='store_true',
                        help='write the probabilities, labels or depth alone')
    maps = parser.add_argument_group(
        'maps only', 'these and --data-root mean nothing for images')
    maps.add_argument('--split', metavar='NAME',
                      help='of a nuScenes root: which of its info files '
                      f'(default: {MAPS_ONLY["split"]})')
    maps.add_argument('--data-prefix', choices=['auto', 'nuscenes', 'flat'],
                      help='where images and sweeps lie under the data root: '
                      'in samples/CAM_FRONT and so on, or all in one folder '
                      '(default: look)')
    maps.add_argument('--threshold', type=float, metavar='P',
                      help='probability from which the picture shows a class '
                      f'(default: {MAPS_ONLY["threshold"]})')
    maps.add_argument('--no-truth', action='store_true',
                      help='do not draw the true map although there is one')
    arguments.add_sampling(parser)
    arguments.add_seed(parser)
    arguments.add_trust(parser)


def run(args):
    """Run this sub-command."""
    from ddp_perception import compat
    from ddp_perception.cli import build_errors, checkpoint_checks, configuration
    from ddp_perception.datasets.bounded_files import bound_local_files
    from ddp_perception.datasets.sample_errors import name_damaged_files
    bound_local_files()
    name_damaged_files()
    if args.limit is not None and args.limit < 1:
        raise UserError(f'--limit must be at least 1, got {args.limit}')
    cfg = configuration.load_config(args.config, args.cfg_options)
    configuration.require_keys(cfg, args.config, ['model'], 'used to predict')
    checkpoint_checks.require_checkpoint(args.checkpoint)
    compat.load_checkpoints_safely(args.trust_checkpoint)
    compat.load_pickles_safely()
    configuration.set_sampling(cfg, args.num_steps, args.num_seeds, args.seed)
    model = configuration.bare_model_settings(cfg)
    predict = _predict_images if 'decode_head' in model else _predict_maps
    with build_errors.naming_settings(cfg, args.config):
        what = predict(args, cfg)
    print(f'{what}{"" if args.no_pictures else " and pictures"} in {args.out}')
    return 0


def _predict_maps(args, cfg):
    from ddp_perception.cli import prediction
    split, prefix, threshold = (
        MAPS_ONLY[name] if getattr(args, name) is None else getattr(args, name)
        for name in ('split', 'data_prefix', 'threshold'))
    info_file = prediction.find_info_file(args.input, split)
    root = args.data_root or info_file.parent
    dataset = prediction.build_dataset(
        cfg, info_file, root, prefix, truth=not args.no_truth, limit=args.limit)
    return prediction.predict_all(
        _load_model(args, cfg), dataset, args.out,
        pictures=not args.no_pictures, threshold=threshold)


def _predict_images(args, cfg):
    from ddp_perception.cli import image_files, image_prediction
    given = [name for name in MAPS_ONLY
             if getattr(args, name) not in (None, False)]
    if given:
        raise UserError(f'--{given[0].replace("_", "-")} means nothing for '
                        'images, which the model of this configuration (with '
                        'a decode_head) takes')
    folder, images = image_files.find_images(args.input, args.out)
    images = images[:args.limit]
    pipeline = image_prediction.build_pipeline(cfg)
    metainfo = image_prediction.read_metainfo(cfg)
    what = image_prediction.predict_images(
        _load_model(args, cfg), pipeline, metainfo, folder, images, args.out,
        pictures=not args.no_pictures)
    return f'{len(images)} {what}'


def _load_model(args, cfg):
    from ddp_perception.cli import checkpoint_checks, prediction
    model = prediction.build_model(cfg, prediction.choose_device(args.device))
    checkpoint_checks.load_weights(model, args.checkpoint, args.config,
                                   args.trust_checkpoint)
    return model

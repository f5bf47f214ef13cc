"""Predict maps for frames and draw them.

FRAMES is an info file (JSON or pickle, as "prepare" or mmdet3d writes it) or
a nuScenes root with info files. Per frame two files are written:
<token>.npz (probabilities (class, x, y), classes, xbound, ybound) and
<token>.png (the map among the six cameras; beside it the true map where the
data set has one).

Examples:
  ddp-perception predict CONFIG CHECKPOINT /data/nuscenes --limit 20
  ddp-perception predict CONFIG CHECKPOINT frame/info.json --out maps
"""
from ddp_perception.cli import options
from ddp_perception.cli.errors import UserError


def add_arguments(parser):
    """Add the options of this sub-command."""
    options.add_config(parser)
    parser.add_argument('checkpoint', metavar='CHECKPOINT',
                        help='file that training wrote (.pth)')
    parser.add_argument('frames', metavar='FRAMES',
                        help='info file, or nuScenes root')
    parser.add_argument('--out', default='predictions', metavar='DIR',
                        help='where the files go (default: %(default)s)')
    parser.add_argument('--split', default='val', metavar='NAME',
                        help='of a nuScenes root: which of its info files '
                        '(default: %(default)s)')
    parser.add_argument('--data-prefix', choices=['auto', 'nuscenes', 'flat'],
                        default='auto', help='where images and sweeps lie '
                        'under the data root: in samples/CAM_FRONT and so on, '
                        'or all in one folder (default: look)')
    parser.add_argument('--limit', type=int, metavar='N',
                        help='only the first N frames')
    parser.add_argument('--device', metavar='NAME',
                        help='cpu, cuda, cuda:1 (default: cuda if present)')
    parser.add_argument('--threshold', type=float, default=0.5, metavar='P',
                        help='probability from which the picture shows a '
                        'class (default: %(default)s)')
    parser.add_argument('--no-pictures', action='store_true',
                        help='write the probabilities alone')
    parser.add_argument('--no-truth', action='store_true',
                        help='do not draw the true map although there is one')
    options.add_sampling(parser)
    options.add_seed(parser)
    options.add_trust(parser)


def run(args):
    """Run this sub-command."""
    from ddp_perception.cli import checkpoints, configuration, prediction
    if args.limit is not None and args.limit < 1:
        raise UserError(f'--limit must be at least 1, got {args.limit}')
    cfg = configuration.load_config(args.config, args.cfg_options)
    checkpoints.require_checkpoint(args.checkpoint)
    configuration.set_sampling(cfg, args.num_steps, args.num_seeds, args.seed)
    info_file = prediction.find_info_file(args.frames, args.split)
    root = args.data_root or info_file.parent
    dataset = prediction.build_dataset(
        cfg, info_file, root, args.data_prefix, truth=not args.no_truth,
        limit=args.limit)
    model = prediction.build_model(cfg, prediction.choose_device(args.device))
    checkpoints.load_weights(model, args.checkpoint, args.config,
                             args.trust_checkpoint)
    count = prediction.predict_all(
        model, dataset, args.out,
        pictures=not args.no_pictures, threshold=args.threshold)
    what = 'maps' if args.no_pictures else 'maps and pictures'
    print(f'{count} {what} in {args.out}')
    return 0

"""Options that several sub-commands share."""
import argparse
from typing import Any


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the configuration file and the options that change it."""
    parser.add_argument('config', metavar='CONFIG',
                        help='configuration file (.py), e.g. one of '
                        'projects/*/configs, or the name of one of these, which '
                        'is found from any folder')
    group = parser.add_argument_group('configuration')
    group.add_argument('--data-root', metavar='DIR',
                       help='where the data set lies; replaces data_root '
                       'everywhere in the configuration')
    group.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE',
                       default=[], help='change single settings, e.g. '
                       '--cfg-options train_dataloader.batch_size=2 '
                       'model.decode_head.sampler.num_steps=10 (maps: '
                       'model.seg_head)')


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add the file of a trained model."""
    parser.add_argument('checkpoint', metavar='CHECKPOINT',
                        help='file of train or convert-checkpoint (.pth, '
                        '.safetensors)')


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option of where a model runs."""
    parser.add_argument('--device', metavar='NAME',
                        help='cpu, cuda, cuda:1 (default: cuda if present)')


def add_compile(parser: argparse.ArgumentParser) -> None:
    """Add the option that compiles the head."""
    parser.add_argument('--compile', action='store_true',
                        help="compile the diffusion head's decoder layers "
                        '(torch.compile), which takes up to a minute at the start '
                        'and needs a C++ compiler')


def add_onnx(parser: argparse.ArgumentParser) -> None:
    """Add the option that computes an exported graph."""
    parser.add_argument('--onnx', metavar='FILE',
                        help='graph that "export" wrote of CONFIG and CHECKPOINT; ONNX '
                        'Runtime computes it in place of the network, on the CPU')


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the option that admits checkpoints with any object in them."""
    parser.add_argument(
        '--trust-checkpoint', action='store_true',
        help='read checkpoint files that hold arbitrary Python objects; such '
        'a file can run any code, so only for files whose origin you trust')


def add_distributed(parser: argparse.ArgumentParser) -> None:
    """Add the options for many processes."""
    group = parser.add_argument_group('many GPUs or processes')
    group.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'],
                       default='none', help='how the processes were started; '
                       'e.g. torchrun --nproc-per-node=8 -m '
                       'ddp_perception.cli train CONFIG --launcher pytorch')
    group.add_argument('--local-rank', '--local_rank', type=int,
                       metavar='N', help='accepted for older launchers and '
                       'used where LOCAL_RANK is not set')


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add the options of randomness."""
    parser.add_argument('--seed', type=int, metavar='N',
                        help='seed of every random number (default: that of '
                        'the configuration, or a new one, which is logged)')


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """Add the options of the diffusion sampler."""
    group = parser.add_argument_group('sampling')
    group.add_argument('--num-steps', type=int, metavar='N',
                       help="denoising steps (default: the configuration's)")
    group.add_argument('--num-seeds', type=int, metavar='N',
                       help='noise samples to average over (default: the '
                       "configuration's)")
    group.add_argument('--until-stable', type=float, nargs='?', const=0.01,
                       metavar='SHARE', help='an image takes no further step '
                       'once one has changed at most this share of its cells '
                       '(default: every image takes all steps; without a '
                       'number %(const)s)')
    group.add_argument('--time-budget', type=float, metavar='SECONDS',
                       help='start no further step of a batch after this time; '
                       'figures then depend on the machine')
    group.add_argument('--refine-share', type=float, metavar='SHARE',
                       help='steps after the first compute this share of the cells '
                       'anew, those that changed and the least certain (default: '
                       "the configuration's; 1: all)")
    group.add_argument('--uncertainty', metavar='KIND', help='what to write '
                       'beside each prediction: entropy, mutual_information, '
                       'disagreement, changes, spread or none (default: the '
                       "configuration's)")


def sampling_changes(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a head's `Sampler` that were given."""
    names = ('num_steps', 'num_seeds', 'until_stable', 'time_budget', 'refine_share',
             'uncertainty')
    changes = {name: getattr(args, name) for name in names
               if getattr(args, name) is not None}
    if changes.get('uncertainty') == 'none':
        changes['uncertainty'] = None
    return changes

"""What the demos share: train once, evaluate, report."""
import hashlib
import json
import time
from pathlib import Path

UNUSED_IN_TRAINING = ('val_cfg', 'val_dataloader', 'val_evaluator')
UNUSED_IN_TESTS = ('train_cfg', 'train_dataloader', 'optim_wrapper', 'param_scheduler',
                   *UNUSED_IN_TRAINING)


def add_arguments(parser, config, work_dir, data_root):
    """Add the options of a demo, with these defaults."""
    parser.add_argument('--config', default=config,
                        help='configuration to train (default: %(default)s)')
    parser.add_argument('--work-dir', default=work_dir, metavar='DIR',
                        help='where the results go (default: %(default)s)')
    parser.add_argument('--data-root', default=data_root, metavar='DIR',
                        help='where the data go (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2,
                        help='processes that write the data (default: %(default)s)')
    parser.add_argument('--fresh', action='store_true', help='train anew in any case')


def train(cfg, data_root, fresh=False):
    """Train, or find what an equal earlier run has trained.

    Args:
        cfg (mmengine.config.Config): With ``work_dir``.
        data_root (str | Path): Synthetic set to train on.
        fresh (bool): Train in any case.

    Returns:
        tuple[Path, float, bool]: Checkpoint, seconds that its training took,
        whether it was there already.
    """
    from ddp_perception.cli import runner
    state_file = Path(cfg.work_dir, 'trained.json')
    wanted = fingerprint(cfg, data_root)
    if state_file.is_file() and not fresh:
        state = json.loads(state_file.read_text())
        if state['fingerprint'] == wanted and Path(state['checkpoint']).is_file():
            print(f'     {state["checkpoint"]} is up to date')
            return Path(state['checkpoint']), state['seconds'], True
    settings = cfg.copy()  # the evaluation follows in a step of its own
    for key in UNUSED_IN_TRAINING:
        settings[key] = None
    start = time.perf_counter()
    run_ = runner.build_runner(settings)
    run_.train()
    seconds = time.perf_counter() - start
    checkpoint = Path(cfg.work_dir, Path(cfg.work_dir, 'last_checkpoint').read_text()
                      .strip().split('/')[-1])
    state_file.write_text(json.dumps(dict(
        fingerprint=wanted, checkpoint=str(checkpoint), seconds=seconds), indent=2))
    return checkpoint, seconds, False


def fingerprint(cfg, data_root):
    """Name all that the trained weights depend on: settings, code, data."""
    import torch

    import ddp_perception
    from data_tools.synthetic.folder import MARKER
    digest = hashlib.sha256(cfg.pretty_text.encode())
    digest.update(torch.__version__.encode())
    package = Path(ddp_perception.__file__).parent
    for path in sorted(package.rglob('*.py')):
        if path.parts[len(package.parts)] not in ('cli', 'visualization'):
            digest.update(path.read_bytes())
    digest.update(Path(data_root, MARKER).read_bytes())
    return digest.hexdigest()


def evaluate(cfg, checkpoint):
    """Evaluate a checkpoint on the unseen part of the data.

    Returns:
        tuple[Runner, dict]: The runner and the figures of its evaluators.
    """
    from ddp_perception.cli import runner
    settings = cfg.copy()
    for key in UNUSED_IN_TESTS:
        settings[key] = None
    settings.load_from = str(checkpoint)
    run_ = runner.build_runner(settings)
    return run_, run_.test()


def after_last_step(report, name):
    """Return a report's figure after the last step, whatever their number."""
    return next(value for key, value in report.items()
                if key.startswith(f'{name}_') and key.endswith('_steps'))


def write_report(report, work_dir):
    """Write report.json into the work directory; returns its path."""
    path = Path(work_dir, 'report.json')
    path.write_text(json.dumps(report, indent=2) + '\n')
    return path


def print_report(rows, report, path, notes):
    """Print a table of figures, what they mean, and where the files are.

    Args:
        rows (list[list[str]]): Heading, then lines.
        report (dict): With ``seconds_train``, ``seconds_total``,
            ``training_reused``, ``picture`` and ``decoder_passes``.
        path (Path): Of the report.
        notes (str): Beside the number of passes.
    """
    from terminaltables import AsciiTable
    seconds = report['seconds_train']
    trained = ' and '.join(f'{value:.0f} s' for value in (
        seconds.values() if isinstance(seconds, dict) else [seconds]))
    reused = ' (reused from an earlier run)' if report['training_reused'] else ''
    print(f'\n{AsciiTable(rows).table}\n{notes}; {report["decoder_passes"]}\n'
          f'training took {trained} of {report["seconds_total"]:.0f} s{reused}\n'
          f'report   {path}\npicture  {report["picture"]}')

"""Kill trainings by SIGKILL, resume them, compare with one that was left alone.

    python -m tests.kill_training --kills 40

Half of the trainings are killed while a checkpoint is being written, the others
at any iteration or validation; of each half, half are counted in epochs and half
in iterations, and one checkpoint is kept. Parameters, optimizer and figures must
equal those of the uninterrupted run exactly. The last line is a JSON object.

The processes are forked from one that has imported everything.
"""
import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

CONFIGS = Path(__file__).parent / 'cli' / 'configs'
KINDS = {'epochs': ('tiny.py', 'epoch_4.pth', 8, 12),
         'iterations': ('tiny_iters.py', 'iter_12.pth', 8, 12)}
"""Configuration, last checkpoint, files written at least, iterations."""
WORKERS = (['num_workers=0'], ['num_workers=2'],
           ['num_workers=2', 'persistent_workers=True'])


def train(config, root, work_dir, workers, *options):
    """Train as the command does; returns its exit status."""
    from ddp_perception.cli.main import main
    return main([
        'train', str(CONFIGS / config), '--data-root', str(root), '--work-dir',
        str(work_dir), '--seed', '5', *options, '--cfg-options',
        'model.type=NoisyModel', 'train_cfg.val_interval=2',
        'default_hooks.checkpoint.max_keep_ckpts=1',
        'default_hooks.checkpoint.save_best=mean_prediction',
        'default_hooks.checkpoint.rule=greater',
        *(f'train_dataloader.{setting}' for setting in workers)])


def in_child(work, log):
    """Run a function in a forked process; returns its id."""
    child = os.fork()
    if child:
        return child
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    status = 70
    try:
        status = work()
    finally:
        sys.stdout.flush()
        os._exit(status)


def announce_write(number, fraction, pipe):
    """Stop in the n-th writing of a checkpoint, part of it written, and say so."""
    from mmengine.fileio import LocalBackend
    put, count = LocalBackend.put, [0]

    def slow(self, obj, filepath):
        count[0] += 1
        if count[0] < number:
            return put(self, obj, filepath)
        with open(filepath, 'wb') as file:
            file.write(obj[:int(fraction * len(obj))])
            file.flush()
            os.write(pipe, b'w')
            time.sleep(60)

    LocalBackend.put = slow


def announce_iteration(number, pipe):
    """Say when an iteration begins, and go on."""
    from tests.cli.tiny import TinyModel
    forward, count = TinyModel.forward, [0]

    def telling(self, x, y, mode='tensor'):
        count[0] += mode == 'loss'
        if mode == 'loss' and count[0] == number:
            os.write(pipe, b'i')
        return forward(self, x, y, mode)

    TinyModel.forward = telling


def wait_and_kill(child, pipe, delay):
    """Kill a process a while after it spoke; tells whether it still ran."""
    spoke = os.read(pipe, 1)  # nothing where it ended before
    time.sleep(delay)
    if not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return bool(spoke) and os.WIFSIGNALED(status)


def result(work_dir, last):
    """Return what a training has come to: its last checkpoint and figures."""
    from ddp_perception.checkpoints.reading import load_checkpoint_file
    content = load_checkpoint_file(Path(work_dir, last))
    notes = content['message_hub']['runtime_info']
    figures = {}
    for path in sorted(Path(work_dir).rglob('scalars.json')):
        for line in path.read_text().splitlines():
            try:
                figures.update({'figures': json.loads(line)}
                               if 'mean_prediction' in line else {})
            except ValueError:
                continue  # the line in which a run was killed
    best = Path(work_dir, Path(notes['best_ckpt']).name)
    return dict(
        state=content['state_dict'], optimizer=content['optimizer']['state'],
        best_score=notes['best_score'], best=best.name,
        best_state=load_checkpoint_file(best)['state_dict'] if best.is_file() else None,
        figures={key: value for key, value in figures['figures'].items()
                 if key in ('mean_prediction', 'count')},
        files=sorted(path.name for path in Path(work_dir).iterdir()
                     if path.suffix == '.pth' or '.part' in path.name))


def equal(one, other):
    """Compare nested results exactly."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            equal(value, other[key]) for key, value in one.items())
    return one == other


def kill_one(config, root, work_dir, workers, place, in_write, rng):
    """Train until the n-th writing or iteration; tells whether that was killed."""
    reading, writing = os.pipe()

    def work():
        if in_write:
            announce_write(place, rng.random(), writing)
        else:
            announce_iteration(place, writing)
        return train(config, root, work_dir, workers)

    child = in_child(work, f'{work_dir}.log')
    os.close(writing)
    killed = wait_and_kill(child, reading, 0 if in_write else rng.uniform(0, .02))
    os.close(reading)
    return killed


def kill_and_resume(index, kind, in_write, folder, root, expected):
    """Kill a training, resume it, and return what differs."""
    config, last, writes, iterations = KINDS[kind]
    rng, work_dir = random.Random(index), folder / f'{index}'
    workers = rng.choice(WORKERS)
    while not kill_one(config, root, work_dir, workers,
                       rng.randint(1, writes if in_write else iterations),
                       in_write, rng):
        work_dir = work_dir.with_name(f'{work_dir.name}_again')  # it was too late
    log = f'{work_dir}.log'
    child = in_child(lambda: train(config, root, work_dir, workers, '--resume'), log)
    status = os.waitpid(child, 0)[1]
    if status:
        return [f'--resume ended with status {status}: '
                + Path(log).read_text()[-300:]]
    found = result(work_dir, last)
    return [key for key in expected if not equal(expected[key], found[key])]


def kill_many(number, folder):
    """Kill and resume trainings; returns a report of what came of it."""
    from mmengine.runner import Runner  # noqa: F401  once, for all children

    from ddp_perception import engine  # noqa: F401
    from tests.cli import tiny  # noqa: F401
    torch.set_num_threads(1)
    root = folder / 'data'
    root.mkdir()
    (root / 'train.json').write_text(json.dumps([i / 8 for i in range(12)]))
    (root / 'val.json').write_text(json.dumps([0.0, 0.5, 1.0, 1.5, 2.0]))
    begin, expected, wrong = time.perf_counter(), {}, {}
    for kind, (config, last, *_) in KINDS.items():
        child = in_child(lambda: train(config, root, folder / kind, WORKERS[0]),  # noqa: B023
                         folder / f'{kind}.log')
        assert os.waitpid(child, 0)[1] == 0, (folder / f'{kind}.log').read_text()
        expected[kind] = result(folder / kind, last)
    for index in range(number):
        kind = list(KINDS)[index // 2 % 2]
        differs = kill_and_resume(index, kind, index % 2 == 0, folder, root,
                                  expected[kind])
        print(index, kind, differs or 'the same', file=sys.stderr, flush=True)
        if differs:
            wrong[index] = differs
    return dict(killed=number, in_a_write=(number + 1) // 2,
                resumed_to_the_same=number - len(wrong), wrong=wrong,
                seconds=round(time.perf_counter() - begin, 1))


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=40)
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(kill_many(parser.parse_args().kills, Path(temporary))))

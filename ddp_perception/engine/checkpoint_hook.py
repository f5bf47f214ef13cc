"""Checkpoints that an interruption cannot spoil."""
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine import hooks
from mmengine.dist import is_main_process
from mmengine.fileio import (
    BaseStorageBackend,
    LocalBackend,
    get_file_backend,
    register_backend,
)
from mmengine.runner import Runner

from ddp_perception.checkpoints.curves import restore_curves, store_curves
from ddp_perception.files import PART_PATTERN, whole_file
from ddp_perception.registry import HOOKS

_BACKEND = 'ddp.whole_file'


class WholeFileBackend(LocalBackend):
    """mmengine's local files, written whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(filepath, durable=True) as part:
            super().put(obj, str(part))


register_backend(_BACKEND, WholeFileBackend, force=True)


@HOOKS.register_module()
class CheckpointHook(hooks.CheckpointHook):
    """mmengine's `CheckpointHook`, safe against being killed while it writes.

    All its settings apply. mmengine removes the checkpoint that is one too
    many, or the former best, before it writes the new one, in place. Here

    * a file appears under its name once it is complete and on the disk;
    * ``last_checkpoint`` is replaced likewise, after it;
    * what is outdated is removed last. A checkpoint names what was still to be
      removed when it was written, and the run that is resumed from it does so;
    * what a killed run left of a file is removed at the next start;
    * nothing outside the folder of the checkpoints is removed, whatever names
      a checkpoint that is resumed holds;
    * the training curves in a checkpoint are tensors, so that torch reads it
      with ``weights_only=True``. Without this hook mmengine resumes from it
      too, with empty curves.

    Storage other than local files is written as mmengine does it.

    Raises:
        TypeError: an option that neither mmengine's hook nor
            `Runner.save_checkpoint` has. mmengine's would keep it, and stop at
            the first checkpoint.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        known = inspect.signature(Runner.save_checkpoint).parameters
        unknown = sorted(set(self.args) - set(known))
        if unknown:
            raise TypeError(f'CheckpointHook has no option {unknown[0]!r}')

    backend_args: dict | None
    file_backend: BaseStorageBackend

    def before_train(self, runner: Runner) -> None:
        """Choose how files are written; clear up after an earlier run."""
        out_dir = self.out_dir or runner.work_dir
        if self.file_client_args is None and isinstance(get_file_backend(
                out_dir, backend_args=self.backend_args), LocalBackend):
            self.backend_args = {'backend': _BACKEND}
        super().before_train(runner)
        self._outdated: list[str] = []
        self._removing_later = False
        self.file_backend = _FolderBackend(
            self.file_backend, self.out_dir, self._outdated)
        self._outdated += runner.message_hub.get_info('outdated_ckpts', [])
        self._remove_outdated(runner)
        if is_main_process() and isinstance(self.file_backend.storage, LocalBackend):
            self._remove_parts(runner)
        last = runner.message_hub.get_info('last_ckpt')
        if last:  # a validation that is made up for writes it once more
            self.last_ckpt = self.file_backend.inside(last)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the training curves into plain types."""
        store_curves(checkpoint)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Get the training curves back."""
        restore_curves(checkpoint)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Write the checkpoint, then its name, then remove what is outdated."""
        name = self.filename_tmpl.format(step)
        if self.max_keep_ckpts > 0 and step not in list(self.keep_ckpt_ids)[-1:]:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                self._outdated.append(
                    self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self.last_ckpt = self.file_backend.inside(name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.message_hub.update_info('outdated_ckpts', list(self._outdated))
        runner.save_checkpoint(
            self.out_dir, name, self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta,
            by_epoch=self.by_epoch, backend_args=self.backend_args, **self.args)
        if is_main_process():
            named = Path(runner.work_dir, 'last_checkpoint')
            with whole_file(named, durable=True) as part:
                part.write_text(self.last_ckpt)
        if not self._removing_later:
            self._remove_outdated(runner)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Keep the former best until the new one, and its name, are written."""
        with self._removal_after(runner):
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def _removal_after(self, runner: Runner) -> Iterator[None]:
        self._removing_later = True
        try:
            yield
        finally:
            self._removing_later = False
        self._remove_outdated(runner)

    def _remove_outdated(self, runner: Runner) -> None:
        """Remove the files whose time has come, on the main process."""
        for name in self._outdated if is_main_process() else []:
            if not re.fullmatch(self._names(), str(name)) or name in self._current():
                continue  # as a checkpoint from elsewhere may say
            path = self.file_backend.inside(name)
            storage = self.file_backend.storage
            if storage.isfile(path):
                storage.remove(path)
            elif storage.isdir(path):  # as some strategies write them
                storage.rmtree(path)
        self._outdated.clear()
        runner.message_hub.update_info('outdated_ckpts', [])

    def _current(self) -> set[str]:
        """Return the names of the files that are to stay."""
        paths = [self.last_ckpt, getattr(self, 'best_ckpt_path', None),
                 *getattr(self, 'best_ckpt_path_dict', {}).values()]
        kept = map(self.filename_tmpl.format, getattr(self, 'keep_ckpt_ids', []))
        return {*kept, *(Path(path).name for path in paths if path)}

    def _names(self) -> str:
        """Return the pattern of the names of this hook's files."""
        around = re.split(r'\{[^}]*\}', self.filename_tmpl)
        return r'(best_[^/]*)?' + r'\d+'.join(map(re.escape, around))

    def _remove_parts(self, runner: Runner) -> None:
        """Remove what killed runs have left of their files."""
        pattern = re.compile(f'({self._names()}|last_checkpoint){PART_PATTERN}')
        for folder in {Path(self.out_dir), Path(runner.work_dir)}:
            for path in folder.glob('*.part*'):
                if pattern.fullmatch(path.name):
                    runner.logger.info(f'removing {path}, which a run that was '
                                       'stopped has left')
                    path.unlink(missing_ok=True)


class _FolderBackend:
    """Storage of one folder that only notes what is to be removed.

    Paths are taken by their last part: those in a checkpoint stem from the
    folder's former place, or from anywhere.
    """

    def __init__(self, storage: BaseStorageBackend, folder: str | Path,
                 outdated: list[str]) -> None:
        self.storage, self._folder, self._outdated = storage, str(folder), outdated

    def inside(self, path: str | Path) -> str:
        return self.storage.join_path(self._folder, Path(path).name)

    def isfile(self, path: str | Path) -> bool:
        return self.storage.isfile(self.inside(path))

    def isdir(self, path: str | Path) -> bool:
        return self.storage.isdir(self.inside(path))

    def remove(self, path: str | Path) -> None:
        self._outdated.append(Path(path).name)

    rmtree = remove

    def join_path(self, path: str | Path, *parts: str | Path) -> str:
        return self.storage.join_path(path, *parts)

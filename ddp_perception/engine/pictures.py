"""Draw predicted maps while a model is evaluated."""
from pathlib import Path

from mmengine.hooks import Hook

from ddp_perception.registry import HOOKS


@HOOKS.register_module()
class MapPictureHook(Hook):
    """Draw the predicted and the true map of some frames of an evaluation.

    Writes ``<token>.png`` files. Frames are taken evenly over the split.

    Args:
        out_dir: folder of the pictures, relative to the current one.
        limit: how many frames each process draws at most.
        threshold: probability from which a class is drawn.

    Raises:
        ValueError: the limit is below one.
    """

    priority = 'LOW'

    def __init__(self, out_dir: str, limit: int = 20, threshold: float = 0.5):
        if limit < 1:
            raise ValueError(f'limit must be at least 1, got {limit}')
        self.out_dir = Path(out_dir)
        self.limit = limit
        self.threshold = threshold

    def after_test_iter(self, runner, batch_idx, data_batch=None,
                        outputs=None) -> None:
        """Draw the first frame of every n-th batch."""
        self._draw(runner.test_dataloader, batch_idx, outputs)

    def after_val_iter(self, runner, batch_idx, data_batch=None,
                       outputs=None) -> None:
        """Draw the first frame of every n-th batch."""
        self._draw(runner.val_dataloader, batch_idx, outputs)

    def _draw(self, loader, batch_idx, outputs):
        from ddp_perception.visualization import frame_from_sample, save_frame
        every = max(1, -(-len(loader) // self.limit))
        if batch_idx % every or not outputs:
            return
        meta = getattr(loader.dataset, 'metainfo', {})
        sample = outputs[0]
        scope = {}
        if meta.get('map_classes'):
            scope = {'classes': meta['map_classes'],
                     'palette': meta.get('map_palette')}
        name = sample.metainfo.get('token') or f'{batch_idx:06d}'
        save_frame(frame_from_sample(sample, **scope),
                   self.out_dir / f'{name}.png', self.threshold)

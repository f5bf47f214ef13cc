from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from ddp_perception.registry import HOOKS


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8),
                         nn.Flatten(), nn.Linear(8 * 4 * 4, 2))


def test_weights_change_their_order_in_memory_alone():
    before, after = _network(), _network()
    hook = HOOKS.build(dict(type='ddp.ChannelsLastHook'))
    hook.before_run(SimpleNamespace(model=after))
    assert all(one.weight.is_contiguous(memory_format=torch.channels_last)
               for one in after[:2])
    x = torch.randn(2, 3, 8, 8)
    assert after[:2](x).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after(x), before(x))
    for one in (before, after):
        one(x).square().sum().backward()
    for ours, other in zip(after.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, other.grad)
    before.load_state_dict(after.state_dict())  # a checkpoint fits either


@pytest.mark.parametrize('name, wanted', [
    ('ddp_efflite0_1xb8-2h_camvid-480x360', True),
    ('ddp_efflite0_1xb8-1h_camvid-480x360', False)])
def test_of_camvid_the_two_hours_have_it(name, wanted):
    cfg = Config.fromfile(f'projects/camvid_seg/configs/{name}.py')
    types = [hook['type'] for hook in cfg.custom_hooks]
    assert ('ddp.ChannelsLastHook' in types) == wanted
    assert 'ddp.BroadcastBuffersHook' in types
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end


def test_weights_of_a_checkpoint_are_read_into_that_order(tmp_path):
    class Model(BaseModel):
        def __init__(self):
            super().__init__()
            self.net = _network()

        def forward(self, *args, **kwargs):
            return {}

        def train_step(self, data, optim_wrapper):
            formats.append(self.net[0].weight.is_contiguous(
                memory_format=torch.channels_last))
            return {}
    formats = []
    torch.save({'state_dict': {f'net.{name}': value for name, value
                               in _network().state_dict().items()}},
               tmp_path / 'start.pth')
    Runner(model=Model(), work_dir=str(tmp_path), load_from=str(tmp_path / 'start.pth'),
           train_dataloader=dict(dataset=[torch.zeros(1)] * 2, batch_size=1,
                                 sampler=dict(type='DefaultSampler', shuffle=False)),
           optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
           train_cfg=dict(by_epoch=True, max_epochs=1), default_scope='mmengine',
           default_hooks=dict(logger=None, checkpoint=None),
           custom_hooks=[dict(type='ddp.ChannelsLastHook')],
           experiment_name='channels_last').train()
    assert formats == [True, True]

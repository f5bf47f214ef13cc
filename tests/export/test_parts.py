"""A loop over the parts of a model computes what PyTorch's sampler computes."""
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ddp_perception.apis import init_model
from ddp_perception.export.frame_inputs import frame_inputs
from ddp_perception.export.runtime import LoadedGraph, run_in_onnx
from ddp_perception.export.writing import export_parts, graph_of
from tests.bevfusion import tiny as frames
from tests.export import tiny

IMAGES = torch.randn(3, 3, *tiny.IMAGE, generator=torch.Generator().manual_seed(1))
METAS = [dict(img_shape=tiny.IMAGE, ori_shape=tiny.IMAGE)] * 3


class Parts:
    """The three files of a model."""

    def __init__(self, model, folder, **options):
        graph = graph_of(model, cameras=3, **options)
        export_parts(graph, folder / 'model.onnx', classes=['a'])
        self.folder = folder
        self.description = json.loads((folder / 'model.json').read_text())
        self.sessions = {
            name: onnxruntime.InferenceSession(folder / part['file'])
            for name, part in self.description['parts'].items()}

    def compute(self, part, **inputs):
        return self.sessions[part].run(None, {
            name: np.asarray(value) for name, value in inputs.items()})

    def predictions(self, inputs, noise, steps):
        """Return each step's predictions by the times that the description states."""
        condition, = self.compute('features', **inputs)
        z = np.repeat(noise.numpy()[None], len(condition), 0)
        times = self.description['sampler']['times']
        lower, further = times['lower'], times['time_difference']
        predictions = []
        for step in range(steps):
            now = 1 - step / steps * (1 - lower)
            after = max(1 - (step + 1 + further) / steps * (1 - lower), lower)
            prediction, z = self.compute('step', condition=condition, z=z,
                                         now=np.float32(now).reshape(()),
                                         next=np.float32(after).reshape(()))
            predictions.append(prediction)
        return predictions


def noise_of(head, parts):
    _, channels, *size = parts.description['noise']['shape']
    return head.diffusion.coloured(head.sampler.noise(channels, tuple(size), 'cpu')[0])


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-4)


def test_maps_of_any_number_of_steps_and_seeds_and_of_a_calibration(tmp_path):
    model = tiny.prior(resize_feedback='stretch')
    model.seg_head.calibration.assign(torch.tensor([.5, 1.5, 3.]),
                                      torch.tensor([1., 0., -2.]))
    model.seg_head.diffusion.colour = 'pink'
    parts = Parts(model, tmp_path)
    model.seg_head.sampler.num_steps, model.seg_head.sampler.num_seeds = 5, 3
    priors = (torch.randn(3, 3, 32, 40, generator=torch.Generator().manual_seed(1)) > 0
              ).float()
    with torch.no_grad():
        steps = model.seg_head.prediction_steps(model.extract_feat(priors))
        expected = model.seg_head.average(steps), model.seg_head.uncertainty(steps)
    ours = parts.predictions({'prior': priors}, noise_of(model.seg_head, parts), 5)
    for mine, theirs in zip(ours, steps, strict=True):
        close(mine, theirs)
    for mine, theirs in zip(parts.compute('output', predictions=ours[-1]), expected,
                            strict=True):
        close(mine, theirs)
    assert parts.description['not_in_tensorrt'] == []
    assert parts.description['sampler']['times']['of_num_steps'] == [
        [1., 0.], [.5, 0.]]  # of the two steps that the model had


def test_probabilities_that_average_every_step_and_one_image_at_a_time(tmp_path):
    model = tiny.segmentation(encoding='analog_bits', sampler=dict(
        num_steps=2, num_seeds=2, average='all'))
    parts = Parts(model, tmp_path, image_size=tiny.IMAGE)
    model.decode_head.sampler.num_steps, model.decode_head.sampler.num_seeds = 4, 1
    with torch.no_grad():
        scores, uncertain = model.inference(IMAGES[:1], METAS[:1]).tensor_split([5], 1)
    ours = parts.predictions({'images': IMAGES[:1]},
                             noise_of(model.decode_head, parts), 4)
    mine = parts.compute('output', predictions=np.concatenate(ours, 1))
    close(mine[0], scores)
    close(mine[1], uncertain)


def test_depth_compares_every_step_for_its_spread(tmp_path):
    model = tiny.depth()
    parts = Parts(model, tmp_path, image_size=tiny.IMAGE)
    model.decode_head.sampler.num_steps = 3
    model.decode_head.appends_uncertainty = True
    with torch.no_grad():
        metres, spread = model.encode_decode(IMAGES, METAS).split(1, 1)
    ours = parts.predictions({'images': IMAGES}, noise_of(model.decode_head, parts), 3)
    mine = parts.compute('output', predictions=ours[-1],
                         compared=np.concatenate(ours, 1))
    close(mine[0], metres)
    close(mine[1], spread)
    assert spread.std() > 1e-3


@pytest.mark.slow
def test_map_of_another_frame(tmp_path):
    model = tiny.fusion()
    parts = Parts(model, tmp_path)
    model.seg_head.sampler.num_steps = 4
    inputs, (sample, ) = frames.batch(5)
    frame = frame_inputs(model, inputs['imgs'][0], inputs['points'][0], sample.metainfo)
    with torch.no_grad():
        model.predict(inputs, [sample])
    ours = parts.predictions(frame, noise_of(model.seg_head, parts), 4)
    close(parts.compute('output', predictions=ours[-1])[0][0],
          sample.pred_map_seg.data)


@pytest.mark.parametrize('schedule', [
    'cosine', *(pytest.param(name, marks=pytest.mark.slow)
                for name in ('linear', 'cosine_unclamped'))])
def test_the_first_step_keeps_the_little_that_a_map_tells_in_pure_noise(
        schedule, tmp_path):
    # sigmoid(-18.9), which runtimes round to 0, is the share of the clean map there.
    model = tiny.prior(diffusion=dict(scale=1000., schedule=schedule))
    parts = Parts(model, tmp_path)
    head = model.seg_head
    head.sampler.num_steps = 4
    with torch.no_grad():
        steps = list(head.diffusion.sample_steps(
            model.extract_feat(torch.ones(2, 3, 32, 40)), noise_of(head, parts), 4))
    condition, = parts.compute('features', prior=torch.ones(2, 3, 32, 40))
    _, z = parts.compute('step', condition=condition, z=steps[0].z[:, None],
                         now=np.array(1, np.float32), next=np.array(.5, np.float32))
    close(z[:, 0] / 1000, steps[1].z / 1000)
    assert steps[1].z.std() > 100


def test_every_part_describes_itself_and_is_none_to_predict_by(tmp_path):
    model = tiny.prior(sampler=dict(num_steps=1))
    parts = Parts(model, tmp_path)
    for name, part in parts.description['parts'].items():
        proto = onnx.load(tmp_path / part['file'])
        assert [one['name'] for one in part['inputs']] == [
            one.name for one in proto.graph.input]
        assert [one['name'] for one in part['outputs']] == [
            one.name for one in proto.graph.output]
        graph = LoadedGraph(tmp_path / part['file'])
        assert graph.description['part'] == name
        with pytest.raises(ValueError, match=f"the part '{name}' of a graph"):
            run_in_onnx(model, graph)


@pytest.mark.parametrize('options, message', [
    (dict(type='ddp.ConvMapHead'), 'a diffusion head with a noisy map'),
    (dict(diffusion=dict(noisy_map=False), sampler=dict(num_steps=1)),
     'a diffusion head with a noisy map'),
    (dict(sampler=dict(num_steps=2, uncertainty='changes')),
     "uncertainty='changes' compares the steps one by one")])
def test_what_has_no_parts_is_said_and_nothing_written(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_parts(graph_of(tiny.prior(**options)), tmp_path / 'model.onnx')
    assert not list(tmp_path.iterdir())


def test_parts_that_do_not_add_up_are_not_written(tmp_path, monkeypatch):
    from ddp_perception.export import parts, writing

    def shifted(graph):
        pairs = parts.sampling_times(2)
        return dict(of_num_steps=[(now - .1, after) for now, after in pairs])
    monkeypatch.setattr(parts, 'times_record', shifted)
    with pytest.raises(ValueError, match='differ by .* in probabilities'):
        writing.export_parts(graph_of(tiny.prior()), tmp_path / 'model.onnx')
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize('config, options', [
    ('demo_fusion_cpu', {}), ('demo_cityscapes_cpu', dict(image_size=(256, 512))),
    ('demo_kitti_cpu', {}), ('ddp_3step_osm-drivable_cpu', {})])
def test_the_demos_models_have_parts_that_lack_nothing_in_tensorrt(
        config, options, tmp_path):
    torch.manual_seed(0)
    model = init_model(config, device='cpu')  # the export compares the results
    parts = Parts(model, tmp_path, **options)
    assert parts.description['not_in_tensorrt'] == []
    assert parts.description['difference'] < 1e-4

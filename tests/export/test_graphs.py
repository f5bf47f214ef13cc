"""ONNX Runtime computes what PyTorch computes."""
import pytest
import torch

from ddp_perception.apis import init_model
from ddp_perception.export.frame_inputs import frame_inputs
from ddp_perception.export.runtime import LoadedGraph
from ddp_perception.export.writing import export_graph, graph_of
from tests.bevfusion import tiny as frames
from tests.export import tiny


def exported(model, folder, **options):
    graph = graph_of(model, cameras=3, **options)
    return LoadedGraph(export_graph(graph, folder / 'graph.onnx').path)


def noise_for(graph, head):
    """Return the head's own noise, of the shape that the graph takes."""
    _, channels, *size = next(one['shape'] for one in graph.description['inputs']
                              if one['name'] == 'noise')
    return head.sampler.noise(channels, tuple(size), 'cpu')[0]


def of_frame(graph, model, images, points, sample):
    with torch.no_grad():
        frame = frame_inputs(model, images, points, sample.metainfo)
    return graph({**frame, 'noise': noise_for(graph, model.seg_head)})


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


FRAME_MODELS = {
    'camera': lambda: tiny.camera(),
    'camera and depth images': lambda: tiny.camera(depth_aided=True),
    'fusion': lambda: tiny.fusion(sampler=dict(num_steps=3, num_seeds=2)),
    'sparse': lambda: tiny.fusion(sparse=True),
}


@pytest.mark.parametrize('kind', [
    'camera', 'camera and depth images', 'fusion',
    pytest.param('sparse', marks=pytest.mark.slow)])
def test_map_of_a_frame_is_that_of_the_model(kind, tmp_path):
    if kind == 'sparse':
        pytest.importorskip('spconv')
    model = FRAME_MODELS[kind]()
    graph = exported(model, tmp_path)
    # Another frame than that of the export, with other cameras, points and bags.
    inputs, (sample, ) = frames.batch(5)
    ours = of_frame(graph, model, inputs['imgs'][0], inputs['points'][0], sample)
    with torch.no_grad():
        model.predict(inputs, [sample])
    close(ours['probabilities'][0], sample.pred_map_seg.data)
    close(ours['uncertainty'][0], sample.pred_map_seg_uncertainty.data)
    assert ours['probabilities'].std() > .01
    assert graph.description['not_in_tensorrt'] == []


@pytest.fixture(scope='module')
def pillars(tmp_path_factory):
    model = tiny.lidar()
    return model, exported(model, tmp_path_factory.mktemp('pillars'))


@pytest.mark.parametrize('points', [300, 0])
def test_map_of_pillars_is_that_of_the_model(pillars, points):
    model, graph = pillars
    inputs, (sample, ) = frames.batch(5, imgs=False)
    cloud = inputs['points'][0][:points]
    ours = of_frame(graph, model, None, cloud, sample)
    with torch.no_grad():
        model.predict({'points': [cloud]}, [sample])
    close(ours['probabilities'][0], sample.pred_map_seg.data)


def test_rows_that_only_fill_change_nothing(pillars):
    model, graph = pillars
    inputs, (sample, ) = frames.batch(5, imgs=False)
    frame = frame_inputs(model, None, inputs['points'][0], sample.metainfo)
    frame['noise'] = noise_for(graph, model.seg_head)
    filling = {'voxels': torch.ones(7, 8, 5),
               'voxel_counts': torch.ones(7, dtype=torch.int32),
               'voxel_coors': torch.tensor([[0, 0, 3, -1]] * 7, dtype=torch.int32)}
    padded = {name: torch.cat([value, filling[name]]) if name in filling else value
              for name, value in frame.items()}
    assert torch.equal(graph(padded)['probabilities'], graph(frame)['probabilities'])


def test_maps_of_priors_are_those_of_the_model_in_batches_of_any_size(tmp_path):
    model = tiny.prior(resize_feedback='stretch')
    graph = exported(model, tmp_path)
    priors = (torch.randn(3, 3, 32, 40, generator=torch.Generator().manual_seed(1)) > 0
              ).float()
    with torch.no_grad():
        expected = model(priors)['map']
    for batch in (priors, priors[:1]):
        ours = graph({'prior': batch, 'noise': noise_for(graph, model.seg_head)})
        close(ours['probabilities'], expected[:len(batch)])


IMAGES = torch.randn(3, 3, *tiny.IMAGE, generator=torch.Generator().manual_seed(1))
METAS = [dict(img_shape=tiny.IMAGE, ori_shape=tiny.IMAGE)] * 3


@pytest.mark.parametrize('head', [
    pytest.param({}, id='class vectors'),
    pytest.param(dict(encoding='analog_bits', sampler=dict(
        num_steps=2, num_seeds=2, average='all')), id='bits, mean of all passes')])
def test_probabilities_of_images_are_those_of_the_model(head, tmp_path):
    model = tiny.segmentation(**head)
    graph = exported(model, tmp_path, image_size=tiny.IMAGE)
    with torch.no_grad():
        scores, uncertain = model.inference(IMAGES, METAS).tensor_split([5], 1)
    ours = graph({'images': IMAGES, 'noise': noise_for(graph, model.decode_head)})
    close(ours['probabilities'],
          scores if model.decode_head.accumulates else scores.softmax(1))
    close(ours['uncertainty'], uncertain)


def test_depth_of_images_is_that_of_the_model(tmp_path):
    model = tiny.depth()
    graph = exported(model, tmp_path, image_size=tiny.IMAGE)
    with torch.no_grad():
        expected = model.encode_decode(IMAGES, METAS)
    ours = graph({'images': IMAGES, 'noise': noise_for(graph, model.decode_head)})
    torch.testing.assert_close(ours['metres'], expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 1e-3


def test_constant_noise_is_no_input_and_a_calibration_is_applied(tmp_path):
    model = tiny.prior()
    model.seg_head.calibration.assign(torch.tensor([.5, 1.5, 3.]),
                                      torch.tensor([1., 0., -2.]))
    model.seg_head.diffusion.colour = 'pink'
    graph = exported(model, tmp_path, constant_noise=True)
    assert [one['name'] for one in graph.description['inputs']] == ['prior']
    with torch.no_grad():
        expected = model(torch.ones(2, 3, 32, 40))['map']
    close(graph({'prior': torch.ones(2, 3, 32, 40)})['probabilities'], expected)


def test_convolutional_head_is_exported_without_noise(tmp_path):
    model = tiny.prior(type='ddp.ConvMapHead')
    graph = exported(model, tmp_path)
    assert [one['name'] for one in graph.description['inputs']] == ['prior']
    with torch.no_grad():
        expected = model(torch.ones(2, 3, 32, 40))['map']
    close(graph({'prior': torch.ones(2, 3, 32, 40)})['probabilities'], expected)


def test_a_head_without_a_noisy_map_is_exported_without_noise(tmp_path):
    model = tiny.prior(diffusion=dict(noisy_map=False), sampler=dict(num_steps=1))
    graph = exported(model, tmp_path)
    assert [one['name'] for one in graph.description['inputs']] == ['prior']
    with torch.no_grad():
        expected = model(torch.ones(2, 3, 32, 40))['map']
    close(graph({'prior': torch.ones(2, 3, 32, 40)})['probabilities'], expected)


@pytest.mark.slow
@pytest.mark.parametrize('config, options', [
    ('demo_fusion_cpu', {}), ('demo_cityscapes_cpu', dict(image_size=(256, 512))),
    ('demo_kitti_cpu', {}), ('ddp_3step_osm-drivable_cpu', {})])
def test_the_demos_models_are_exported_and_lack_nothing_in_tensorrt(
        config, options, tmp_path):
    torch.manual_seed(0)
    model = init_model(config, device='cpu')  # the export compares the results
    graph = exported(model, tmp_path, **options)
    assert graph.description['not_in_tensorrt'] == []

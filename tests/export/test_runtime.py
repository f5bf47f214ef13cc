"""A model whose graph ONNX Runtime computes predicts what it predicted before."""
import copy
import json
import os

import onnx
import pytest
import torch
from mmengine.structures import BaseDataElement

from ddp_perception.export.runtime import LoadedGraph, run_in_onnx
from ddp_perception.export.writing import export_graph, graph_of
from tests.bevfusion import tiny as frames
from tests.export import tiny


@pytest.fixture(scope='module')
def fusion(tmp_path_factory):
    """A model, and the file of its graph."""
    model = tiny.fusion()
    path = tmp_path_factory.mktemp('fusion') / 'map.onnx'
    return model, write(model, path)


def write(model, path, **options):
    from ddp_perception.export.writing import weights_digest
    return export_graph(graph_of(model, cameras=3, **options), path,
                        weights=weights_digest(model)).path


def attached(model, path):
    model = copy.deepcopy(model)
    run_in_onnx(model, LoadedGraph(path))
    return model


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_frames_of_a_batch_are_predicted_one_by_one(fusion):
    model, path = fusion
    results = []
    for one in (model, attached(model, path)):
        inputs, samples = frames.batch(1, 2)
        with torch.no_grad():
            results.append(one.predict(inputs, samples))
    for theirs, ours in zip(*results, strict=True):
        close(ours.pred_map_seg.data, theirs.pred_map_seg.data)
        close(ours.pred_map_seg_uncertainty.data, theirs.pred_map_seg_uncertainty.data)
        assert ours.metainfo['decoder_passes'] == theirs.metainfo['decoder_passes']
        assert ours.metainfo['uncertainty'] == theirs.metainfo['uncertainty']


def test_another_seed_gives_another_noise(fusion):
    model, path = fusion
    model = copy.deepcopy(model)
    model.seg_head.sampler.seed = 7
    results = []
    for one in (model, attached(model, path)):
        inputs, samples = frames.batch(1)
        with torch.no_grad():
            results.append(one.predict(inputs, samples)[0].pred_map_seg.data)
    close(*results)


def test_priors_keep_the_prior_beside_the_map(tmp_path):
    model = tiny.prior()
    graph = attached(model, write(model, tmp_path / 'prior.onnx'))
    priors = torch.ones(2, 3, 32, 40)
    results = [one.predict(priors, [BaseDataElement(), BaseDataElement()])
               for one in (model, graph)]
    for theirs, ours in zip(*results, strict=True):
        close(ours.pred_map_seg.data, theirs.pred_map_seg.data)
        assert torch.equal(ours.map_prior.data, theirs.map_prior.data)


def test_windows_slide_over_larger_images(tmp_path):
    model = tiny.segmentation()
    model.test_cfg.update(mode='slide', crop_size=tiny.IMAGE, stride=(16, 24))
    graph = attached(model, write(model, tmp_path / 'windows.onnx'))
    images = torch.randn(1, 3, 48, 100, generator=torch.Generator().manual_seed(0))
    metas = [dict(img_shape=(48, 100), ori_shape=(48, 100))]
    with torch.no_grad():
        theirs, ours = (one.inference(images, metas) for one in (model, graph))
    assert ours.shape == theirs.shape == (1, 6, 48, 100)
    close(ours[:, :5].softmax(1), theirs[:, :5].softmax(1))
    close(ours[:, 5:], theirs[:, 5:])


def test_what_does_not_fit_is_named(fusion, tmp_path):
    model, path = fusion
    other = copy.deepcopy(model)
    other.seg_head.sampler.num_steps = 5
    with pytest.raises(ValueError, match='num_steps=2, got 5'):
        attached(other, path)
    other = copy.deepcopy(model)
    other.seg_head.sampler.until_stable = .1
    with pytest.raises(ValueError, match='until_stable'):
        attached(other, path)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.seg_head.diffusion.codec.table.weight[0, 0] += 1
    with pytest.raises(ValueError, match='other weights'):
        attached(other, path)
    with pytest.raises(ValueError, match="'frame', which EncoderDecoder is not"):
        attached(tiny.segmentation(), path)
    (tmp_path / 'text.onnx').write_text('no graph')
    with pytest.raises(ValueError, match=r'text\.onnx cannot be read as ONNX'):
        LoadedGraph(tmp_path / 'text.onnx')


def _external(model, folder):
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, '../elsewhere.bin')
    tensor.ClearField('raw_data')


def _in_a_branch(model, folder):
    inner = onnx.helper.make_tensor('hidden', onnx.TensorProto.FLOAT, [1], [0.])
    inner.data_location = onnx.TensorProto.EXTERNAL
    model.graph.node.append(onnx.helper.make_node(
        'If', [], ['never'], then_branch=onnx.helper.make_graph([
            onnx.helper.make_node('Constant', [], ['x'], value=inner)], 'b', [], [])))


def _described(**changes):
    def change(model, folder):
        entry = next(one for one in model.metadata_props if one.key == 'ddp_perception')
        entry.value = json.dumps({**json.loads(entry.value), **changes})
    return change


@pytest.mark.parametrize('change, message', [
    (_external, r"weights '.*' in another file"),
    (_in_a_branch, "weights 'hidden' in another file"),
    (_described(inputs=[]), 'must have .* and the inputs .* got the inputs'),
    (_described(inputs=[dict(name=3)]), r'odd\.onnx: its description .* is damaged'),
    (_described(inputs=7), r'odd\.onnx: its description .* is damaged')])
def test_graphs_of_others_are_checked_first(fusion, tmp_path, change, message):
    _, path = fusion
    model = onnx.load(path)
    change(model, tmp_path)
    (tmp_path / 'odd.onnx').write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=message):
        LoadedGraph(tmp_path / 'odd.onnx')


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe.onnx')
    with pytest.raises(ValueError, match=r'pipe\.onnx'):
        LoadedGraph(tmp_path / 'pipe.onnx')


def test_images_of_another_size_are_named(fusion):
    model, path = fusion
    inputs, samples = frames.batch(1)
    inputs['imgs'] = inputs['imgs'][..., :48]
    with pytest.raises(ValueError, match=r'\(32, 64\), got \(32, 48\)'):
        attached(model, path).predict(inputs, samples)

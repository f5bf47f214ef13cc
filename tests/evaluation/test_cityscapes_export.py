"""mmseg writes what the Cityscapes test server takes."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmseg.evaluation.metrics import citys_metric
from PIL import Image

from data_tools.cityscapes_ids import LABEL_IDS

PATH = ('/data/leftImg8bit/test/{0}/{0}_{1:06d}_000019_leftImg8bit.png')


@pytest.fixture
def metric(tmp_path, monkeypatch):
    """mmseg's metric; it refuses to exist without cityscapesscripts.

    Where that is not installed, the one table that writing needs is put in
    its place: labels by training id.
    """
    if citys_metric.CSLabels is None:
        table = {train: SimpleNamespace(id=label)
                 for train, label in enumerate(LABEL_IDS)}
        table |= {255: SimpleNamespace(id=0), -1: SimpleNamespace(id=-1)}
        monkeypatch.setattr(citys_metric, 'CSEval', SimpleNamespace())
        monkeypatch.setattr(citys_metric, 'CSLabels',
                            SimpleNamespace(trainId2label=table))
    return citys_metric.CityscapesMetric(
        output_dir=str(tmp_path / 'server'), format_only=True,
        keep_results=True)


@pytest.mark.parametrize('dtype', [torch.int64, torch.uint8])
def test_label_ids_in_full_size_named_after_the_image(metric, tmp_path, dtype):
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 19, (2, 1024, 2048))
    paths = [PATH.format('berlin', 3), PATH.format('bonn', 3)]
    metric.process(None, [
        {'pred_sem_seg': {'data': torch.from_numpy(image)[None].to(dtype)},
         'img_path': path} for image, path in zip(classes, paths)])
    assert metric.evaluate(2) == {}
    written = sorted((tmp_path / 'server').iterdir())
    assert [path.name for path in written] == [
        'berlin_000003_000019_leftImg8bit.png',
        'bonn_000003_000019_leftImg8bit.png']
    for path, image in zip(written, classes):
        with Image.open(path) as file:
            assert file.size == (2048, 1024)
            assert file.mode in ('L', 'P')  # one channel, 8 bits
            ids = np.array(file)
        # Mapped from a copy: no id that is also a class is mapped again.
        np.testing.assert_array_equal(ids, np.array(LABEL_IDS)[image])

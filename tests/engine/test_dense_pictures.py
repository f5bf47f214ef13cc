import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn
from torch.utils.data import DataLoader

from ddp_perception.engine import PictureHook
from ddp_perception.engine.pictures import name_images
from ddp_perception.visualization.dense import OPACITY, WRONG, hatching
from ddp_perception.visualization.panels import Panels

PALETTE = [[128, 64, 128], [220, 20, 60], [0, 0, 142]]
RGB = (200, 100, 50)


class Images:
    """A data set of image files, as mmengine's are asked for what they list."""

    metainfo = dict(classes=('road', 'person', 'car'), palette=PALETTE)
    ignore_index = 7

    def __init__(self, folder, names, size=(20, 40)):
        self.paths = [str(folder / name) for name in names]
        for path in self.paths:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            pixels = np.full((*size, 3), RGB[::-1], np.uint8)
            pixels[0] = 0  # the top row is black
            assert cv2.imwrite(path, pixels)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return index

    def get_data_info(self, index):
        return dict(img_path=self.paths[index])


class DepthHead(nn.Module):
    prediction_field = 'pred_depth_map'

    def __init__(self, max_depth):
        super().__init__()
        self.max_depth = max_depth


def sample_of(path, meta=(), **fields):
    sample = SegDataSample(metainfo=dict(img_path=path, **dict(meta)))
    for name, values in fields.items():
        sample.set_data({name: PixelData(data=torch.as_tensor(values)[None])})
    return sample


def labels(height=20, width=40):
    values = torch.zeros(height, width, dtype=torch.int64)
    values[:, width // 2:] = 2
    return values


def evaluate(hook, dataset, make, stage='test', max_depth=60.):
    model = nn.Sequential(DepthHead(max_depth))
    loader = DataLoader(dataset, batch_size=1)
    runner = SimpleNamespace(test_dataloader=loader, val_dataloader=loader,
                             model=model)
    for index, path in enumerate(dataset.paths):
        getattr(hook, f'after_{stage}_iter')(runner, index, outputs=[make(path)])


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(Panels, 'save',
                        lambda self, path: figures.append(self.figure) or path)
    return figures


def panel(figure, title):
    axes = next(axes for axes in figure.axes if axes.get_title() == title)
    return axes.get_images()[0]


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def blend(label):
    mixed = np.array(RGB) * (1 - OPACITY) + np.array(PALETTE[label]) * OPACITY
    return tuple(np.rint(mixed).astype(int))


def test_segmentation_shows_image_prediction_and_truth(tmp_path, drawn):
    truth = labels().flip(1)
    truth[5, 5] = Images.ignore_index
    truth[6, 6] = 200  # no class, nor what the data set ignores
    evaluate(PictureHook(str(tmp_path)), Images(tmp_path, ['a.png']),
             lambda path: sample_of(path, pred_sem_seg=labels(), gt_sem_seg=truth))
    figure, = drawn
    assert titles(figure) == ['image, errors in red', 'prediction', 'truth']
    prediction, true = (np.asarray(panel(figure, title).get_array())
                        for title in ('prediction', 'truth'))
    marked = np.asarray(panel(figure, 'image, errors in red').get_array())
    wrong = (labels() != truth)[9].numpy()
    assert (marked[9, wrong] == WRONG).all() and wrong.any()
    assert (marked[9, ~wrong] == marked[9, ~wrong, :1]).all()  # grey
    assert tuple(prediction[9, 1]) == tuple(true[9, -1]) == blend(0)
    assert tuple(prediction[9, -1]) == tuple(true[9, 1]) == blend(2)
    for place in ((5, 5), (6, 6)):
        assert tuple(true[place]) == tuple(hatching((20, 40))[place])
    texts = [text.get_text() for axes in figure.axes if axes.get_legend()
             for text in axes.get_legend().get_texts()]
    assert texts == ['road', 'car', 'ignored', 'error']


def test_depth_shows_the_image_and_true_depth_where_it_was_cropped(tmp_path, drawn):
    depth = torch.full((12, 30), 8.)
    truth = torch.where(torch.rand(12, 30) < .9, 20., 0.)
    evaluate(PictureHook(str(tmp_path)), Images(tmp_path, ['a.png'], (13, 40)),
             lambda path: sample_of(path, dict(kb_crop=(1, 5, 12, 30)),
                                    pred_depth_map=depth, gt_depth_map=truth))
    figure, = drawn
    assert titles(figure) == ['image', 'predicted depth', 'true depth', 'error']
    image = np.asarray(panel(figure, 'image').get_array())
    crop = np.s_[1:13, 5:35]
    assert image.shape == (13, 40, 3) and (image[crop] == RGB).all()
    prediction, true = (panel(figure, f'{which} depth')
                        for which in ('predicted', 'true'))
    for drawn_values, values in ((prediction, depth), (true, truth)):
        whole = np.ma.filled(drawn_values.get_array(), 0)
        np.testing.assert_array_equal(whole[crop], values)
        assert whole.sum() == pytest.approx(values.sum().item())  # nothing outside
    assert prediction.norm.vmax == true.norm.vmax == 60  # the head's range


def test_truth_is_left_out_where_there_is_none(tmp_path, drawn):
    for fields in (dict(pred_sem_seg=labels()),
                   dict(pred_depth_map=torch.rand(20, 40) + 1)):
        evaluate(PictureHook(str(tmp_path)), Images(tmp_path, ['a.png']),
                 lambda path, fields=fields: sample_of(path, **fields))
    assert [len(titles(figure)) for figure in drawn] == [2, 2]


@pytest.mark.parametrize('stage', ['test', 'val'])
@pytest.mark.parametrize('field', ['pred_sem_seg', 'pred_depth_map'])
def test_files_are_named_after_images_and_limited(tmp_path, stage, field):
    values = labels() if field == 'pred_sem_seg' else torch.rand(20, 40) + 1
    names = [f'drive_{i // 4}/data/{i % 4}.png' for i in range(7)]
    hook = PictureHook(str(tmp_path / 'out'), limit=3)
    evaluate(hook, Images(tmp_path, [*names, 'last.png']),
             lambda path: sample_of(path, **{field: values}), stage)
    # of 8 images every third; 0, 1 and 2 are in both drives, 3 is not
    assert sorted(os.listdir(tmp_path / 'out')) == [
        '3.png', 'drive_0__data__0.png', 'drive_1__data__2.png']
    picture = cv2.imread(str(tmp_path / 'out' / '3.png'))
    assert picture is not None and picture.std() > 10


def test_names_differ_and_are_as_short_as_that_allows():
    paths = ['r/a/x/1.png', 'r/b/x/1.png', 'r/b/y/1.png', 'r/b/y/2.png',
             'r/c/n.png', 'r/c/N.jpg', 'r/p__q/z.png', 'r/p/q__z.png',
             'r/p__q/w/z.png']
    names = name_images(paths)
    assert names[:6] == ['a__x__1', 'b__x__1', 'y__1', '2', 'n_png', 'N_jpg']
    assert len({name.casefold() for name in names}) == len(paths)
    assert not any('/' in name for name in names)
    assert name_images(['/z.png', '/deep/z.png']) == ['__z', 'deep__z']
    assert name_images(['a/b.png'] * 2) == ['b', 'b']  # one image, listed twice


@pytest.mark.parametrize('make, message', [
    (lambda path: sample_of(path, pred_sem_seg=labels(12, 30)),
     'a.png from 20 x 40 to 12 x 30 pixels; only ddp.KBCrop says where'),
    (lambda path: sample_of(path), 'no registered prediction'),
    (lambda path: sample_of(None, pred_sem_seg=labels()), 'put img_path among'),
])
def test_samples_that_cannot_be_drawn_are_refused(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        evaluate(PictureHook(str(tmp_path)), Images(tmp_path, ['a.png']), make)

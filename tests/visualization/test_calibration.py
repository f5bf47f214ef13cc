"""What pictures of calibration show, against the numbers they are drawn from."""
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from ddp_perception.evaluation import CalibrationMetric, DepthUncertaintyMetric
from ddp_perception.visualization import (
    calibration,
    save_calibration,
    save_sparsification,
)

CLASSES = ('drivable_area', 'stop_line')


@pytest.fixture
def drawn(monkeypatch):
    """Figures instead of files."""
    figures = []
    monkeypatch.setattr(calibration, 'save_figure',
                        lambda figure, path: figures.append(figure) or path)
    return figures


def curves_of(metric, samples, path):
    metric.process(None, samples)
    metric.evaluate(len(samples))
    return json.loads(path.read_text())


@pytest.fixture
def map_curves(tmp_path):
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(2, 30, 40, generator=generator) * 0.8  # empty bins above
    truth = torch.rand(2, 30, 40, generator=generator) < probability
    return curves_of(
        CalibrationMetric('multi_label', ('entropy', 'confidence'), classes=CLASSES,
                          curves_file=str(tmp_path / 'curves.json')),
        [dict(pred_map_seg=dict(data=probability), gt_map_seg=dict(data=truth))],
        tmp_path / 'curves.json')


@pytest.fixture
def depth_curves(tmp_path):
    generator = torch.Generator().manual_seed(0)
    truth = 5 + 60 * torch.rand(1, 60, 80, generator=generator)
    spread = 5 * torch.rand(1, 60, 80, generator=generator)
    noise = torch.randn(1, 60, 80, generator=generator)
    return curves_of(
        DepthUncertaintyMetric(crop=None, curves_file=str(tmp_path / 'curves.json')),
        [dict(pred_depth_map=dict(data=truth + spread * noise),
              pred_depth_map_uncertainty=dict(data=spread),
              gt_depth_map=dict(data=truth))], tmp_path / 'curves.json')


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title().startswith(title))


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_reliability_bars_end_at_frequency_and_mean_probability(drawn, map_curves):
    save_calibration('curves.png', map_curves)
    figure, = drawn
    for name in CLASSES:
        data = map_curves['reliability'][name]
        ece = map_curves['figures'][f'calibration/{name}/ece']
        axes = panel(figure, name.replace('_', ' '))
        assert axes.get_title().endswith(f', ECE {ece:.5f}')
        filled = [index for index, count in enumerate(data['cells']) if count]
        assert filled == list(range(12))  # 0.8 of 15 bins
        bars, gaps = axes.containers
        assert [bar.get_x() for bar in bars] == pytest.approx([i / 15 for i in filled])
        assert [bar.get_height() for bar in bars] == pytest.approx(
            [data['frequency'][i] for i in filled])
        assert [gap.get_y() + gap.get_height() for gap in gaps] == pytest.approx(
            [data['probability'][i] for i in filled])
        below = figure.axes[figure.axes.index(axes) + 1]
        assert below.get_xlabel() == 'predicted probability'
        shares = np.array([bar.get_height() for bar in below.patches])
        assert shares == pytest.approx(np.array(data['cells']) / 1200)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        'perfect', 'observed frequency', 'gap to mean predicted probability']


def test_every_uncertainty_has_a_curve_and_its_aurc(drawn, map_curves):
    save_calibration('curves.png', map_curves)
    axes = panel(drawn[0], 'risk and coverage')
    names = ('entropy', 'confidence')
    assert legend(axes) == [
        f'{name}, AURC {map_curves["figures"][f"uncertainty/{name}/aurc"]:.5f}'
        for name in names]
    for name, line in zip(names, axes.lines, strict=True):
        np.testing.assert_array_equal(line.get_ydata(),
                                      map_curves['risk_coverage'][name]['risk'])
    assert axes.lines[0].get_linestyle() != axes.lines[1].get_linestyle()
    assert axes.lines[0].get_color() != axes.lines[1].get_color()


def test_labels_have_one_diagram_and_nothing_evaluated_is_drawn_empty(drawn):
    nothing = [None] * 15
    save_calibration('curves.png', dict(
        figures={'calibration/ece': None, 'uncertainty/entropy/aurc': None},
        edges=[i / 15 for i in range(16)],
        reliability=dict(all=dict(cells=[0] * 15, probability=nothing,
                                  frequency=nothing)),
        risk_coverage=dict(entropy=dict(coverage=[1.], risk=[None]))))
    diagram, below = drawn[0].axes
    assert diagram.get_title() == 'reliability, ECE undefined'
    assert (diagram.get_ylabel(), below.get_xlabel()) == ('accuracy', 'confidence')


def test_sparsification_shows_uncertainty_oracle_and_chance(drawn, depth_curves):
    save_sparsification('curves.png', depth_curves)
    figure, = drawn
    for name, axes in zip(('abs_rel', 'rmse'), figure.axes, strict=True):
        data = depth_curves['sparsification'][name]
        chance, by_uncertainty, oracle = axes.lines
        assert set(chance.get_ydata()) == {1}
        np.testing.assert_allclose(by_uncertainty.get_xdata(),
                                   1 - np.array(data['kept']))
        np.testing.assert_array_equal(by_uncertainty.get_ydata(), data['error'])
        np.testing.assert_array_equal(oracle.get_ydata(), data['oracle'])
        ause = depth_curves['figures'][f'uncertainty/ause_{name}']
        assert axes.get_title().endswith(f', AUSE {ause:.5f}')
        # The shaded area is AUSE.
        area = float(torch.trapezoid(
            torch.tensor(data['error']) - torch.tensor(data['oracle']),
            torch.tensor(data['kept'])))
        assert math.isclose(area, ause, abs_tol=0.005)
    assert [axes.get_title().partition(',')[0] for axes in figure.axes] == [
        'mean of |error| / truth', 'RMSE']
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        'chance', 'by uncertainty', 'by error (oracle)', 'AUSE']


def test_pictures_are_whole_files(tmp_path, map_curves, depth_curves):
    for save, curves in ((save_calibration, map_curves),
                         (save_sparsification, depth_curves)):
        path = save(tmp_path / 'new' / f'{save.__name__}.png', curves)
        with Image.open(path) as picture:
            assert min(picture.size) > 300
    assert len(list((tmp_path / 'new').iterdir())) == 2

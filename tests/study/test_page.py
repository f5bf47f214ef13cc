import re

from ddp_perception.study import study_page
from tests.study.tiny import STUDY, line


def cells(page, start):
    row, = [text for text in page.splitlines() if text.startswith(start)]
    return [cell.strip() for cell in row.strip('|').split('|')]


def trainings(wide=(41., 42., 43.), plain=(40., 40.5, 42.5)):
    return [*(line('wide', seed, **{
        'steps_3/iou': value, 'steps_3/ece_scaled': 0.03 + 0.001 * seed,
        'parameters': 123456., 'steps_1/seconds': 0.25})
              for seed, value in enumerate(wide)),
            *(line('plain', seed, **{'steps_1/iou': value})
              for seed, value in enumerate(plain))]


def test_a_claim_has_the_papers_figure_ours_and_a_verdict():
    page = study_page(STUDY, trainings())
    claim, paper, compared, ours, holds = cells(page, '| Diffusion is better')
    assert paper == '82.6 mIoU' and compared == 'three steps over the plain head'
    # 1, 1.5, 0.5: two deviations are exactly the mean
    assert ours == '42.00 ± 1.00 against 41.00 ± 1.32: +1.00 ± 0.50 (n = 3)'
    assert holds == 'not shown'
    page = study_page(STUDY, trainings(wide=(41., 41.6, 43.4)))
    assert cells(page, '| Diffusion is better')[-1] == 'holds'
    page = study_page(STUDY, trainings(wide=(39., 39.6, 41.4)))
    assert cells(page, '| Diffusion is better')[-1] == 'does not hold'


def test_a_number_is_compared_with_each_seed():
    _, paper, _, ours, holds = cells(study_page(STUDY, trainings()), '| It knows')
    assert paper == '–' and holds == 'does not hold'
    assert ours == '0.02 against 0.0310 ± 0.0010: -0.0110 ± 0.0010 (n = 3)'


def test_seeds_that_one_side_lacks_do_not_count():
    page = study_page(STUDY, trainings(plain=(40., )))
    ours, holds = cells(page, '| Diffusion is better')[-2:]
    assert ours == '41.00 against 40.00: +1.00 (n = 1)' and holds == 'not shown'


def test_what_was_not_measured_is_left_empty():
    page = study_page(STUDY, trainings()[:3])
    assert cells(page, '| Diffusion is better')[-2:] == ['– against –: –', 'not shown']
    costs = page[page.index('## What each head costs'):]
    assert cells(costs, '| wide scale')[1:] == ['123,456', '–', '–', '–', '0.25', '–']
    assert 'plain head' not in costs  # it has not been trained
    assert re.search(r'^3 trainings on', page, re.M)

"""The picture of a probe: steps, truth, and how much is decided apart."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.visualization.panels import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (15.0, 4.8)  # inches
LINE = 180  # letters of a sentence in one line
RUN, TRUTH, EMPTY, CHANGED = 'tab:blue', 'tab:green', 'tab:grey', 'tab:orange'


def draw_probe(content: Mapping[str, Any]) -> Figure:
    """Draw what a probe measured.

    Args:
        content: what the probe writes into its file; see
            `ddp_perception.probing.ProbeResult.content`.

    Returns:
        Not attached to any window.
    """
    import textwrap

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=SIZE)
    FigureCanvasAgg(figure)
    groups: dict[str, list] = {}
    for item in content['variations']:
        groups.setdefault(item['group'], []).append(item)
    panels = figure.subplots(1, 3 if 'truth' in groups else 2)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.78, bottom=0.15, wspace=0.34)
    name = content['metric']['name']
    label = f'{name} ({content["metric"]["rule"]} is better)'
    _draw_steps(panels[0], groups, name, label)
    if 'truth' in groups:
        _draw_truth(panels[1], groups, name, label)
    _draw_apart(panels[-1], groups, content['thresholds']['share_of_cells'])
    text = '\n'.join(line for sentence in content['sentences']
                     for line in textwrap.wrap(sentence, LINE))
    figure.suptitle(text, fontsize=11, x=0.012, y=0.985, ha='left', va='top',
                    parse_math=False)
    return figure


def save_probe(content: Mapping[str, Any], path: str | Path, dpi: int = 100) -> Path:
    """Draw a probe into a file; see `draw_probe`.

    Args:
        content: See there.
        path: The file, replaced as a whole; its suffix decides the format.
        dpi: Pixels per inch; 15 inches wide.

    Returns:
        The file.
    """
    return save_figure(draw_probe(content), path, dpi)


def _points(items: list, name: str) -> tuple[list, list]:
    return ([item['value'] for item in items],
            [item['metrics'][name] for item in items])


def _draw_steps(axes: Axes, groups: Mapping[str, list], name: str, label: str) -> None:
    axes.plot(*_points(groups['steps'], name), 'o-', color=RUN, label='ordinary run')
    at = groups['feedback'][0]['value']
    for group, marker, text in (('zeros', 's', 'zeros for noise'),
                                ('feedback', 'v', "another image's map fed back"),
                                ('seeds', '^', 'mean of {:g} seeds')):
        item = groups[group][0]
        axes.plot([at], [item['metrics'][name]], marker, markersize=9, alpha=0.75,
                  label=text.format(item['value']), linestyle='none')
    axes.set(title='Steps', xlabel='steps (num_steps); seconds of the head per image',
             ylabel=label)
    axes.set_xticks([item['value'] for item in groups['steps']],
                    [f'{item["value"]:g}\n{item["seconds"]:.2g}'
                     for item in groups['steps']], fontsize=8)
    _finish(axes)


def _draw_truth(axes: Axes, groups: Mapping[str, list], name: str, label: str) -> None:
    axes.plot(*_points(groups['truth'], name), 'o-', color=TRUTH,
              label='from the noised truth')
    axes.plot(*_points(groups['no_truth'], name), 's--', color=EMPTY,
              label='from the noise of that time alone')
    axes.axhline(groups['steps'][0]['metrics'][name], color=RUN, linestyle=':',
                 label='from pure noise (t = 1)')
    axes.set(title='One step from the truth', xlabel='time t (1: all noise)',
             ylabel=label)
    axes.invert_xaxis()
    _finish(axes)


def _draw_apart(axes: Axes, groups: Mapping[str, list], least: float) -> None:
    bars = [('other seed', groups['seeds'][0]), ('zeros for noise', groups['zeros'][0]),
            ("another image's\nmap fed back", groups['feedback'][0]),
            *((f'truth at t = {item["value"]:g}', item)
              for item in groups.get('truth', []))]
    shares = [100 * item['apart'] for _, item in bars]
    drawn = axes.barh(range(len(bars)), shares, color=CHANGED)
    axes.bar_label(drawn, [f'{share:.3g} %' for share in shares], padding=3, fontsize=9,
                   bbox=dict(facecolor='white', edgecolor='none', pad=0.5))
    axes.set_yticks(range(len(bars)), [text for text, _ in bars], fontsize=9)
    axes.set_ylim(len(bars) + 0.3, -0.7)  # room for the legend below
    axes.axvline(100 * least, color=EMPTY, linestyle=':',
                 label=f'less than {100 * least:g} % counts as none')
    axes.legend(fontsize=9, loc='lower right', frameon=False)
    axes.set(title='What changes decisions', xlabel='cells decided apart (%)',
             xlim=(0, max(*shares, 100 * least) * 1.25))


def _finish(axes: Axes) -> None:
    """Leave room for the legend above the curves."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.45 * (high - low))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, loc='upper left', frameon=False)

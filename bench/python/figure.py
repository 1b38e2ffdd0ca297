"""A figure of horizontal bars: panels on shelves, all dressed alike."""

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "attend", "svg.fonttype": "none", "font.size": 8})
import matplotlib.pyplot as plt  # noqa: E402  the backend comes first


def dress(axes, title, unit, names):
    """Title, unit, and one name a row, from the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
    axes.set_xlabel(unit)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw(path, title, shelves, draw_panel, row_height, column_width, legend):
    """Shelves stand side by side, each a list of (panel, height in rows) from the top; `draw_panel(axes, panel)`."""
    tallest = max(sum(height for _, height in shelf) for shelf in shelves)
    figure = plt.figure(figsize=(column_width * len(shelves), row_height * tallest + 0.9), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    for shelf, part in zip(shelves, figure.subfigures(1, len(shelves), squeeze=False)[0]):
        heights = [height for _, height in shelf]
        spare = tallest - sum(heights)
        heights += [spare] if spare > 0 else []
        axes = part.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        for (panel, _), one in zip(shelf, axes):
            draw_panel(one, panel)
        for empty in axes[len(shelf):]:
            empty.set_axis_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc=legend, ncols=len(labels), frameon=False)
    figure.savefig(path, metadata={"Date": None})

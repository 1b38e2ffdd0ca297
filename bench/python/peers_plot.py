"""Draws the table of a peers run.

usage: peers_plot.py PEERS.json [PEERS.svg]
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "attend", "svg.fonttype": "none", "font.size": 8})
import matplotlib.pyplot as plt  # noqa: E402  the backend comes first

import peers_table  # noqa: E402

NAMES = {"attend": "attend", "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
COLOURS = {"attend": "#1f6fb4", "torch": "#e0894a", "onnxruntime": "#9aa7b5", "openvino": "#c9b458"}
PANELS = (  # title, and how its rows' names begin; the first that fits takes a row
    ("Backward", ("backward",)),
    ("One query over a cache", ("decode",)),
    ("Head dim 32", ("MiniLM", "RIN", "f32 16x12")),
    ("bf16 and f16", ("bf16", "f16")),
    ("f32", ("f32",)),
)
SHELVES = (("f32", "Head dim 32"), ("bf16 and f16", "Backward", "One query over a cache"))


def panels(results, threads):
    """Title -> results of so many threads, in the run's order."""
    groups = {title: [] for title, _ in PANELS}
    for result in results["rows"]:
        if result["threads"] == threads:
            groups[next(title for title, begins in PANELS if result["row"].startswith(begins))].append(result)
    return groups


def draw_panel(axes, title, group):
    height = 0.8 / len(NAMES)
    for n, name in enumerate(NAMES):
        seconds = [peers_table.fastest(result, name)[0] for result in group]
        speeds = [result["work"] / s / 1e9 if s else 0 for result, s in zip(group, seconds)]
        places = [y + (n - 1.5) * height for y in range(len(group))]
        axes.barh(places, speeds, height * 0.9, color=COLOURS[name], label=NAMES[name])
        if name == "attend":
            for y, speed, result in zip(places, speeds, group):
                axes.text(speed, y, f" {peers_table.ratio(result, 'median'):.2f}x", va="center", fontsize=6, color="#333333")
    axes.set_yticks(range(len(group)), [result["row"].removeprefix("backward ").removeprefix("decode ") for result in group])
    axes.set_ylim(len(group) - 0.4, -0.6)
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
    axes.set_xlabel("GB/s" if group[0]["bandwidth"] else "useful GFLOP/s")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw(results, path):
    """All rows at the most threads; beside attend's bars, how many times as fast as the best peer."""
    threads = max(result["threads"] for result in results["rows"])
    groups = panels(results, threads)
    shelves = [[title for title in shelf if groups[title]] for shelf in SHELVES]
    shelves = [shelf for shelf in shelves if shelf]
    sizes = [[len(groups[title]) + 2.5 for title in shelf] for shelf in shelves]
    tallest = max(map(sum, sizes))
    figure = plt.figure(figsize=(5 * len(shelves), 0.3 * tallest + 0.8), layout="constrained")
    machine = results["machine"]
    figure.suptitle(f"{machine['processor']} (family {machine['family']}, model {machine['model']}), {threads} threads: "
                    "each library's fastest way, and attend over the best of the others", x=0.01, ha="left")
    for shelf, size, part in zip(shelves, sizes, figure.subfigures(1, len(shelves), squeeze=False)[0]):
        spare = tallest - sum(size)
        ratios = size + ([spare] if spare > 0 else [])
        axes = part.subplots(len(ratios), 1, squeeze=False, height_ratios=ratios)[:, 0]
        for title, one in zip(shelf, axes):
            draw_panel(one, title, groups[title])
        for empty in axes[len(shelf):]:
            empty.set_axis_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower left", ncols=len(NAMES), frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1])
    draw(json.loads(source.read_text()), sys.argv[2] if len(sys.argv) > 2 else source.with_suffix(".svg"))

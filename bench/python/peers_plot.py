"""Draws the table of a peers run.

usage: peers_plot.py PEERS.json [PEERS.svg]
"""

import json
import pathlib
import sys

import figure
import peers_table

NAMES = {"attend": "attend", "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
COLOURS = {"attend": "#1f6fb4", "torch": "#e0894a", "onnxruntime": "#9aa7b5", "openvino": "#c9b458"}
PANELS = (  # title, and how its rows' names begin; the first that fits takes a row
    ("Backward, and both passes of a Recurrent Interface Network", ("backward", "training")),
    ("One query over a cache", ("decode",)),
    ("Head dim 32", ("MiniLM", "RIN", "f32 16x12")),
    ("bf16 and f16", ("bf16", "f16")),
    ("f32", ("f32",)),
)
SHELVES = ((4, 2), (3, 0, 1))  # panels of each, from the top


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
    names = [result["row"].removeprefix("backward ").removeprefix("decode ") for result in group]
    figure.dress(axes, title, "GB/s" if group[0]["bandwidth"] else "useful GFLOP/s", names)


def draw(results, path):
    """All rows at the most threads; beside attend's bars, how many times as fast as the best peer."""
    threads = max(result["threads"] for result in results["rows"])
    groups = panels(results, threads)
    shelves = [[(title, len(groups[title]) + 2.5) for title, _ in (PANELS[n] for n in shelf) if groups[title]]
               for shelf in SHELVES]
    machine = results["machine"]
    title = (f"{machine['processor']} (family {machine['family']}, model {machine['model']}), {threads} threads: "
             "each library's fastest way, and attend over the best of the others")
    figure.draw(path, title, [shelf for shelf in shelves if shelf],
                lambda axes, title: draw_panel(axes, title, groups[title]), row_height=0.3, column_width=5,
                legend="lower left")


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1])
    draw(json.loads(source.read_text()), sys.argv[2] if len(sys.argv) > 2 else source.with_suffix(".svg"))

"""Draws the comparison of the paths from attend_bench's JSON, and keeps both with the table.

usage: plot.py BENCH.json BENCH.md [FOLDER]
Writes paths.svg, paths.json and paths.md to bench/results/<machine>/.
"""

import collections
import json
import pathlib
import statistics
import sys

import figure
import machine

COLOURS = {"math": "#9aa7b5", "fused": "#1f6fb4"}
TITLES = {
    "minilm": "MiniLM, real tensors", "rin": "Recurrent Interface Network, f32",
    "grid/f32": "Published grid, f32", "grid/f16": "Published grid, f16", "grid/bf16": "Published grid, bf16", "grid/f64": "Published grid, f64",
    "decode": "One query over a cache, 8 key heads of 128", "ask": "What else is asked, f32 8 x 1024 x 64",
}


def read(path):
    """The file without the names of the machine and its folders, and row -> path -> (work/s, peak/s)."""
    data = json.loads(pathlib.Path(path).read_text())
    for private in ("host_name", "executable"):
        data["context"].pop(private, None)
    samples = collections.defaultdict(lambda: collections.defaultdict(list))
    peaks = {}
    for run in data["benchmarks"]:
        if run["run_type"] != "iteration":
            continue
        name = run["name"].split("/min_time:")[0].split("/repeats:")[0].removesuffix("/real_time")
        row, _, path_name = name.rpartition("/")
        samples[row][path_name].append(run["work_per_second"])
        peaks[row] = run["peak_per_second"]
    rates = {row: {name: statistics.median(values) for name, values in paths.items()} for row, paths in samples.items()}
    return data, rates, peaks


def panels(rates):
    """Title key -> rows, in the file's order."""
    groups = collections.defaultdict(list)
    for row in rates:
        key = row.split("/")[0]
        groups["/".join(row.split("/")[:2]) if key == "grid" else key].append(row)
    return groups


def draw_panel(axes, key, rows, rates, peaks):
    unit = "GB/s" if key == "decode" else "GFLOP/s"
    heights = range(len(rows))
    for n, (name, colour) in enumerate(COLOURS.items()):
        values = [rates[row].get(name, 0) / 1e9 for row in rows]
        axes.barh([y + (n - 0.5) * 0.4 for y in heights], values, 0.38, color=colour, label=name)
    for y, row in zip(heights, rows):
        peak = axes.plot([peaks[row] / 1e9] * 2, [y - 0.45, y + 0.45], color="#c0392b", linewidth=1.2)[0]
        if {"math", "fused"} <= rates[row].keys():
            axes.text(rates[row]["fused"] / 1e9, y + 0.2, f" {rates[row]['fused'] / rates[row]['math']:.1f}x",
                      va="center", fontsize=6, color="#333333")
    peak.set_label("machine's peak")
    figure.dress(axes, TITLES.get(key, key), unit, [row.removeprefix(key + "/").replace("/", " ") for row in rows])


def draw(rates, peaks, context, path):
    groups = panels(rates)
    shelves = [[] for _ in range(min(3, len(groups)))]
    for key, rows in groups.items():  # each panel goes where least is yet
        min(shelves, key=lambda shelf: sum(height for _, height in shelf)).append((key, len(rows) + 5))
    title = (f"Paths of attend on {context.get('processor', '?')}, {context.get('threads', '?')} threads "
             "(fused over math beside the bars)")
    figure.draw(path, title, shelves, lambda axes, key: draw_panel(axes, key, groups[key], rates, peaks),
                row_height=0.17, column_width=4.6, legend="upper right")


def main():
    data, rates, peaks = read(sys.argv[1])
    default = pathlib.Path(__file__).parents[1] / "results" / machine.folder()
    out = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else default
    out.mkdir(parents=True, exist_ok=True)
    draw(rates, peaks, data["context"], out / "paths.svg")
    (out / "paths.json").write_text(json.dumps(data, indent=1) + "\n")
    (out / "paths.md").write_text(pathlib.Path(sys.argv[2]).read_text())
    print(f"{out}/paths.svg")


if __name__ == "__main__":
    main()

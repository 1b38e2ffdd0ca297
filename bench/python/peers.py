"""Lays PyTorch, ONNX Runtime and OpenVINO beside attend: same machine, inputs and threads, one run, repetitions in turn.

usage: peers.py ATTEND_BENCH [--filter REGEX] [--repetitions N] [--seconds S] [--threads N,N] [--out FOLDER]
Writes peers.md and peers.json.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import sys
import tempfile
import time

import torch

import machine
import peer_onnxruntime
import peer_openvino
import peer_torch
import peers_plot
import peers_table
import rows
from ours import Ours, Servant

PEERS = (peer_torch, peer_onnxruntime, peer_openvino)
TOLERANCE = {"f32": 1e-4, "f16": 5e-3, "bf16": 4e-2}  # only a wrong result exceeds it
QUIET = 0.05  # seconds between two programs' turns, for the threads of the last one to go to sleep


def difference(out, exact):
    """The greatest; NaN where either has one."""
    return (out.double() - exact).abs().max().item()


def candidates(row, inputs, exact, servant, threads):
    """Those whose output is right, with their error; and why the others are not among them."""
    ours = [Ours(servant, row, threads, "choice")]
    if row.len_q == row.len_k == 2048 and not row.causal:
        ours.append(Ours(servant, row, threads, "math"))
    able, refused = [(one, difference(one.output(), exact)) for one in ours], []
    for make in (make for peer in PEERS for make in peer.peers(row, inputs, threads)):
        try:
            one = make()
            able.append((one, difference(one.output(), exact)))
        except Exception as problem:  # a peer may throw anything at a problem that it can't take
            refused.append(str(problem).strip().splitlines()[0][:160])
    limit = TOLERANCE[row.dtype] * max(1, exact.abs().max().item())
    refused += [f"{one.name}: output is off by {error:.1e}" for one, error in able if not error <= limit]
    able = [(one, error) for one, error in able if error <= limit]
    if not any(isinstance(one, Ours) for one, _ in able):
        raise RuntimeError(f"{row.name}: {refused}")
    return able, refused


def measure(one, calls):
    time.sleep(QUIET)
    return one.times(calls + 1)[1:]  # the first call wakes its threads


def library(one):
    return one.name.split()[0]


def run_row(row, inputs, exact, servant, threads, repetitions, seconds):
    able, refused = candidates(row, inputs, exact, servant, threads)
    first = {one.name: min(measure(one, 2)) for one, _ in able}
    times = {name: [] for name in first}
    in_turn = []  # a library's slower ways are timed once
    for one, _ in able:
        fastest = min(first[other.name] for other, _ in able if library(other) == library(one))
        if first[one.name] > 1.5 * fastest:
            times[one.name].append(first[one.name])
        else:
            in_turn.append(one)
    for repetition in range(repetitions):
        turn = repetition % len(in_turn)
        for one in in_turn[turn:] + in_turn[:turn]:
            calls = max(2, min(1000, int(seconds / first[one.name])))
            times[one.name] += measure(one, calls)
    work = inputs.work()
    return {
        "row": row.name, "shape": row.shape, "dtype": row.dtype, "threads": threads,
        "unit": "B/s" if row.decoding else "FLOP/s", "work": work, "pairs": inputs.pairs(),
        "bandwidth": servant.bandwidth(int(work), threads) if row.decoding else None,
        "goal": {"ratio": row.ratio, "against": row.against, "peak": row.peak},
        "times": {one.name: {"best": min(times[one.name]), "median": statistics.median(times[one.name]),
                             "calls": len(times[one.name]), "difference": error} for one, error in able},
        "refused": refused,
    }


def rates(servant, threads, known=()):
    """Peaks and GEMM with so many threads; the better of these and those known."""
    peaks = servant.peaks(threads)
    gemm = {name: peer_torch.gemm_rate(getattr(torch, name), threads) for name in ("float32", "bfloat16")}
    for before in known:
        if before["threads"] == threads:
            for peak, old in zip(peaks, before["peaks"]):
                peak["flops"] = max(peak["flops"], old["flops"])
            gemm = {name: max(rate, before["gemm"][name]) for name, rate in gemm.items()}
    return {"threads": threads, "peaks": peaks, "gemm": gemm}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--filter", default="")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each repetition")
    parser.add_argument("--threads", default="")
    parser.add_argument("--out", default="")
    options = parser.parse_args()

    about = machine.describe()
    threads = [int(n) for n in options.threads.split(",") if n] or sorted({1, about["cores"]})
    chosen = [row for row in rows.all_rows() if re.search(options.filter, row.name)]
    out = pathlib.Path(options.out or pathlib.Path(__file__).parents[1] / "results" / machine.folder())
    with tempfile.TemporaryDirectory() as folder:
        servant = Servant(options.program, folder)
        results = {
            "date": datetime.date.today().isoformat(), "machine": about, "attend": servant.ask("version"),
            "peers": {"torch": peer_torch.VERSION, "onnxruntime": peer_onnxruntime.VERSION,
                      "openvino": peer_openvino.VERSION},
            "load": os.getloadavg()[0], "repetitions": options.repetitions,
            "rates": [rates(servant, n) for n in threads], "rows": []}
        for at, row in enumerate(chosen):
            inputs = rows.Inputs(row)
            exact = inputs.exact()
            servant.load(row, inputs)
            for n in threads:
                result = run_row(row, inputs, exact, servant, n, options.repetitions, options.seconds)
                results["rows"].append(result)
                print(f"{at + 1}/{len(chosen)} {row.name}, {n} threads: {peers_table.summary(result)}", file=sys.stderr)
        results["rates"] = [rates(servant, n, results["rates"]) for n in threads]
        servant.close()

    out.mkdir(parents=True, exist_ok=True)
    (out / "peers.json").write_text(json.dumps(results, indent=1) + "\n")
    text = peers_table.markdown(results)
    (out / "peers.md").write_text(text)
    peers_plot.draw(results, out / "peers.svg")
    print(text)


if __name__ == "__main__":
    main()

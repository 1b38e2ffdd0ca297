"""Lays PyTorch's backends beside attend's device paths: same tensors, one process, turn by turn, timed with CUDA events.

usage: device_peers.py LIBATTEND_DEVICE [--beside NAME=LIBATTEND_DEVICE]... [--filter REGEX] [--repetitions N]
                       [--seconds S] [--limit S] [--out FOLDER]
`--beside` times the flash path of another build too. Writes device.md and device.json.
"""

import argparse
import datetime
import gc
import json
import pathlib
import re
import statistics
import sys
import time

import torch

import device_rows
from device_ours import Library, Ours
from device_torch import BACKENDS, Torch

TOLERANCE = {"f32": 1e-3, "f16": 1e-2, "bf16": 6e-2}  # only a wrong result exceeds it
SLOW = 4  # times the fastest: timed once


def seconds_of(one, calls):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    one.run(calls)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / calls


def error_of(one, exact):
    """The greatest difference of the heads in `exact` from float64; None if there are none. NaN if any number is not finite."""
    got = one.output()
    if not all(torch.isfinite(part).all() for part in got):
        return float("nan")
    return max(((part[b, h].double() - want).abs().max().item() / max(1, want.abs().max().item())
                for b, h, wanted in exact for part, want in zip(got, wanted)), default=None)


def error_text(error):
    return "not compared" if error is None else f"{error:.0e}"


def run_row(library, beside, row, options):
    inputs = device_rows.Inputs(row)
    heads = [(0, 0), (row.batch - 1, row.heads - 1)]
    # With dropout, elements of PyTorch's differ.
    exact = [] if row.asked == "dropout" else [(b, h, inputs.exact(b, h)) for b, h in heads]
    able, refused = {}, {}
    makers = [(f"attend {path}", lambda path=path: Ours(library, row, inputs, path)) for path in options.paths.split(",")]
    makers += [(f"{name} flash", lambda other=other: Ours(other, row, inputs, "flash")) for name, other in beside.items()]
    makers += [(f"torch {name}", lambda name=name: Torch(row, inputs, name)) for name in BACKENDS]
    for name, make in makers:
        if name.endswith("math") and row.batch * row.heads * row.len_q * row.len_k > 2 ** 31:
            continue  # scores beyond 4 GiB
        try:
            one = make()
            error = error_of(one, exact)
            if error is not None and not error <= TOLERANCE[row.dtype]:
                raise RuntimeError(f"output is off by {error:.1e}")
            able[name] = (one, error)
        except Exception as problem:  # whatever a peer throws at a problem that it can't take
            refused[name] = (str(problem).strip().splitlines() or [""])[0][:160]
        torch.cuda.empty_cache()
    del exact
    first = {}
    for name, (one, _) in able.items():
        seconds_of(one, 1)
        first[name] = seconds_of(one, 1)
    fastest = min(first.values())
    times = {name: [seconds] if seconds > SLOW * fastest else [] for name, seconds in first.items()}
    for turn in range(options.repetitions):
        order = list(able.items())
        order = order[turn % len(order):] + order[:turn % len(order)]  # who comes first has the coolest device
        for name, (one, _) in order:
            if first[name] <= SLOW * fastest:
                calls = max(1, min(100, int(options.seconds / first[name])))
                times[name].append(seconds_of(one, calls))
    return {"row": row.name, "work": row.work(), "unit": "B/s" if row.len_q == 1 else "FLOP/s",
            "times": {name: {"median": statistics.median(t), "best": min(t), "error": able[name][1]}
                      for name, t in times.items()}, "refused": refused}


def rates():
    """What the device reaches: a large product, and a copy (bytes read and written)."""
    found = {}
    for name, size in (("f16", 8192), ("f32", 4096)):
        a, b = (torch.randn(size, size, device="cuda").to(device_rows.DTYPES[name]) for _ in "ab")

        class Product:
            def run(self, calls):
                for _ in range(calls):
                    a @ b
        seconds_of(Product(), 3)
        found[f"torch.mm {name} TFLOP/s"] = round(2 * size ** 3 / min(seconds_of(Product(), 5) for _ in range(5)) / 1e12, 1)
    x = torch.empty(2 ** 30, dtype=torch.uint8, device="cuda")
    y = torch.empty_like(x)

    class Copy:
        def run(self, calls):
            for _ in range(calls):
                y.copy_(x)
    seconds_of(Copy(), 3)
    found["copy GB/s"] = round(2 * x.numel() / min(seconds_of(Copy(), 10) for _ in range(3)) / 1e9)
    return found


def host_microseconds(library):
    """What a small call costs the host."""
    row = device_rows.Row("call", "f16", 1, 8, 8, 64, 64, 64)
    inputs = device_rows.Inputs(row)
    found = {}
    for one in (Ours(library, row, inputs, "flash"), Ours(library, row, inputs, "mem_efficient"), Torch(row, inputs, "flash")):
        one.run(100)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        one.run(500)
        found[one.name] = round((time.perf_counter() - begin) / 500 * 1e6, 1)
        torch.cuda.synchronize()
    return found


def speed(result, name):
    value = result["times"].get(name)
    return f"{result['work'] / value['median'] / (1e9 if result['unit'] == 'B/s' else 1e12):.0f}" if value else ""


def ratio(result, ours, theirs):
    times = result["times"]
    return f"{times[theirs]['median'] / times[ours]['median']:.2f}" if ours in times and theirs in times else ""


def markdown(results, beside=()):
    columns = ["attend flash"] + [f"{name} flash" for name in beside] + ["attend mem_efficient", "attend math"] + [f"torch {name}" for name in BACKENDS]
    header = ["row"] + columns + ["flash / flash", "mem_efficient / efficient", "flash / cudnn", "errors: ours, torch"]
    lines = [header, ["---"] + ["--:"] * (len(header) - 1)]
    for result in results["rows"]:
        errors = [error_text(result["times"][name]["error"]) for name in ("attend flash", "torch flash") if name in result["times"]]
        lines.append([result["row"]] + [speed(result, name) for name in columns] +
                     [ratio(result, "attend flash", "torch flash"), ratio(result, "attend mem_efficient", "torch efficient"),
                      ratio(result, "attend flash", "torch cudnn"), ", ".join(errors)])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    refused = {}
    for result in results["rows"]:
        for name, why in result["refused"].items():
            if "is off" in why or name.startswith("attend"):
                refused.setdefault(f"{name}: {why}", []).append(result["row"])
    wrong = [f"- {what} ({', '.join(rows)})" for what, rows in refused.items()]
    return (f"# attend beside PyTorch on a GPU\n\n{results['device']}; torch {results['torch']}; {results['date']}.\n"
            f"In the same run: {', '.join(f'{k} {v}' for k, v in results['rates'].items())}. "
            f"Host time of a small call, us: {results['host us']}.\n\n"
            f"Medians of CUDA events, useful TFLOP/s (causal: half of all pairs); decoding in GB/s of q, k, v and output, each once. "
            f"{device_rows.TOKENS} tokens, {device_rows.WIDTH} numbers a token. Outputs that are compared agree with float64. "
            f"PyTorch takes a bias in the row's type, attend in f32.\n\n"
            f"{table}\n\n" + "\n".join(wrong) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--paths", default="flash,mem_efficient,math")
    parser.add_argument("--beside", action="append", default=[])
    parser.add_argument("--filter", default="")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.02, help="of each repetition")
    parser.add_argument("--out", default="")
    parser.add_argument("--limit", type=float, default=1e9, help="seconds after which no row is begun")
    options = parser.parse_args()
    beside = {name: Library(path) for name, path in (text.split("=", 1) for text in options.beside)}
    library, start = Library(options.library), time.monotonic()
    properties = torch.cuda.get_device_properties(0)
    results = {"date": datetime.date.today().isoformat(), "torch": torch.__version__,
               "device": f"{properties.name}, capability {properties.major}.{properties.minor}, "
                         f"{properties.multi_processor_count} multiprocessors",
               "rates": rates(), "host us": host_microseconds(library), "rows": []}
    for row in device_rows.all_rows():
        if not re.search(options.filter, row.name) or time.monotonic() - start > options.limit:
            continue
        try:
            result = run_row(library, beside, row, options)
        except Exception as problem:  # a device out of memory: the rows after it may do
            print(f"{row.name}: {problem}", file=sys.stderr, flush=True)
            continue
        results["rows"].append(result)
        print(row.name, {name: f"{value['median'] * 1e6:.0f} us, error {error_text(value['error'])}" for name, value in result["times"].items()},
              result["refused"], flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    name = re.sub(r"[^a-z0-9]+", "-", properties.name.lower()).strip("-")
    out = pathlib.Path(options.out or pathlib.Path(__file__).parents[1] / "results" / name)
    out.mkdir(parents=True, exist_ok=True)
    (out / "device.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "device.md").write_text(markdown(results, beside))
    print(markdown(results, beside))


if __name__ == "__main__":
    main()

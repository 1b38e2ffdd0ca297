"""The table of a peers run, in Markdown."""

COLUMNS = ("attend", "torch", "onnxruntime", "openvino")


def fastest(result, prefix, key="median"):
    """The lowest time of those whose name begins so, with the name; (None, "") if there is none."""
    times = [(value[key], name) for name, value in result["times"].items() if name.startswith(prefix)]
    return min(times) if times else (None, "")


def ratio(result, key, against="best"):
    """Times the speed of the fastest peer, or of the fastest whose name begins with `against`."""
    peers = [value[key] for name, value in result["times"].items()
             if not name.startswith(COLUMNS[0]) and name.startswith("" if against == "best" else against)]
    return min(peers) / result["times"]["attend"][key] if peers else None


def summary(result):
    return ", ".join(f"{name} {value['median'] * 1e3:.3f} ms" for name, value in result["times"].items())


def _rates(results, threads):
    return next(rates for rates in results["rates"] if rates["threads"] == threads)


def share_of_peak(results, result):
    rate = result["work"] / result["times"]["attend"]["median"]
    if result["bandwidth"]:
        return rate / result["bandwidth"]
    peaks = _rates(results, result["threads"])["peaks"]
    return rate / max(peak["flops"] for peak in peaks if peak["dtype"] in ("f32", result["dtype"]))


def _speed(result, seconds):
    return f"{result['work'] / seconds / 1e9:.1f}" if seconds else ""


def _goal(results, result):
    """The goal in words, and whether it is reached."""
    goal, words, reached = result["goal"], [], True
    if goal["ratio"]:
        against = "" if goal["against"] == "best" else " " + goal["against"]
        value = ratio(result, "median", goal["against"])
        words.append(f">= {goal['ratio']}x{against}")
        reached = reached and value is not None and value >= goal["ratio"]
    if goal["peak"]:
        words.append(f">= {goal['peak']:.0%} of peak")
        reached = reached and share_of_peak(results, result) >= goal["peak"]
    return ", ".join(words), ("yes" if reached else "**no**") if words else ""


def _print(header, rows):
    align = ["---" if n == 0 else "--:" for n in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, align] + rows) + "\n"


def _main_table(results, threads):
    rows = []
    for result in results["rows"]:
        if result["threads"] != threads:
            continue
        cells = [result["row"]]
        for prefix in COLUMNS:
            seconds, name = fastest(result, prefix)
            if prefix == "attend":
                seconds = result["times"]["attend"]["median"]
            kind = name.removeprefix(prefix).strip() if prefix in COLUMNS[1:3] else ""
            cells.append(_speed(result, seconds) + (f" ({kind})" if kind else ""))
        for key in ("median", "best"):
            value = ratio(result, key)
            cells.append(f"{value:.2f}" if value else "")
        cells.append(f"{share_of_peak(results, result):.0%}")
        cells += _goal(results, result)
        rows.append(cells)
    header = ["row", "attend", "torch", "ONNX Runtime", "OpenVINO", "ratio, medians", "ratio, bests", "of peak",
              "goal", "reached"]
    return _print(header, rows)


def _find(results, name, threads):
    return next((r for r in results["rows"] if r["row"] == name and r["threads"] == threads), None)


def _derived(results, threads):
    """Goals that compare our own rows."""
    rows = []
    plain = _find(results, "f32 8x1024x64", threads)
    for asked in ("padding", "mask", "bias"):
        result = _find(results, f"f32 8x1024x64 {asked}", threads)
        if plain and result:
            cost = [r["times"]["attend"]["median"] / r["pairs"] for r in (plain, result)]
            more = cost[1] / cost[0] - 1
            rows.append([f"{asked}, per allowed pair, over none", f"{more:+.0%}", "<= +10%",
                         "yes" if more <= 0.1 else "**no**"])
    for result in results["rows"]:
        if result["threads"] == threads and "attend math" in result["times"]:
            value = result["times"]["attend math"]["median"] / result["times"]["attend"]["median"]
            rows.append([f"fused over our math path, {result['row']}", f"{value:.1f}x", ">= 4x",
                         "yes" if value >= 4 else "**no**"])
    if threads > 1:
        gemm = [_rates(results, n)["gemm"]["float32"] for n in (1, threads)] if any(
            rates["threads"] == 1 for rates in results["rates"]) else None
        for result in results["rows"]:
            single = _find(results, result["row"], 1)
            if result["threads"] != threads or not single or "x4096x" not in result["row"]:
                continue
            value = single["times"]["attend"]["median"] / result["times"]["attend"]["median"]
            rows.append([f"{threads} threads over 1, {result['row']}", f"{value:.2f}x",
                         f">= 1.9x where GEMM does (here {gemm[1] / gemm[0]:.2f}x)" if threads == 2 else "",
                         ("yes" if value >= 1.9 else "**no**") if threads == 2 else ""])
    return _print(["", "measured", "goal", "reached"], rows) if rows else ""


def _left_out(results, threads):
    """Peers whose output was wrong: they are not timed."""
    lines = [f"- {result['row']}: {why}" for result in results["rows"] for why in result["refused"]
             if result["threads"] == threads and "output is off" in why]
    return "Left out as wrong:\n" + "\n".join(lines) + "\n" if lines else ""


def markdown(results):
    machine = results["machine"]
    parts = ["# attend beside PyTorch, ONNX Runtime and OpenVINO\n",
             f"{machine['processor']} (family {machine['family']}, model {machine['model']}; "
             f"{', '.join(machine['extensions'])}), {machine['cores']} cores, {machine['mhz']} MHz reported; "
             f"{results['date']}; load average {results['load']:.1f} when the run began.\n"
             f"attend {results['attend']}; torch {results['peers']['torch']}, onnxruntime "
             f"{results['peers']['onnxruntime']}, openvino {results['peers']['openvino']}.\n",
             "Speeds are medians, in useful GFLOP/s (causal: half of all pairs; masks: allowed pairs); decoding in GB/s "
             "of q, k, v and output, each once,\nagainst a loop that only reads as many bytes. Of each peer the fastest "
             "of its ways is shown; all that are timed agree with a float64 computation.\n"]
    for rates in results["rates"]:
        threads = rates["threads"]
        peaks = ", ".join(f"{peak['instructions']} {peak['flops'] / 1e9:.0f}" for peak in rates["peaks"] if peak["dtype"] != "f64")
        gemm = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates["gemm"].items())
        parts += [f"## {threads} thread{'s' if threads > 1 else ''}\n",
                  f"Peaks in the same run, GFLOP/s: {peaks}; torch.mm {gemm}.\n",
                  _main_table(results, threads), _derived(results, threads), _left_out(results, threads)]
    return "\n".join(parts)

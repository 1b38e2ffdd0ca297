"""The machine as results name it: by its processor, never by its host name."""

import os
import re


def _fields():
    fields = {}
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    return fields


def describe():
    """Processor, family and model, cores, vector extensions and the clock the system reports."""
    fields = _fields()
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    wanted = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16", "asimd", "bf16")
    return {
        "processor": re.sub(r"\((R|TM)\)| Processor", "", fields.get("model name", "unknown")),
        "family": fields.get("cpu family", "?"),
        "model": fields.get("model", "?"),
        "cores": len(os.sched_getaffinity(0)),
        "mhz": fields.get("cpu MHz", "?"),
        "extensions": [flag for flag in wanted if flag in flags],
    }


def folder():
    """`amd-epyc-family25-model17-2-cores`"""
    machine = describe()
    text = "{processor} family{family} model{model} {cores} cores".format(**machine)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")

"""attend_bench as a subprocess (see ../serve.hpp)."""

import json
import subprocess

import torch


class Servant:
    def __init__(self, program, folder):
        self.folder = folder
        self.process = subprocess.Popen([program, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise RuntimeError(f"{' '.join(map(str, words))}: {answer or 'attend_bench ended'}")
        return answer

    def peaks(self, threads):
        self.ask("threads", threads)
        return json.loads(self.ask("peaks"))

    def bandwidth(self, size, threads):
        self.ask("threads", threads)
        return float(self.ask("bandwidth", size))

    def load(self, row, inputs):
        for name in ("q", "k", "v", "bias", "mask", "grad_out"):
            tensor = getattr(inputs, name)
            if tensor is not None:
                tensor = tensor.to(torch.uint8 if name == "mask" else torch.float32)
                tensor.contiguous().numpy().tofile(f"{self.folder}/{name}")
        self.ask("row", row.computes, row.dtype, row.batch, row.heads, row.heads_kv, row.len_q, row.len_k,
                 row.head_dim, int(row.causal), row.mask, int(row.bias != "none"), self.folder)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """One path of ours on the row that the servant has loaded."""

    def __init__(self, servant, row, threads, path):
        self.servant, self.row, self.threads, self.path = servant, row, threads, path
        self.name = "attend" if path == "choice" else f"attend {path}"

    def select(self):
        self.servant.ask("threads", self.threads)
        self.servant.ask("path", self.path)

    def output(self):
        self.select()
        self.servant.ask("out", f"{self.servant.folder}/out")
        row = self.row
        queries = row.batch * row.heads * row.len_q * row.head_dim
        keys = 2 * row.batch * row.heads_kv * row.len_k * row.head_dim if row.gradients else 0
        out = torch.from_file(f"{self.servant.folder}/out", size=queries + keys).clone()
        return out if row.gradients else out.view(row.batch, row.heads, row.len_q, row.head_dim)

    def times(self, calls):
        self.select()
        return [float(seconds) for seconds in self.servant.ask("time", calls).split()]

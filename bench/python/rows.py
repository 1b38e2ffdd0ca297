"""The rows that are laid beside the peers, their inputs and the exact answer."""

import dataclasses
import pathlib

import numpy
import torch

DATA = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "minilm"
PRODUCTS = {"forward": 2, "backward": 5, "training": 7}  # as everyone counts
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    dtype: str
    batch: int
    heads: int
    heads_kv: int
    len_q: int
    len_k: int
    head_dim: int
    causal: bool = False
    mask: str = "none"  # padding: (b j); full: (1 1 i j)
    bias: str = "none"  # random; alibi: -slope |i - j|, whose distant keys weigh less than the least normal float
    computes: str = "forward"  # backward: gradients by q, k and v from a saved output; training: both passes
    recorded: str = ""
    ratio: float = 0  # goal: times the best peer's speed
    against: str = "best"  # which peers the goal speaks of
    peak: float = 0  # goal: share of the machine's peak

    @property
    def gradients(self):
        return self.computes != "forward"

    @property
    def decoding(self):
        return self.len_q == 1

    @property
    def shape(self):
        return f"{self.batch} {self.heads} {self.len_q} {self.len_k} {self.head_dim}"


def square(name, dtype, batch, heads, len, head_dim, **more):
    return Row(name, dtype, batch, heads, heads, len, len, head_dim, **more)


def all_rows():
    rows = [  # right before the row that they are compared with
        square("f32 8x1024x64 padding", "f32", 1, 8, 1024, 64, mask="padding"),
        square("f32 8x1024x64 mask", "f32", 1, 8, 1024, 64, mask="full"),
        square("f32 8x1024x64 bias", "f32", 1, 8, 1024, 64, bias="random"),
    ]
    for causal in (False, True):
        tag = " causal" if causal else ""
        for heads, len, dim, share in ((8, 1024, 64, 0.83), (8, 2048, 64, 0.83), (4, 4096, 64, 0.83),
                                       (4, 1024, 128, 0.88), (4, 2048, 128, 0.88), (4, 4096, 128, 0.88)):
            goal = {"ratio": 1.8} if causal else {"ratio": 1.08, "peak": share}
            rows.append(square(f"f32 {heads}x{len}x{dim}{tag}", "f32", 1, heads, len, dim, causal=causal, **goal))
    rows += [
        square("f32 8x1024x64 ALiBi", "f32", 1, 8, 1024, 64, bias="alibi"),
        square("MiniLM sentences", "f32", 8, 12, 46, 32, mask="padding", recorded="sentences.layer0", ratio=1.25),
        square("MiniLM passage", "f32", 1, 12, 512, 32, mask="padding", recorded="passage.layer3", ratio=1.25),
        square("f32 16x12x128x32", "f32", 16, 12, 128, 32, ratio=1.25),
        Row("RIN read 256<-1024", "f32", 2, 8, 8, 256, 1024, 32, ratio=1.25),
        Row("RIN read 256<-4096", "f32", 2, 8, 8, 256, 4096, 32, ratio=1.25),
        Row("RIN read 256<-1024 padding", "f32", 2, 8, 8, 256, 1024, 32, mask="padding", ratio=1.25),
        square("RIN self 256", "f32", 2, 8, 256, 32, ratio=1.25),
        Row("RIN write 1024<-256", "f32", 2, 8, 8, 1024, 256, 32, ratio=1.25),
        Row("RIN write 4096<-256", "f32", 2, 16, 16, 4096, 256, 32, ratio=1.25),
    ]
    for causal, goal in ((False, 1.25), (True, 2.0)):
        tag = " causal" if causal else ""
        for heads, len, dim in ((8, 2048, 64), (4, 1024, 128), (4, 4096, 128)):
            rows.append(square(f"bf16 {heads}x{len}x{dim}{tag}", "bf16", 1, heads, len, dim, causal=causal, ratio=goal))
    for heads, len, dim in ((8, 2048, 64), (4, 1024, 128)):
        rows.append(square(f"f16 {heads}x{len}x{dim}", "f16", 1, heads, len, dim, ratio=2.5, against="torch"))
    rows.append(square("f16 8x2048x64 causal", "f16", 1, 8, 2048, 64, causal=True, ratio=2.5, against="torch"))
    for dtype in DTYPES:
        for group in (1, 4):
            for cache in (8, 32):
                rows.append(Row(f"decode {dtype} gqa{group} {cache}k", dtype, 1, 8 * group, 8, 1, 1024 * cache, 128,
                                peak=0.9))
    for dtype in ("f32", "bf16"):
        for heads, len, dim in ((8, 1024, 64), (4, 2048, 128)):
            for causal in (False, True):
                rows.append(square(f"backward {dtype} {heads}x{len}x{dim}{' causal' if causal else ''}", dtype, 1, heads,
                                   len, dim, causal=causal, computes="backward", ratio=2, against="torch"))
    for heads, len, dim in ((8, 1024, 64), (4, 2048, 128)):
        rows.append(square(f"backward f16 {heads}x{len}x{dim}", "f16", 1, heads, len, dim, computes="backward", ratio=10,
                           against="torch flash"))
    for name, len_q, len_k in (("read 256<-1024", 256, 1024), ("self 256", 256, 256), ("write 1024<-256", 1024, 256)):
        rows.append(Row(f"training RIN {name}", "f32", 2, 8, 8, len_q, len_k, 32, computes="training", ratio=2,
                        against="torch"))
    return rows


class Inputs:
    """Tensors of a row (torch, in the row's type), the allowed pairs and the exact output (float64)."""

    def __init__(self, row):
        self.row = row
        self.mask = self.bias = self.grad_out = None
        if row.recorded:
            load = lambda name: torch.from_numpy(numpy.load(DATA / f"{name}.npy"))
            self.q, self.k, self.v = (load(f"{row.recorded}.{name}") for name in "qkv")
            self.mask = load(row.recorded.split(".")[0] + ".mask")
        else:
            torch.manual_seed(7)
            self.q = torch.randn(row.batch, row.heads, row.len_q, row.head_dim)
            self.k, self.v = (torch.randn(row.batch, row.heads_kv, row.len_k, row.head_dim) for _ in "kv")
            if row.mask == "padding":
                self.mask = torch.ones(row.batch, row.len_k, dtype=torch.bool)
                self.mask[: max(1, row.batch - 1), row.len_k * 3 // 4:] = False
            if row.mask == "full":
                self.mask = torch.rand(1, 1, row.len_q, row.len_k) > 1 / 16
        if row.bias == "random":
            self.bias = torch.randn(1, row.heads, row.len_q, row.len_k)
        if row.bias == "alibi":
            slopes = 2.0 ** (-8 * torch.arange(1, row.heads + 1) / row.heads)
            distance = (torch.arange(row.len_q)[:, None] - torch.arange(row.len_k)).abs()
            self.bias = -slopes[None, :, None, None] * distance
        self.q, self.k, self.v = (x.to(DTYPES[row.dtype]).contiguous() for x in (self.q, self.k, self.v))
        if row.gradients:
            self.grad_out = torch.randn(self.q.shape).to(self.q.dtype)

    @property
    def mask4(self):
        """The mask, if there is one, as (b|1, 1, i|1, j)."""
        if self.mask is None or self.mask.dim() == 4:
            return self.mask
        return self.mask[:, None, None, :]

    def pairs(self):
        """Pairs of query and key that count as useful work."""
        row = self.row
        everything = row.batch * row.heads * row.len_q * row.len_k
        if self.mask is not None:
            shape = (row.batch, row.heads, row.len_q, row.len_k)
            return int(self.mask4.expand(row.batch, 1, row.len_q, row.len_k).sum()) * shape[1]
        return everything / 2 if row.causal else everything

    def work(self):
        """Useful floating-point operations; decoding: bytes of q, k, v and the output."""
        row = self.row
        if row.decoding:
            return 2 * (self.q.numel() + self.k.numel()) * self.q.element_size()
        return 4 * self.pairs() * row.head_dim * PRODUCTS[row.computes] / 2

    def exact(self):
        """In float64: the output (b h i d), or dq, dk and dv one after the other, flat."""
        row = self.row
        group, scale = row.heads // row.heads_kv, row.head_dim ** -0.5
        parts = [torch.zeros(x.shape, dtype=torch.float64) for x in (self.q, self.k, self.v)]
        out = torch.empty(self.q.shape, dtype=torch.float64)
        for b in range(row.batch):
            for h in range(row.heads):
                q, k, v = (x.double() for x in (self.q[b, h], self.k[b, h // group], self.v[b, h // group]))
                p = torch.softmax((q @ k.T * scale + self.added(b, h)), -1)
                out[b, h] = p @ v
                if row.gradients:
                    grad_out = self.grad_out[b, h].double()
                    ds = p * (grad_out @ v.T - (grad_out * out[b, h]).sum(-1, keepdim=True)) * scale
                    for part, head, value in zip(parts, (h, h // group, h // group), (ds @ k, ds.T @ q, p.T @ grad_out)):
                        part[b, head] += value
        return torch.cat([part.flatten() for part in parts]) if row.gradients else out

    def added(self, b, h):
        """What is added to one head's scores: bias, and -inf where a key is excluded."""
        row = self.row
        added = self.bias[0, h].double() if self.bias is not None else torch.zeros(row.len_q, row.len_k).double()
        if row.causal:
            added.masked_fill_(torch.ones(row.len_q, row.len_k, dtype=torch.bool).triu(1), -torch.inf)
        if self.mask is not None:
            added.masked_fill_(~self.mask4[b if self.mask4.shape[0] > 1 else 0, 0], -torch.inf)
        return added

"""The rows that are measured on a device, their inputs and the exact answer."""

import dataclasses

import torch

DOCUMENT = 512  # tokens
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
TOKENS, WIDTH = 16384, 2048  # of all batch elements, of all heads: as FlashAttention's papers measure


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
    asked: str = ""  # padding, mask, documents, bias, dropout
    backward: bool = False

    @property
    def dropout(self):
        return 0.1 if self.asked == "dropout" else 0.0

    def work(self):
        """Useful floating-point operations; decoding: bytes."""
        if self.len_q == 1:
            element = 4 if self.dtype == "f32" else 2
            return 2 * self.batch * self.head_dim * (self.heads + self.heads_kv * self.len_k) * element
        pairs = self.batch * self.heads * self.len_q * self.len_k / (2 if self.causal else 1)
        if self.asked == "documents":
            pairs *= DOCUMENT / self.len_k
        return 4 * pairs * self.head_dim * (2.5 if self.backward else 1)


def square(dtype, head_dim, len, causal=False, backward=False, asked="", tokens=TOKENS, width=WIDTH):
    name = f"{'backward ' if backward else ''}{dtype} d{head_dim} n{len}{' causal' if causal else ''}"
    heads = width // head_dim
    return Row(f"{name} {asked}".strip(), dtype, tokens // len, heads, heads, len, len, head_dim, causal, asked, backward)


def all_rows():
    rows = []
    for head_dim in (64, 128, 256):
        for len in (512, 2048, 16384):
            for causal in (False, True):
                rows.append(square("f16", head_dim, len, causal))
    for head_dim in (64, 128):
        for causal in (False, True):
            rows.append(square("bf16", head_dim, 4096, causal))
    for head_dim in (64, 128):
        for len in (512, 4096):
            for causal in (False, True):
                rows.append(square("f32", head_dim, len, causal))
    for head_dim in (64, 128):
        for asked in ("", "padding", "mask", "documents", "bias", "dropout"):
            rows.append(square("f16", head_dim, 4096, asked=asked))
    for head_dim in (64, 128):
        for len in (2048, 16384):
            for causal in (False, True):
                rows.append(square("f16", head_dim, len, causal, backward=True))
    rows.append(square("bf16", 128, 4096, backward=True))
    rows += [square("f32", head_dim, 2048, backward=True) for head_dim in (64, 128)]
    for group in (1, 4):
        for cache in (8192, 32768):
            rows.append(Row(f"decode f16 gqa{group} {cache}", "f16", 4, 8 * group, 8, 1, cache, 128))
    for len_q, len_k, what in ((256, 4096, "read"), (256, 256, "self"), (4096, 256, "write")):
        rows += [Row(f"{'backward ' if backward else ''}RIN {what} f16", "f16", 32, 16, 16, len_q, len_k, 32,
                     backward=backward) for backward in (False, True)]
    return rows


class Inputs:
    def __init__(self, row):
        torch.manual_seed(7)
        make = lambda heads, len: torch.randn(row.batch, heads, len, row.head_dim, device="cuda",
                                              dtype=torch.float32).to(DTYPES[row.dtype])
        self.q = make(row.heads, row.len_q)
        self.k, self.v = make(row.heads_kv, row.len_k), make(row.heads_kv, row.len_k)
        self.grad_out = make(row.heads, row.len_q) if row.backward else None
        self.padding = self.mask = self.bias = None
        if row.asked == "padding":
            self.padding = torch.ones(row.batch, row.len_k, dtype=torch.bool, device="cuda")
            self.padding[:, row.len_k * 7 // 8:] = False
        if row.asked == "mask":
            self.mask = torch.rand(1, 1, row.len_q, row.len_k, device="cuda") > 1 / 16
        if row.asked == "documents":
            document = torch.arange(row.len_k, device="cuda") // DOCUMENT
            self.mask = (document[:, None] == document)[None, None]
        if row.asked == "bias":
            self.bias = torch.randn(1, row.heads, row.len_q, row.len_k, device="cuda")
        self.row = row

    def exact(self, b, h):
        """In float64, of one batch element and key head's first query head: output, or dq alone (dk and dv are sums
        over the group, which is one head in all backward rows)."""
        row, group = self.row, self.row.heads // self.row.heads_kv
        q, k, v = (x.double() for x in (self.q[b, h], self.k[b, h // group], self.v[b, h // group]))
        s = q @ k.T * row.head_dim ** -0.5
        if self.bias is not None:
            s += self.bias[0, h].double()
        if row.causal:
            s.masked_fill_(torch.ones(row.len_q, row.len_k, dtype=torch.bool, device="cuda").triu(1), -torch.inf)
        if self.padding is not None:
            s.masked_fill_(~self.padding[b], -torch.inf)
        if self.mask is not None:
            s.masked_fill_(~self.mask[0, 0], -torch.inf)
        p = torch.softmax(s, -1)
        out = p @ v
        if not row.backward:
            return [out]
        del s
        grad_out = self.grad_out[b, h].double()
        ds = p * (grad_out @ v.T - (grad_out * out).sum(-1, keepdim=True)) * row.head_dim ** -0.5
        return [ds @ k, ds.T @ q, p.T @ grad_out]

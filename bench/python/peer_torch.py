"""PyTorch: scaled_dot_product_attention, each of its backends on a CPU."""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from peer import Peer

VERSION = torch.__version__
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "math": SDPBackend.MATH}


class Torch(Peer):
    def __init__(self, row, inputs, threads, backend):
        torch.set_num_threads(threads)
        self.name = f"torch {backend}"
        self.backend, self.inputs, self.threads = BACKENDS[backend], inputs, threads
        mask = inputs.mask4 if inputs.bias is None else inputs.bias.to(inputs.q.dtype)
        if mask is not None and mask.dtype == torch.bool:
            mask = mask.expand(row.batch, 1, row.len_q, row.len_k)
        self.arguments = {"attn_mask": mask, "is_causal": row.causal, "enable_gqa": row.heads != row.heads_kv}

    def run(self):
        return torch.nn.functional.scaled_dot_product_attention(
            self.inputs.q, self.inputs.k, self.inputs.v, **self.arguments)

    def output(self):
        torch.set_num_threads(self.threads)
        with torch.inference_mode(), sdpa_kernel(self.backend):
            return self.run()

    def times(self, calls):
        torch.set_num_threads(self.threads)
        with torch.inference_mode(), sdpa_kernel(self.backend):
            return super().times(calls)


def peers(row, inputs, threads):
    return [lambda name=name: Torch(row, inputs, threads, name) for name in BACKENDS]


def gemm_rate(dtype, threads, size=1536):
    """FLOP/s of torch.mm, the best of a few calls."""
    torch.set_num_threads(threads)
    a, b = (torch.randn(size, size).to(dtype) for _ in "ab")
    timer = Peer()
    timer.run = lambda: torch.mm(a, b)
    return 2 * size ** 3 / min(timer.times(12)[2:])

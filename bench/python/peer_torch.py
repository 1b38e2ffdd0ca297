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


class TorchBackward(Torch):
    """Autograd from a saved output."""

    def __init__(self, row, inputs, threads, backend):
        super().__init__(row, inputs, threads, backend)
        self.leaves = [x.detach().requires_grad_() for x in (inputs.q, inputs.k, inputs.v)]
        with sdpa_kernel(self.backend):
            self.saved = torch.nn.functional.scaled_dot_product_attention(*self.leaves, **self.arguments)

    def run(self):
        return torch.autograd.grad(self.saved, self.leaves, self.inputs.grad_out, retain_graph=True)

    def output(self):
        torch.set_num_threads(self.threads)
        return torch.cat([part.flatten() for part in self.run()])

    def times(self, calls):
        torch.set_num_threads(self.threads)
        return Peer.times(self, calls)


class TorchTraining(TorchBackward):
    """The forward pass, and autograd from its output."""

    def run(self):
        with sdpa_kernel(self.backend):
            self.saved = torch.nn.functional.scaled_dot_product_attention(*self.leaves, **self.arguments)
        return super().run()


def peers(row, inputs, threads):
    kind = {"forward": Torch, "backward": TorchBackward, "training": TorchTraining}[row.computes]
    return [lambda name=name: kind(row, inputs, threads, name) for name in BACKENDS]


def gemm_rate(dtype, threads, size=1536):
    """FLOP/s of torch.mm, the best of a few calls."""
    torch.set_num_threads(threads)
    a, b = (torch.randn(size, size).to(dtype) for _ in "ab")
    timer = Peer()
    timer.run = lambda: torch.mm(a, b)
    return 2 * size ** 3 / min(timer.times(12)[2:])

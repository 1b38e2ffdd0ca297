"""PyTorch's scaled_dot_product_attention on a device, each of its backends."""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION,
            "cudnn": SDPBackend.CUDNN_ATTENTION, "math": SDPBackend.MATH}


class Torch:
    def __init__(self, row, inputs, backend):
        self.name = f"torch {backend}"
        self.backend, self.inputs, self.row = BACKENDS[backend], inputs, row
        mask = None
        if inputs.padding is not None:
            mask = inputs.padding[:, None, None, :].expand(-1, 1, row.len_q, -1)
        if inputs.mask is not None:
            mask = inputs.mask
        if inputs.bias is not None:
            mask = inputs.bias.to(inputs.q.dtype)
        # torch's is_causal is top left; of the rows here only square ones are causal
        self.arguments = {"attn_mask": mask, "is_causal": row.causal, "dropout_p": row.dropout}
        if row.heads != row.heads_kv:
            self.arguments["enable_gqa"] = True
        if row.backward:
            self.leaves = [x.detach().requires_grad_() for x in (inputs.q, inputs.k, inputs.v)]
            with sdpa_kernel(self.backend):
                self.saved = torch.nn.functional.scaled_dot_product_attention(*self.leaves, **self.arguments)

    def one(self):
        if self.row.backward:
            return list(torch.autograd.grad(self.saved, self.leaves, self.inputs.grad_out, retain_graph=True))
        i = self.inputs
        return [torch.nn.functional.scaled_dot_product_attention(i.q, i.k, i.v, **self.arguments)]

    def run(self, calls):
        with torch.set_grad_enabled(self.row.backward), sdpa_kernel(self.backend):
            for _ in range(calls):
                out = self.one()
        return out

    def output(self):
        return self.run(1)

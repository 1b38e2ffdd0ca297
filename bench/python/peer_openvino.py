"""OpenVINO: ScaledDotProductAttention."""

import openvino
import torch
from openvino import opset13

from peer import Peer

VERSION = openvino.__version__.split("-")[0]
TYPES = {torch.float32: openvino.Type.f32, torch.float16: openvino.Type.f16, torch.bfloat16: openvino.Type.bf16,
         torch.bool: openvino.Type.boolean}


def tensor(x):
    """An OpenVINO tensor in x's memory."""
    if x.dtype == torch.bfloat16:
        return openvino.Tensor(x.view(torch.int16).numpy(), x.shape, openvino.Type.bf16)
    return openvino.Tensor(x.numpy(), shared_memory=True)


class OpenVino(Peer):
    name = "openvino"

    def __init__(self, row, inputs, threads):
        given = [inputs.q, inputs.k, inputs.v]
        mask = inputs.mask4 if inputs.bias is None else inputs.bias
        if mask is not None:
            given.append(mask.expand(-1, -1, row.len_q, -1).contiguous())
        parameters = [opset13.parameter(list(x.shape), TYPES[x.dtype]) for x in given]
        nodes = list(parameters)
        if row.heads != row.heads_kv:
            nodes[1:3] = [self.repeated(node, row) for node in nodes[1:3]]
        attention = opset13.scaled_dot_product_attention(*nodes, causal=row.causal)
        model = openvino.Model([attention.output(0)], parameters, "attention")
        self.request = openvino.Core().compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": row.dtype}).create_infer_request()
        self.given = given
        for n, x in enumerate(given):
            self.request.set_input_tensor(n, tensor(x))

    @staticmethod
    def repeated(node, row):
        """(b h_kv n d) -> (b h n d), the pattern that OpenVINO knows as grouped heads."""
        group = row.heads // row.heads_kv
        shape = [row.batch, row.heads_kv, group, row.len_k, row.head_dim]
        wide = opset13.broadcast(opset13.unsqueeze(node, opset13.constant([2])), opset13.constant(shape),
                                 broadcast_spec="BIDIRECTIONAL")
        return opset13.reshape(wide, opset13.constant([row.batch, row.heads, row.len_k, row.head_dim]), False)

    def run(self):
        self.request.infer()

    def output(self):
        self.run()
        out = self.request.get_output_tensor(0)
        if out.element_type == openvino.Type.bf16:
            return torch.from_numpy(out.data.view("int16").copy()).view(torch.bfloat16)
        return torch.from_numpy(out.data.copy())


def peers(row, inputs, threads):
    if row.gradients:
        return []
    return [lambda: OpenVino(row, inputs, threads)]

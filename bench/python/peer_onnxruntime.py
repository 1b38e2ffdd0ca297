"""ONNX Runtime: the standard's Attention (opset 23) and the contributed operators."""

import numpy
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from peer import Peer

VERSION = onnxruntime.__version__
TYPES = {torch.float32: TensorProto.FLOAT, torch.float16: TensorProto.FLOAT16, torch.bool: TensorProto.BOOL,
         torch.int32: TensorProto.INT32}


class Graph(Peer):
    """One node. `inputs`: name -> tensor ("" leaves an optional one out); `shared`: output -> input it lies in."""

    def __init__(self, threads, domain, operator, attributes, inputs, out_shape, shared=None):
        self.name = f"onnxruntime {operator}"
        given = {name: tensor for name, tensor in inputs if tensor is not None}
        names = [name if tensor is not None else "" for name, tensor in inputs]
        while not names[-1]:
            names.pop()
        shared = shared or {}
        dtype = inputs[0][1].dtype
        outputs = [("out", TYPES[dtype], out_shape)] + [(name, TYPES[dtype], given[source].shape)
                                                        for name, source in shared.items()]
        node = helper.make_node(operator, names, [name for name, _, _ in outputs], domain=domain, **attributes)
        graph = helper.make_graph(
            [node], "attention",
            [helper.make_tensor_value_info(name, TYPES[x.dtype], x.shape) for name, x in given.items()],
            [helper.make_tensor_value_info(*output) for output in outputs])
        opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=11)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                                    providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(x.contiguous().numpy()) for name, x in given.items()}
        for name, value in values.items():
            self.binding.bind_ortvalue_input(name, value)
        self.result = numpy.empty(out_shape, given["q"].numpy().dtype)
        values["out"] = onnxruntime.OrtValue.ortvalue_from_numpy(self.result)
        self.binding.bind_ortvalue_output("out", values["out"])
        for name, source in shared.items():
            self.binding.bind_ortvalue_output(name, values[source])
        self.values = values

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def output(self):
        self.run()
        return torch.from_numpy(self.values["out"].numpy())


class InnerHeads(Graph):
    """Operators that take (b n (h d))."""

    def __init__(self, row, *arguments, **more):
        super().__init__(*arguments, **more)
        self.row = row

    def output(self):
        row = self.row
        return super().output().view(row.batch, row.len_q, row.heads, row.head_dim).transpose(1, 2)


def merged(x):
    """(b h n d) -> (b n (h d))"""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1).contiguous()


def attention(row, inputs, threads):
    mask = inputs.bias if inputs.bias is not None else inputs.mask4
    if mask is not None:
        mask = mask.expand(-1, -1, row.len_q, -1)
    return Graph(threads, "", "Attention", {"is_causal": int(row.causal)},
                 [("q", inputs.q), ("k", inputs.k), ("v", inputs.v), ("mask", mask)], tuple(inputs.q.shape))


def multi_head_attention(row, inputs, threads):
    if row.heads != row.heads_kv:
        raise ValueError("no grouped heads")
    bias, padding = inputs.bias, None
    if row.mask == "padding":
        padding = inputs.mask.to(torch.int32)
    if row.mask == "full":
        bias = torch.zeros(inputs.mask4.shape).masked_fill(~inputs.mask4, torch.finfo(torch.float32).min)
    return InnerHeads(row, threads, "com.microsoft", "MultiHeadAttention",
                      {"num_heads": row.heads, "unidirectional": int(row.causal)},
                      [("q", merged(inputs.q)), ("k", merged(inputs.k)), ("v", merged(inputs.v)), ("b", None),
                       ("padding", padding), ("bias", bias)],
                      (row.batch, row.len_q, row.heads * row.head_dim))


def group_query_attention(row, inputs, threads):
    """The last key is the new one; the cache has room for it, and is updated in place."""
    if not row.decoding:
        raise ValueError("for decoding only")
    last = lambda x: merged(x[:, :, -1:])
    return InnerHeads(row, threads, "com.microsoft", "GroupQueryAttention",
                      {"num_heads": row.heads, "kv_num_heads": row.heads_kv},
                      [("q", merged(inputs.q)), ("k", last(inputs.k)), ("v", last(inputs.v)),
                       ("past_k", inputs.k.clone()), ("past_v", inputs.v.clone()),
                       ("lengths", torch.full((row.batch,), row.len_k - 1, dtype=torch.int32)),
                       ("total", torch.tensor(row.len_k, dtype=torch.int32))],
                      (row.batch, 1, row.heads * row.head_dim), shared={"k_now": "past_k", "v_now": "past_v"})


def peers(row, inputs, threads):
    if row.dtype == "bf16" or row.gradients:
        return []  # no operator of its CPU provider takes bf16
    return [lambda make=make: make(row, inputs, threads)
            for make in (attention, multi_head_attention, group_query_attention)]

"""attend's paths on device tensors of PyTorch's, through libattend_device.so (see ../device/library.hpp)."""

import ctypes

import torch

PATHS = {"choice": 0, "math": 1, "mem_efficient": 2, "flash": 3}
DTYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}


class Call(ctypes.Structure):
    """AttendDeviceCall."""
    _fields_ = ([(name, ctypes.c_int32) for name in ("dtype", "path", "causal", "backward")] +
                [("dropout", ctypes.c_double)] +
                [(name, ctypes.c_int64) for name in ("batch", "heads", "heads_kv", "len_q", "len_k", "head_dim")] +
                [(name, ctypes.c_void_p) for name in ("q", "k", "v", "padding", "mask", "bias", "out", "lse",
                                                      "grad_out", "dq", "dk", "dv", "stream")])


class Library:
    def __init__(self, path):
        self.run = ctypes.CDLL(path).attend_device_run
        self.run.restype = ctypes.c_char_p


class Ours:
    """One path on a row's tensors; of the backward pass, from what the forward pass of that path saved."""

    def __init__(self, library, row, inputs, path):
        self.name = f"attend {path}"
        self.library, self.backward, self.inputs = library, row.backward, inputs
        q, k = inputs.q, inputs.k
        self.out = torch.full_like(q, float("nan"))
        self.lse = torch.full(q.shape[:3], float("nan"), device=q.device)
        self.gradients = [torch.full_like(x, float("nan")) for x in (q, k, k)] if row.backward else []
        address = lambda x: None if x is None else x.data_ptr()
        self.call = Call(
            dtype=DTYPES[q.dtype], path=PATHS[path], causal=int(row.causal), backward=0, dropout=row.dropout,
            batch=q.shape[0], heads=q.shape[1], heads_kv=k.shape[1], len_q=q.shape[2], len_k=k.shape[2],
            head_dim=q.shape[3], q=address(q), k=address(k), v=address(inputs.v), padding=address(inputs.padding),
            mask=address(inputs.mask), bias=address(inputs.bias), out=address(self.out), lse=address(self.lse),
            grad_out=address(inputs.grad_out), stream=torch.cuda.current_stream().cuda_stream)
        if row.backward:
            self.run(1)
            self.call.dq, self.call.dk, self.call.dv = (x.data_ptr() for x in self.gradients)
            self.call.backward = 1

    def run(self, calls):
        answer = self.library.run(ctypes.byref(self.call), calls).decode()
        if answer.startswith("error"):
            raise RuntimeError(answer)
        return answer

    def output(self):
        self.run(1)
        return self.gradients if self.backward else [self.out]

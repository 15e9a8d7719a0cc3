"""A device that is not there: it computes on the CPU, and refuses what an Apple graphics processor refuses.

Within `stand_in_device()` tensors live on the device 'meta', which PyTorch has for tensors without data; here they have
data. A tensor of double precision there is an error, and so is an operation that MPS lacks. So code that forgets to
move such work to the CPU fails on any machine.
"""

from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_any, tree_map_only

DEVICE = 'meta'
MISSING = ('linalg_svd', 'linalg_qr', 'linalg_eigh', 'linalg_lstsq', 'geqrf', 'ormqr', 'fused_adam')


class DeviceTensor(torch.Tensor):
    "A tensor of the stand-in device; `inner` is the one that computes."

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=DEVICE, layout=inner.layout
        )

    def __init__(self, inner):
        self.inner = inner

    def __reduce_ex__(self, protocol):
        return self.inner.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return on_device(func, args, kwargs or {})


def on_device(func, args, kwargs):
    "Run an operation; its result is on the device if an input is, or if it was asked to be."
    asked = kwargs.pop('device', None)
    there = tree_any(lambda x: isinstance(x, DeviceTensor), (args, kwargs))
    there = torch.device(asked).type == DEVICE if asked is not None else there
    name = func._schema.name
    if there:
        missing = next((op for op in MISSING if op in name), None)
        if missing:
            raise NotImplementedError(f'The operator {name} is not implemented for this device.')
    if kwargs.get('pin_memory') is None:
        kwargs.pop('pin_memory', None)
    inner_args, inner_kwargs = tree_map_only(DeviceTensor, lambda x: x.inner, (args, kwargs))
    out = func(*inner_args, **inner_kwargs)
    if not there:
        return out
    if func._schema.is_mutable:
        return args[0] if isinstance(args[0], DeviceTensor) else out

    def wrap(x):
        if x.dtype == torch.float64:
            raise TypeError('This device has no double precision.')
        return DeviceTensor(x)

    return tree_map_only(torch.Tensor, wrap, out)


class Factories(TorchFunctionMode):
    "Makes tensors from lists on the device, where PyTorch would make one without data."

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and str(kwargs.get('device')) == DEVICE:
            return func(*args, **(kwargs | dict(device='cpu'))).to(DEVICE)
        return func(*args, **kwargs)


class Operations(TorchDispatchMode):
    "Sees each operation, also those without a tensor as input."

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return on_device(func, args, dict(kwargs or {}))


@contextmanager
def stand_in_device():
    "Within it the device 'meta' computes, and files are read to the CPU first."

    def load(*args, map_location=None, **kwargs):
        return read(*args, map_location='cpu', **kwargs)

    read = torch.load
    with Operations(), Factories(), patch('torch.load', load):
        yield torch.device(DEVICE)

"""Makes fixtures/safetensors/: files by the Python package safetensors and float16 conversions by NumPy.

Run: python tests/reference/safetensors_files.py
"""
import hashlib
import json
from pathlib import Path

import numpy
import safetensors
import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parent / "fixtures" / "safetensors"
FOLDER.mkdir(parents=True, exist_ok=True)
torch.manual_seed(3)

tensors = {
    "single": torch.tensor(3.25),
    "empty": torch.zeros(0, 7),
    "matrix": torch.randn(5, 3),
    "zwölf ü/\"quoted\"": torch.arange(12.0).reshape(2, 1, 6),
    "__proto__": torch.tensor([1.0, -2.0]),
}
save_file(tensors, FOLDER / "float32.safetensors", metadata={"format": "pt"})
save_file({name: tensor.half() for name, tensor in tensors.items()}, FOLDER / "float16.safetensors")
mixed = {"half": torch.randn(9).half(), "brain": torch.randn(2, 4).bfloat16(), "full": torch.randn(3),
         "mask": torch.tensor([True, False]), "ids": torch.arange(4)}
save_file(mixed, FOLDER / "mixed.safetensors", metadata={"format": "pt", "note": "é"})

# float32 patterns around everything that rounding to float16 can do: halves of steps and their neighbours, the edges
# of normal, subnormal and zero, and random ones. None is finite and rounds to infinity.
every = numpy.arange(65536, dtype=numpy.uint16).view(numpy.float16).astype(numpy.float32)
finite = numpy.sort(numpy.unique(every[numpy.isfinite(every)]))[::97]
middles = (finite[1:].astype(numpy.float64) + finite[:-1]) / 2
steps = numpy.concatenate([finite, middles.astype(numpy.float32)])
near = numpy.concatenate([steps, numpy.nextafter(steps, numpy.float32(9e9)), numpy.nextafter(steps, numpy.float32(-9e9))])
ties = numpy.array([n * 2.0**-25 for n in range(-9, 10)] + [1 + n * 2.0**-11 for n in range(9)]
                   + [65519.996, -65519.996, 65504, 2.0**-14, 2.0**-14 - 2.0**-25, 1e-45, -0.0, numpy.inf, -numpy.inf],
                   dtype=numpy.float32)
values = numpy.concatenate([near[numpy.abs(near) < 65520], ties]).astype(numpy.float32)
(FOLDER / "rounding.float32").write_bytes(values.astype("<f4").tobytes())
number = lambda value: "NaN" if value != value else float(value)
fixture = {
    "versions": {"safetensors": safetensors.__version__, "torch": torch.__version__, "numpy": numpy.__version__},
    "tensors": {name: {"shape": list(tensor.shape), "data": tensor.flatten().tolist()}
                for name, tensor in tensors.items()},
    "mixed": {name: {"shape": list(tensor.shape), "data": tensor.float().flatten().tolist()}
              for name, tensor in mixed.items() if tensor.dtype.is_floating_point},
    # All 65 536 float16 patterns as float32, and the patterns of the numbers in rounding.float32, as little-endian bytes.
    # NaNs are made one pattern, because only their being NaN matters.
    "float16ValuesSha256": hashlib.sha256(
        numpy.where(numpy.isnan(every), numpy.float32(0), every).astype("<f4").tobytes()).hexdigest(),
    "float16PatternsSha256": hashlib.sha256(values.astype("<f2").tobytes()).hexdigest(),
}
(FOLDER / "expected.json").write_text(json.dumps(fixture) + "\n")
print(len(values))

#!/usr/bin/env python3
"""Writes the test files of package weights. Needs torch and numpy.

    python3 gen.py          (in this folder)

For every .pth here, also for those that this script did not write, it lists in
NAME.txt what torch.load finds, one tensor a line: name, type, shape, and the first
half of the SHA-256 of the elements in row-major order, as they are and (floats only)
as float32. The list is the oracle of the tests.

hm21_small*.pth are small VisualRWKV-HM checkpoints with random weights, written
by the authors' code: a whole bf16 file and the two fp16 files of their export.
ggml.gguf was written by ggml's gguf_write_to_file, see ggml_gguf.cpp.
"""

import glob
import hashlib
import io
import os
import re
import zipfile

import torch


def repack(src, dst, change):
    """Copies an archive, stored, with its pickle changed."""
    with zipfile.ZipFile(src) as a, zipfile.ZipFile(dst, "w", zipfile.ZIP_STORED) as b:
        for e in a.infolist():
            data = a.read(e)
            if e.filename.endswith("/data.pkl"):
                data = change(data)
            b.writestr(zipfile.ZipInfo(e.filename), data)


def flat():
    """Parameters that are views into one flat buffer, which is longer."""
    buf = torch.arange(240, dtype=torch.float32).to(torch.bfloat16)
    return {
        "a.weight": buf[8:20].view(3, 4),
        "a.bias": buf[20:24],
        "b.weight": buf[40:64].view(2, 3, 4),
        "empty": buf[5:5].view(0, 7),
        "scalar": buf[239],
    }


def strided():
    x = torch.arange(120, dtype=torch.float32)
    return {
        "transposed": x[:12].view(3, 4).t(),
        "permuted": x[24:84].view(3, 4, 5).permute(2, 0, 1),
        "stepped": x[1::7],
        "columns": x.view(12, 10)[2:9, 3:5],
        "column": x.view(12, 10)[:, 4:5],
        "repeated": x[3:6].view(3, 1).expand(3, 4),
        "unit": x[50:60].view(1, 10)[:, 2:7],
        "long": torch.randn(130, 70).to(torch.bfloat16).t(),
    }


def types():
    x = torch.linspace(-3, 3, 24).view(4, 6)
    special = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 6e-8, 65504.0, 1e-5])
    return {
        "f32": x, "f16": x.half(), "bf16": x.bfloat16(), "i64": torch.arange(-3, 4),
        "special.f32": special, "special.f16": special.half(), "special.bf16": special.bfloat16(),
    }


def long1(pickled):
    """The number of elements of storages, written as LONG1."""
    return re.sub(rb"(cpuq.)K\x0ct", rb"\1" + b"\x8a\x02\x0c\x00t", pickled, flags=re.DOTALL)


def digest(t):
    raw = t.contiguous().flatten()
    raw = raw.view(torch.uint8) if raw.numel() else torch.zeros(0, dtype=torch.uint8)
    return hashlib.sha256(raw.numpy().tobytes()).hexdigest()[:32]


def main():
    torch.manual_seed(1)
    torch.save(flat(), "flat.pth")
    torch.save(strided(), "strided.pth")
    torch.save(types(), "types.pth")

    # A file saved on a GPU, on a machine without one.
    torch.serialization.register_package(0, lambda s: "cuda:0", lambda s, loc: s if loc == "cuda:0" else None)
    torch.save({"x": torch.arange(6.0)}, "cuda.pth")
    torch.serialization._package_registry.pop(0)

    b = io.BytesIO()  # written without a file name: the stem is "archive"
    torch.save({"x": torch.arange(12.0)}, b)
    b.seek(0)
    repack(b, "long1.pth", long1)
    with zipfile.ZipFile("long1.pth") as z:
        assert b"\x8a\x02\x0c\x00t" in z.read("archive/data.pkl")

    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    torch.save(model.state_dict(), "module.pth")  # OrderedDict with _metadata
    torch.save({"emb.weight": torch.ones(2, 2), "blocks.0.ln1.weight": torch.ones(2)}, "bare.pth")

    for path in sorted(glob.glob("*.pth")):
        with open(os.path.splitext(path)[0] + ".txt", "w") as out:
            for name, t in torch.load(path, map_location="cpu").items():
                shape = "x".join(str(d) for d in t.shape) or "-"
                wide = digest(t.float()) if t.is_floating_point() else "-"
                print(name, str(t.dtype).removeprefix("torch."), shape, digest(t), wide, file=out)


if __name__ == "__main__":
    main()

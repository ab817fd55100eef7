"""Autograd functions over the C kernels of fused.c.

The library is compiled once per source version into the user's cache folder.
Everything runs in float32 on one thread.
"""
import ctypes
import hashlib
import os
import pathlib
import subprocess

import torch

HEAD = 64  # head size the kernels are compiled for
CHUNK = 16  # tokens between two saved states, see fused.c
GROUP_NORM_EPS = 64e-5


def _build():
    source = pathlib.Path(__file__).with_name("fused.c")
    flags = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fPIC"]
    key = hashlib.sha256(source.read_bytes() + " ".join(flags).encode()).hexdigest()[:16]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "edged-train"
    library = cache / f"fused-{key}.so"
    if not library.exists():
        cache.mkdir(parents=True, exist_ok=True)
        stem = cache / f"fused-{key}-{os.getpid()}"
        subprocess.run(["gcc", *flags, "-c", str(source), "-o", f"{stem}.o"], check=True)
        # Linked without -ffast-math: that would change the rounding mode of the whole process.
        subprocess.run(["gcc", "-shared", f"{stem}.o", "-o", f"{stem}.so", "-lmvec", "-lm"], check=True)
        os.replace(f"{stem}.so", library)
        os.remove(f"{stem}.o")
    return ctypes.CDLL(str(library))


_lib = _build()


def _call(name, *args):
    """Calls a kernel: tensors become pointers, ints int64, floats float, lists arrays of pointers."""
    converted = []
    for a in args:
        if a is None:
            converted.append(ctypes.c_void_p(0))
        elif isinstance(a, torch.Tensor):
            converted.append(ctypes.c_void_p(a.data_ptr()))
        elif isinstance(a, (list, tuple)):
            converted.append((ctypes.c_void_p * len(a))(*[t.data_ptr() for t in a]))
        elif isinstance(a, float):
            converted.append(ctypes.c_float(a))
        else:
            converted.append(ctypes.c_int64(a))
    getattr(_lib, name)(*converted)


def _sgemm():
    """oneDNN's sgemm, which Debian's torch comes with; it is faster on small matrices than its BLAS. Or None."""
    try:
        f = ctypes.CDLL("libdnnl.so.2").dnnl_sgemm
    except (OSError, AttributeError):
        return None
    n, p, x = ctypes.c_int64, ctypes.c_void_p, ctypes.c_float
    f.argtypes = [ctypes.c_char, ctypes.c_char, n, n, n, x, p, n, p, n, x, p, n]
    return f


_gemm = _sgemm()


class Layout:
    """Where the sequences of a flat token array begin and what they continue.

    lengths: tokens per sequence; parent: index of the earlier sequence whose
    final state a sequence starts from, or -1; image: index of the image state
    that a sequence reads (decoder only).
    """

    def __init__(self, lengths, parent=None, image=None):
        n = len(lengths)
        lengths = torch.as_tensor(lengths, dtype=torch.int64)
        self.count = n
        self.lengths = lengths
        self.tokens = int(lengths.sum())
        self.off = torch.zeros(n + 1, dtype=torch.int32)
        self.off[1:] = lengths.cumsum(0)
        saved = (lengths - 1) // CHUNK
        self.saved = int(saved.sum())
        self.first = (saved.cumsum(0) - saved).to(torch.int32)
        self.parent = torch.full((n,), -1, dtype=torch.int32) if parent is None else torch.as_tensor(parent, dtype=torch.int32)
        # Place of each final state that is kept: only those that are continued, or all.
        parents = self.parent[self.parent >= 0].unique().long()
        self.parents = len(parents)
        self.slot = torch.full((n,), -1, dtype=torch.int32)
        self.slot[parents] = torch.arange(len(parents), dtype=torch.int32)
        self.every = torch.arange(n, dtype=torch.int32)
        self.image = None if image is None else torch.as_tensor(image, dtype=torch.int32)

    def last_rows(self):
        """Row of the last token of each sequence."""
        return self.off[1:].long() - 1


class _WKV(torch.autograd.Function):
    @staticmethod
    def forward(ctx, layout, period, s0, r, k, v, x, u):
        heads = k.shape[1] // HEAD
        decay = torch.empty_like(x)
        _call("decay_forward", x.numel(), x, decay)
        slot, kept = (layout.every, layout.count) if period == 0 else (layout.slot, layout.parents)
        saved, final = (k.new_empty(count, heads, HEAD, HEAD) for count in (layout.saved, kept))
        y = None if r is None else torch.empty_like(k)
        states = None
        if period:
            states = k.new_empty(layout.count, layout.tokens // layout.count // period, heads, HEAD, HEAD)
        _call("wkv_forward", layout.count, heads, layout.off, layout.parent, layout.first, slot, s0,
              r, k, v, decay, u, y, saved, final, period or 0, states)
        if period == 0:
            states = final
            ctx.mark_non_differentiable(states)
        ctx.set_materialize_grads(False)
        ctx.layout, ctx.period, ctx.slot, ctx.s0 = layout, period, slot, s0
        ctx.save_for_backward(r, k, v, x, decay, u, saved, final)
        return y, states

    @staticmethod
    def backward(ctx, gy, gs):
        r, k, v, x, decay, u, saved, final = ctx.saved_tensors
        layout, period = ctx.layout, ctx.period
        heads = k.shape[1] // HEAD
        gfinal = torch.zeros_like(final)
        gr, gk, gv, gw = (torch.empty_like(k) for _ in range(4))
        gu = torch.zeros_like(u)
        if r is None:
            r = torch.zeros_like(k)
        gy = None if gy is None else gy.contiguous()
        gs = gs.contiguous() if period and gs is not None else None
        _call("wkv_backward", layout.count, heads, layout.off, layout.parent, layout.first, ctx.slot, ctx.s0,
              r, k, v, decay, u, saved, final, gy, gs, period or 1, gfinal, gr, gk, gv, gw, gu)
        _call("decay_backward", x.numel(), x, decay, gw)
        return None, None, None, (gr if ctx.needs_input_grad[3] else None), gk, gv, gw, gu


def wkv(layout, r, k, v, x, u, s0=None, period=None):
    """RWKV-6 recurrence over flat tokens.

    r, k, v, x: [tokens, H*64], x the decay before exp(-exp(.)); u [H,64]; s0
    [sequences,H,64,64] initial states without gradient. r None: only states.
    Returns y [tokens, H*64] (None without r) and states: with period (a multiple
    of CHUNK that divides the common length) the states after every period
    tokens, [sequences, len/period, H,64,64], differentiable; with period 0 the
    final states [sequences,H,64,64], constants; with None nothing.
    """
    return _WKV.apply(layout, period, s0, r, k, v, x, u)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx, layout, x, x0, mu, *eps):
        nb = mu.shape[0]
        out = [torch.empty_like(x) for _ in range(nb)]
        _call("mix_forward", layout.count, x.shape[1], nb, layout.off, layout.parent, x, x0, mu, eps or None, out)
        ctx.layout, ctx.x0 = layout, x0
        ctx.save_for_backward(x, mu, *eps)
        return tuple(out)

    @staticmethod
    def backward(ctx, *g):
        x, mu, *eps = ctx.saved_tensors
        layout = ctx.layout
        g = [t.contiguous() for t in g]
        gx, gmu = torch.zeros_like(x), torch.zeros_like(mu)
        geps = [torch.empty_like(e) for e in eps]
        _call("mix_backward", layout.count, x.shape[1], mu.shape[0], layout.off, layout.parent, x, ctx.x0, mu,
              eps or None, g, gx, gmu, geps or None)
        return (None, gx, None, gmu, *geps)


def mix(layout, x, mu, eps=(), x0=None):
    """Token shift: x + (prev - x) * (mu[b] + eps[b]) for every branch b, a tuple of [tokens, C].

    mu [branches, C]; eps: one [tokens, C] per branch or nothing; x0 [sequences, C]
    the rows before sequences without parent (no gradient), zero when None.
    """
    return _Mix.apply(layout, x, x0, mu, *eps)


class _Hybrid(torch.autograd.Function):
    @staticmethod
    def forward(ctx, layout, image, y, q, z):
        p, out = torch.empty_like(y), torch.empty_like(y)
        _call("hybrid_forward", layout.count, y.shape[1] // HEAD, layout.off, layout.image, image, y, q, z, p, out)
        ctx.layout = layout
        ctx.save_for_backward(image, y, q, z, p)
        return out

    @staticmethod
    def backward(ctx, g):
        image, y, q, z, p = ctx.saved_tensors
        layout = ctx.layout
        gy, gq, gz = (torch.empty_like(y) for _ in range(3))
        gimage = torch.zeros_like(image)
        _call("hybrid_backward", layout.count, y.shape[1] // HEAD, layout.off, layout.image, image, y, q, z, p,
              g.contiguous(), gy, gq, gz, gimage)
        return None, gimage, gy, gq, gz


def hybrid(layout, image, y, q, z):
    """Hybrid mixing: y relu(1-relu(z)) + (q . image) relu(z). image [images,H,64,64], the rest [tokens, H*64]."""
    return _Hybrid.apply(layout, image, y, q, z)


class _NormGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, z, weight, bias):
        n, c = y.shape
        stat = y.new_empty(n, c // HEAD, 2)
        out = torch.empty_like(y)
        _call("norm_gate_forward", n, c // HEAD, GROUP_NORM_EPS, y, z, weight, bias, stat, out)
        ctx.save_for_backward(y, z, weight, bias, stat)
        return out

    @staticmethod
    def backward(ctx, g):
        y, z, weight, bias, stat = ctx.saved_tensors
        n, c = y.shape
        gy, gz = torch.empty_like(y), torch.empty_like(y)
        gw, gb = torch.zeros_like(weight), torch.zeros_like(bias)
        _call("norm_gate_backward", n, c // HEAD, y, z, weight, bias, stat, g.contiguous(), gy, gz, gw, gb)
        return gy, gz, gw, gb


def norm_gate(y, z, weight, bias):
    """Group norm of y per head (affine), times silu(z)."""
    return _NormGate.apply(y, z, weight, bias)


class _Relu2(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.empty_like(x)
        _call("relu2_forward", x.numel(), x, y)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        gx = torch.empty_like(x)
        _call("relu2_backward", x.numel(), x, g.contiguous(), gx)
        return gx


def relu2(x):
    """relu(x) squared."""
    return _Relu2.apply(x)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv, heads):
        n, t, c = qkv.shape
        weights = qkv.new_empty(n, heads, t, t)
        out = qkv.new_empty(n, t, c // 3)
        _call("attention_forward", n, t, heads, c // 3 // heads, qkv, weights, out)
        ctx.save_for_backward(qkv, weights)
        return out

    @staticmethod
    def backward(ctx, g):
        qkv, weights = ctx.saved_tensors
        n, t, c = qkv.shape
        heads = weights.shape[1]
        gqkv = torch.empty_like(qkv)
        _call("attention_backward", n, t, heads, c // 3 // heads, qkv, weights, g.contiguous(), gqkv)
        return gqkv, None


def attention(qkv, heads):
    """Softmax attention inside each picture: qkv [n, T, 3*H*D] -> [n, T, H*D]. T and D are multiples of 32."""
    return _Attention.apply(qkv, heads)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, bias):
        n, k = w.shape
        m = x.numel() // k
        out = x.new_empty(*x.shape[:-1], n)
        if bias is not None:
            out.copy_(bias.expand_as(out))
        _gemm(b"N", b"T", m, n, k, 1, x.data_ptr(), k, w.data_ptr(), k, float(bias is not None), out.data_ptr(), n)
        ctx.save_for_backward(x, w)
        return out

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        n, k = w.shape
        m = x.numel() // k
        g = g.contiguous()
        gx, gw = None, torch.empty_like(w)
        if ctx.needs_input_grad[0]:
            gx = torch.empty_like(x)
            _gemm(b"N", b"N", m, k, n, 1, g.data_ptr(), n, w.data_ptr(), k, 0, gx.data_ptr(), k)
        _gemm(b"T", b"N", n, k, m, 1, g.data_ptr(), n, x.data_ptr(), k, 0, gw.data_ptr(), k)
        return gx, gw, g.view(m, n).sum(0) if ctx.needs_input_grad[2] else None


def linear(x, w, bias=None):
    """x [..., in], w [out, in] -> x w' + bias."""
    if _gemm is None:
        return torch.nn.functional.linear(x, w, bias)
    return _Linear.apply(x.contiguous(), w, bias)

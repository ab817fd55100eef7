"""Tests of the training code: make training, or python3 -m unittest in this folder."""
import unittest

import torch
import torch.nn.functional as F

import evaluate
import fused
import model
import wkv


def relative(got, want):
    return float((got - want).abs().max() / want.abs().max())


class TestKernels(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)

    def test_wkv_extreme_decays(self):
        """Values and gradients against a float64 loop, with decays from 1-1e-6 to 0."""
        b, t, h, n = 3, 64, 2, fused.HEAD
        for spread in (1, 8):
            r, k, v = (torch.randn(b * t, h * n, requires_grad=True) for _ in range(3))
            x = (torch.randn(b * t, h * n) * spread - 3).requires_grad_()
            u = torch.randn(h, n, requires_grad=True)
            s0 = torch.randn(b, h, n, n)
            y, states = fused.wkv(fused.Layout([t] * b), r, k, v, x, u, s0, 32)
            gy, gs = torch.randn_like(y), torch.randn_like(states)
            ((y * gy).sum() + (states * gs).sum()).backward()
            exact = [p.detach().double().requires_grad_() for p in (r, k, v, x, u)]
            y64, s64 = wkv.wkv_loop(*(p.view(b, t, h, n) for p in exact[:4]), exact[4], s0.double())
            y64, s64 = y64.reshape(b * t, -1), s64[:, 31::32]
            ((y64 * gy).sum() + (s64 * gs).sum()).backward()
            self.assertLess(relative(y, y64), 2e-6)
            self.assertLess(relative(states, s64), 2e-6)
            for p, q in zip((r, k, v, x, u), exact):
                self.assertLess(relative(p.grad, q.grad), 4e-6)

    def test_wkv_children(self):
        """A sequence continued by two children equals the two whole sequences, gradients included."""
        h, n = 2, fused.HEAD
        p, a, b = 21, 5, 33
        whole = [torch.randn(p + a + b, h * n) for _ in range(4)]
        u = torch.randn(h, n)
        g = torch.randn(p + a + b, h * n)

        def run(layout, pick):
            leaf = [w.clone().requires_grad_() for w in whole]
            bonus = u.clone().requires_grad_()
            y, _ = fused.wkv(layout, *(w[pick] for w in leaf), bonus)
            return leaf, bonus, y

        leaf, bonus, y = run(fused.Layout([p, a, b], [-1, 0, 0]), torch.arange(p + a + b))
        (y * g).sum().backward()
        pick = torch.cat([torch.arange(p + a), torch.arange(p), torch.arange(p + a, p + a + b)])
        leaf2, bonus2, y2 = run(fused.Layout([p + a, p + b]), pick)
        g2 = g[pick].clone()
        g2[p + a : p + a + p] = 0
        (y2 * g2).sum().backward()
        self.assertLess(relative(y2[: p + a], y[: p + a]), 1e-6)
        for one, two in zip([*leaf, bonus], [*leaf2, bonus2]):
            self.assertLess(relative(one.grad, two.grad), 4e-6)

    def test_elementwise(self):
        """Mix, hybrid, norm_gate and relu2 against plain torch in float64."""
        c, tokens = 128, 30
        layout = fused.Layout([10, 8, 12], [-1, 0, -1], [0, 0, 1])
        prev = [-1, *range(9), 9, *range(10, 17), -1, *range(18, 29)]
        mu, weight, bias = torch.rand(3, c), torch.rand(c), torch.randn(c)
        arrays = [torch.randn(tokens, c) for _ in range(8)]
        image = torch.randn(2, 2, 64, 64)

        def fast(x, y, q, z, g, e0, e1, e2, mu, image, weight, bias):
            a, b, d = fused.mix(layout, x, mu, [e0, e1, e2])
            (f,) = fused.mix(layout, x, mu[:1])
            m = fused.hybrid(layout, image, y, q, z)
            return a * b + d + f, m, fused.norm_gate(y, g, weight, bias), fused.relu2(x)

        def plain(x, y, q, z, g, e0, e1, e2, mu, image, weight, bias):
            delta = torch.cat([x, torch.zeros(1, c).double()])[prev] - x
            a, b, d = (x + delta * (mu[i] + e) for i, e in enumerate((e0, e1, e2)))
            index = layout.image.long().repeat_interleave(layout.lengths)
            p = torch.einsum("thi,thij->thj", q.view(-1, 2, 64), image[index]).reshape(-1, c)
            m = y * F.relu(1 - F.relu(z)) + p * F.relu(z)
            n = F.group_norm(y, 2, weight, bias, fused.GROUP_NORM_EPS) * F.silu(g)
            return a * b + d + x + delta * mu[0], m, n, F.relu(x) ** 2

        results = []
        for f, kind in ((fast, torch.float32), (plain, torch.float64)):
            torch.manual_seed(1)
            leaf = [t.detach().to(kind).requires_grad_() for t in (*arrays, mu, image, weight, bias)]
            out = f(*leaf)
            sum((o * torch.randn(o.shape)).sum() for o in out).backward()
            results.append([*out, *(t.grad for t in leaf)])
        for got, want in zip(*results):
            self.assertLess(relative(got, want), 4e-6)

    def test_attention(self):
        n, t, h, d = 3, 64, 4, 32
        qkv, g = torch.randn(n, t, 3 * h * d), torch.randn(n, t, h * d)
        results = []
        for kind in (torch.float32, torch.float64):
            x = qkv.detach().to(kind).requires_grad_()
            if kind == torch.float32:
                y = fused.attention(x, h)
            else:
                q, k, v = x.view(n, t, 3, h, d).permute(2, 0, 3, 1, 4)
                y = ((q @ k.transpose(-2, -1) / d**0.5).softmax(-1) @ v).transpose(1, 2).reshape(n, t, -1)
            (y * g).sum().backward()
            results.append((y, x.grad))
        for got, want in zip(*results):
            self.assertLess(relative(got, want), 2e-6)

    def test_linear(self):
        x, w, b, g = torch.randn(5, 6, 40), torch.randn(24, 40), torch.randn(24), torch.randn(5, 6, 24)
        results = []
        for f in (fused.linear, F.linear):
            leaf = [p.clone().requires_grad_() for p in (x, w, b)]
            y = f(*leaf)
            (y * g).sum().backward()
            results.append([y, *(p.grad for p in leaf)])
        for got, want in zip(*results):
            self.assertLess(relative(got, want), 2e-6)


class TestModel(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.cfg = model.Config()
        self.model = model.VisualRWKV(self.cfg)

    def test_segments(self):
        """Memory carried from segment to segment equals one packed pass."""
        encoder, period = self.model.state_encoder, 2 * self.cfg.encoder_tokens
        tokens = torch.randn(2, 5 * period, self.cfg.width)
        with torch.no_grad():
            whole, _, end = encoder(tokens, encoder.zero_memory(2), period)
            first, _, memory = encoder(tokens[:, : 2 * period], encoder.zero_memory(2), period)
            second, _, memory = encoder(tokens[:, 2 * period :], memory, period)
        self.assertLess(relative(torch.cat([first, second], 1), whole), 1e-5)
        for one, two in zip(memory[:-1], end[:-1]):
            for a, b in zip(one, two):
                self.assertLess(relative(a, b), 1e-5)

    def test_restart(self):
        memory = [tuple(torch.ones(2, *s) for s in ((2, 64, 64), (128,), (128,)))]
        for x in evaluate.restart(memory, torch.tensor([True, False]))[0]:
            self.assertEqual((float(x[0].sum()), float(x[1].mean())), (0.0, 1.0))

    def test_names(self):
        """The state dict has exactly the names and shapes of a VisualRWKV-HM checkpoint."""
        c, f, m, d, h = 128, 448, 16, 32, 2
        want = {"rwkv.emb.weight": (256, c), "rwkv.head.weight": (256, c)}

        def norm(name, n=c):
            want[name + ".weight"] = want[name + ".bias"] = (n,)

        norm("rwkv.ln_out")
        stacks = ("rwkv", self.cfg.decoder_depth, True), ("state_encoder", self.cfg.encoder_depth, False)
        for stack, depth, hybrid in stacks:
            for i in range(depth):
                p = f"{stack}.blocks.{i}."
                for ln in ("ln0",) * (i == 0) + ("ln1", "ln2", "att.ln_x"):
                    norm(p + ln)
                for b in "xwkvrg":
                    want[p + f"att.time_maa_{b}"] = (1, 1, c)
                want.update({p + "att.time_maa_w1": (c, 5 * m), p + "att.time_maa_w2": (5, m, c),
                             p + "att.time_decay": (1, 1, c), p + "att.time_decay_w1": (c, d),
                             p + "att.time_decay_w2": (d, c), p + "att.time_faaaa": (h, 64)})
                for w in ("receptance", "key", "value", "gate", "output") + ("mem_read", "mem_gate") * hybrid:
                    want[p + f"att.{w}.weight"] = (c, c)
                if hybrid:
                    want.update({p + "att.time_mem_w1": (c, 2 * m), p + "att.time_mem_w2": (2, m, c),
                                 p + "att.time_mem_r": (1, 1, c), p + "att.time_mem_g": (1, 1, c)})
                want.update({p + "ffn.time_maa_k": (1, 1, c), p + "ffn.time_maa_r": (1, 1, c),
                             p + "ffn.key.weight": (f, c), p + "ffn.value.weight": (c, f),
                             p + "ffn.receptance.weight": (c, c)})
        for w in ("proj", "gate", "o_proj"):
            want[f"proj.{w}.weight"] = (c, c)
        v = "vit.siglip_featurizer."
        want.update({v + "pos_embed": (1, 64, c), v + "patch_embed.proj.weight": (c, 3, 12, 12),
                     v + "patch_embed.proj.bias": (c,)})
        for i in range(4):
            for ln in ("norm1", "norm2"):
                norm(f"{v}blocks.{i}.{ln}")
            for w, shape in (("attn.qkv", (3 * c, c)), ("attn.proj", (c, c)), ("mlp.fc1", (512, c)), ("mlp.fc2", (c, 512))):
                want[f"{v}blocks.{i}.{w}.weight"], want[f"{v}blocks.{i}.{w}.bias"] = shape, shape[:1]
        got = {n: tuple(t.shape) for n, t in self.model.state_dict().items()}
        self.assertEqual(got, want)


if __name__ == "__main__":
    unittest.main()

"""A small VisualRWKV-HM (version 6.21), with the authors' tensor names.

Training form: tokens of many sequences lie flat in one [tokens, C] array, see
fused.Layout. The state dict of VisualRWKV is a checkpoint as the authors write it.
"""
import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import nn

import fused


@dataclasses.dataclass
class Config:
    image_size: int = 96
    patch_size: int = 12
    vit_width: int = 128
    vit_depth: int = 4
    vit_heads: int = 4
    vit_mlp: int = 512
    width: int = 128  # C, a multiple of the head size 64
    ffn: int = 448
    mix_lora: int = 16
    decay_lora: int = 32
    encoder_depth: int = 4
    decoder_depth: int = 3
    vocab: int = 256
    encoder_tokens: int = 16  # per view, a square
    decoder_tokens: int = 16  # per view, a square

    @property
    def grid(self):
        return self.image_size // self.patch_size

    @property
    def heads(self):
        return self.width // fused.HEAD


def _normal(*shape, std):
    return nn.Parameter(torch.randn(*shape) * std)


class Linear(nn.Linear):
    def forward(self, x):
        return fused.linear(x, self.weight, self.bias)


def _linear(out, cols, gain):
    """Linear layer without bias, deviation gain/sqrt(cols)."""
    layer = Linear(cols, out, bias=False)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(cols))
    return layer


def pool(x, grid, out):
    """Average pooling of [n, grid*grid, C] to [n, out*out, C]; grid is a multiple of out."""
    if grid == out:
        return x
    n, _, c = x.shape
    s = grid // out
    return x.view(n, out, s, out, s, c).mean((2, 4)).view(n, out * out, c)


# ---- vision tower (SigLIP layout, names as in timm) ----


class PatchEmbed(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.proj = nn.Conv2d(3, cfg.vit_width, cfg.patch_size, cfg.patch_size)
        nn.init.normal_(self.proj.weight, std=1 / math.sqrt(3 * cfg.patch_size**2))
        nn.init.zeros_(self.proj.bias)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width)
        nn.init.normal_(self.qkv.weight, std=0.8 / math.sqrt(width))
        nn.init.normal_(self.proj.weight, std=0.5 / math.sqrt(width))
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x):
        return self.proj(fused.attention(self.qkv(x), self.heads))


class MLP(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)
        nn.init.normal_(self.fc1.weight, std=1 / math.sqrt(width))
        nn.init.normal_(self.fc2.weight, std=0.5 / math.sqrt(hidden))
        nn.init.zeros_(self.fc1.bias)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class VisionBlock(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.norm1 = nn.LayerNorm(cfg.vit_width, eps=1e-6)
        self.attn = Attention(cfg.vit_width, cfg.vit_heads)
        self.norm2 = nn.LayerNorm(cfg.vit_width, eps=1e-6)
        self.mlp = MLP(cfg.vit_width, cfg.vit_mlp)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def _sincos(grid, width):
    """Two-dimensional sine-cosine table [1, grid*grid, width], the start of the position embedding."""
    quarter = width // 4
    freq = (math.pi / 2) * 2 ** torch.linspace(-2, math.log2(grid), quarter)
    at = (torch.arange(grid) + 0.5) / grid * 2 - 1
    wave = torch.cat([torch.sin(at[:, None] * freq), torch.cos(at[:, None] * freq)], 1)
    rows = wave[:, None].expand(grid, grid, -1)
    cols = wave[None].expand(grid, grid, -1)
    return torch.cat([rows, cols], 2).reshape(1, grid * grid, width)


class VisionTower(nn.Module):
    """Features are the output of the last block, without a final norm."""

    def __init__(self, cfg):
        super().__init__()
        self.patch, self.grid = cfg.patch_size, cfg.grid
        self.patch_embed = PatchEmbed(cfg)
        self.pos_embed = nn.Parameter(_sincos(cfg.grid, cfg.vit_width) * 0.5)
        self.blocks = nn.ModuleList(VisionBlock(cfg) for _ in range(cfg.vit_depth))

    def forward(self, images):
        """images: uint8 [n, S, S, 3] -> [n, grid*grid, width]."""
        n, p, g = images.shape[0], self.patch, self.grid
        x = images.view(n, g, p, g, p, 3).permute(0, 1, 3, 5, 2, 4).reshape(n, g * g, 3 * p * p)
        x = x.float().mul_(1 / 127.5).sub_(1)
        embed = self.patch_embed.proj
        x = fused.linear(x, embed.weight.flatten(1), embed.bias) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return x


class Vision(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.siglip_featurizer = VisionTower(cfg)

    def forward(self, images):
        return self.siglip_featurizer(images)


class Projector(nn.Module):
    """Gated projector: o_proj(h * sigmoid(gate h)), h = proj z."""

    def __init__(self, cfg):
        super().__init__()
        self.proj = _linear(cfg.width, cfg.vit_width, 1)
        self.gate = _linear(cfg.width, cfg.width, 1)
        self.o_proj = _linear(cfg.width, cfg.width, 1)

    def forward(self, z):
        h = self.proj(z)
        return self.o_proj(h * torch.sigmoid(self.gate(h)))


# ---- language model ----


def decay_ramp(slowest):
    """Initial decays (before exp(-exp(.))) of the channels of a head; more of them forget soon than late."""
    return -0.7 - (-0.7 - slowest) * torch.linspace(0, 1, fused.HEAD) ** 1.3


def key_scale(decay):
    """How strongly a channel writes at first, and its share of the learning rate.

    A channel that remembers n tokens sums n writes, and most tokens of a picture
    show the same background. Unscaled, old background outweighs everything else
    in the state by orders of magnitude and the group norm after the read leaves
    nothing of the rest.
    """
    return (8 * torch.exp(decay)).clamp(max=1)


class TimeMix(nn.Module):
    """RWKV-6 time mixing; hybrid: blended with a read of the image state."""

    def __init__(self, cfg, layer, depth, hybrid):
        super().__init__()
        c, m, d = cfg.width, cfg.mix_lora, cfg.decay_lora
        ratio = 1 - layer / depth
        ramp = (torch.arange(c) / c).view(1, 1, c)
        for name in "xwkvrg":
            power = ratio * (0.5 if name in "rg" else 1)
            setattr(self, "time_maa_" + name, nn.Parameter(1 - ramp**power if layer else 1 - ramp))
        self.time_maa_w1 = _normal(c, 5 * m, std=0.02)
        self.time_maa_w2 = _normal(5, m, c, std=0.05)
        # The decoder forgets within 3 to 400 tokens. The encoder remembers the newest frame
        # sets, and with an eighth of its channels thousands of tokens: with more of
        # those the sum of all history drowns the present before anything is learnt.
        decay = torch.linspace(-6, -1, fused.HEAD)
        if not hybrid:
            slow = fused.HEAD // 8
            decay = torch.cat([torch.linspace(-9, -7, slow), torch.linspace(-6, -2, fused.HEAD - slow)])
        decay = decay.repeat(cfg.heads)
        self.time_decay = nn.Parameter(decay.view(1, 1, c))
        self.time_decay_w1 = _normal(c, d, std=0.02)
        self.time_decay_w2 = _normal(d, c, std=0.05)
        self.time_faaaa = _normal(cfg.heads, fused.HEAD, std=0.3)
        self.receptance = _linear(c, c, 0.6)
        self.key = _linear(c, c, 0.6)
        self.value = _linear(c, c, 1)
        self.gate = _linear(c, c, 1)
        self.output = _linear(c, c, 0.5)
        self.ln_x = nn.GroupNorm(cfg.heads, c, eps=fused.GROUP_NORM_EPS)
        self.register_buffer("key_rate", key_scale(decay)[:, None], persistent=False)
        with torch.no_grad():
            self.key.weight.mul_(self.key_rate)
        self.hybrid = hybrid
        if hybrid:
            self.time_mem_w1 = _normal(c, 2 * m, std=0.02)
            self.time_mem_w2 = _normal(2, m, c, std=0.05)
            self.time_mem_r = nn.Parameter(1 - ramp**0.5)
            self.time_mem_g = nn.Parameter(1 - ramp**0.5)
            self.mem_read = _linear(c, c, 0.6)
            self.mem_gate = _linear(c, c, 0.7)

    def branches(self, layout, x, x0, names):
        """The data-dependent token shift (ddlerp) of the named branches."""
        w1, w2 = self.time_maa_w1, self.time_maa_w2
        order = "wkvrg"
        if len(names) == 7:  # time mixing and memory share one pass
            w1, w2, order = torch.cat([w1, self.time_mem_w1], 1), torch.cat([w2, self.time_mem_w2]), "wkvrgRG"
        m = w2.shape[1]
        if names == "wkv":
            w1, w2 = w1[:, : 3 * m], w2[:3]
        mu = {n: getattr(self, "time_maa_" + n) for n in "wkvrg"}
        if self.hybrid:
            mu["R"], mu["G"] = self.time_mem_r, self.time_mem_g
        (first,) = fused.mix(layout, x, self.time_maa_x.view(1, -1), x0=x0)
        z = torch.tanh(first @ w1).view(-1, len(names), m).unbind(1)
        eps = [a @ b for a, b in zip(z, w2.unbind(0))]
        return fused.mix(layout, x, torch.cat([mu[n].view(1, -1) for n in order[: len(names)]]), eps, x0)

    def decay(self, x):
        return self.time_decay.view(-1) + torch.tanh(x @ self.time_decay_w1) @ self.time_decay_w2

    def forward(self, layout, x, image=None, x0=None, s0=None, period=None):
        """x: [tokens, C] -> output [tokens, C], states (see fused.wkv)."""
        names = "wkvrgRG" if self.hybrid else "wkvrg"
        xw, xk, xv, xr, xg, *mem = self.branches(layout, x, x0, names)
        y, states = fused.wkv(layout, self.receptance(xr), self.key(xk), self.value(xv), self.decay(xw),
                              self.time_faaaa, s0, period)
        if self.hybrid:
            y = fused.hybrid(layout, image, y, self.mem_read(mem[0]), self.mem_gate(mem[1]))
        y = fused.norm_gate(y, self.gate(xg), self.ln_x.weight, self.ln_x.bias)
        return self.output(y), states

    def states(self, layout, x, x0, s0, period):
        """Only the states, without reading them: the last block of the state encoder."""
        xw, xk, xv = self.branches(layout, x, x0, "wkv")
        return fused.wkv(layout, None, self.key(xk), self.value(xv), self.decay(xw), self.time_faaaa, s0, period)[1]


class ChannelMix(nn.Module):
    def __init__(self, cfg, layer, depth):
        super().__init__()
        c = cfg.width
        ramp = (torch.arange(c) / c).view(1, 1, c)
        power = 1 - layer / depth
        self.time_maa_k = nn.Parameter(1 - ramp**power)
        self.time_maa_r = nn.Parameter(1 - ramp**power)
        self.key = _linear(cfg.ffn, c, 1)
        self.receptance = _linear(c, c, 0.5)
        self.value = _linear(c, cfg.ffn, 0.5)

    def forward(self, layout, x, x0=None):
        mu = torch.cat([self.time_maa_k.view(1, -1), self.time_maa_r.view(1, -1)])
        xk, xr = fused.mix(layout, x, mu, x0=x0)
        return torch.sigmoid(self.receptance(xr)) * self.value(fused.relu2(self.key(xk)))


class Block(nn.Module):
    def __init__(self, cfg, layer, depth, hybrid):
        super().__init__()
        if layer == 0:
            self.ln0 = nn.LayerNorm(cfg.width)
        self.ln1 = nn.LayerNorm(cfg.width)
        self.ln2 = nn.LayerNorm(cfg.width)
        self.att = TimeMix(cfg, layer, depth, hybrid)
        self.ffn = ChannelMix(cfg, layer, depth)


def _last(x, layout):
    return x.detach()[layout.last_rows()]


class StateEncoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.blocks = nn.ModuleList(Block(cfg, i, cfg.encoder_depth, False) for i in range(cfg.encoder_depth))

    def zero_memory(self, streams):
        """What is carried between segments, per block: state [B,H,N,N] and both shifts [B,C]."""
        c = self.cfg
        return [(torch.zeros(streams, c.heads, fused.HEAD, fused.HEAD), torch.zeros(streams, c.width),
                 torch.zeros(streams, c.width)) for _ in self.blocks]

    @torch.no_grad()
    def centre(self, tokens, index):
        """Makes what block index mixes average zero over tokens [B, L, C]. A channel that never
        forgets then does not fill with the picture of the empty room."""
        b, l, c = tokens.shape
        layout = fused.Layout([l] * b)
        x = self.blocks[0].ln0(tokens.reshape(b * l, c))
        for block in self.blocks[:index]:
            x = x + block.att(layout, block.ln1(x))[0]
            x = x + block.ffn(layout, block.ln2(x))
        norm = self.blocks[index].ln1
        norm.bias -= norm(x).mean(0)

    def forward(self, tokens, memory, period):
        """tokens [B, L, C], L a multiple of period -> (image states [B, L/period, H,N,N] after every
        period tokens, hidden [B, L, C] after each block but the last, new memory)."""
        b, l, c = tokens.shape
        layout = fused.Layout([l] * b)
        x, hidden, carried = tokens.reshape(b * l, c), [], []
        x = self.blocks[0].ln0(x)
        for block, (s0, att, ffn) in zip(self.blocks[:-1], memory):
            h = block.ln1(x)
            y, state = block.att(layout, h, x0=att, s0=s0, period=0)
            x = x + y
            g = block.ln2(x)
            x = x + block.ffn(layout, g, x0=ffn)
            hidden.append(x.view(b, l, c))
            carried.append((state, _last(h, layout), _last(g, layout)))
        block, (s0, att, ffn) = self.blocks[-1], memory[-1]
        h = block.ln1(x)
        states = block.att.states(layout, h, att, s0, period)
        carried.append((states.detach()[:, -1].contiguous(), _last(h, layout), ffn))
        return states, hidden, carried


class Decoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.emb = nn.Embedding(cfg.vocab, cfg.width)
        nn.init.normal_(self.emb.weight, std=0.5)
        self.blocks = nn.ModuleList(Block(cfg, i, cfg.decoder_depth, True) for i in range(cfg.decoder_depth))
        self.ln_out = nn.LayerNorm(cfg.width)
        self.head = _linear(cfg.vocab, cfg.width, 0.5)

    def embed(self, ids, at, rows):
        """Embeddings of ids [tokens], with the rows of image tokens put at positions at."""
        return self.emb(ids).index_copy(0, at, rows)

    def forward(self, layout, x, image, carry=None, keep=False):
        """x [tokens, C], image states [images,H,N,N] -> hidden [tokens, C] before the head, new carry.

        carry continues every sequence (per block: state, both shifts); keep asks for the new one.
        """
        carried = []
        x = self.blocks[0].ln0(x)
        for i, block in enumerate(self.blocks):
            s0, att, ffn = carry[i] if carry else (None, None, None)
            h = block.ln1(x)
            y, state = block.att(layout, h, image, x0=att, s0=s0, period=0 if keep else None)
            x = x + y
            g = block.ln2(x)
            x = x + block.ffn(layout, g, x0=ffn)
            if keep:
                carried.append((state, _last(h, layout), _last(g, layout)))
        return self.ln_out(x), carried


class VisualRWKV(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.rwkv = Decoder(cfg)
        self.state_encoder = StateEncoder(cfg)
        self.proj = Projector(cfg)
        self.vit = Vision(cfg)

    def see(self, images):
        """images uint8 [n,S,S,3] -> features [n,grid^2,Dv]."""
        return self.vit(images)

    def encoder_tokens(self, features):
        """Project, then pool: [n, q^2, C]."""
        c = self.cfg
        return pool(self.proj(features), c.grid, math.isqrt(c.encoder_tokens))

    def image_tokens(self, features):
        """Pool, then project: [n, p^2, C]."""
        c = self.cfg
        return self.proj(pool(features, c.grid, math.isqrt(c.decoder_tokens)))


class Heads(nn.Module):
    """Auxiliary heads; they shape the features during training and are not exported."""

    SHAPES, COLOURS, MOTIONS = 6, 7, 6  # shapes and colours count the background

    def __init__(self, cfg):
        super().__init__()
        self.joint = (self.SHAPES - 1) * (self.COLOURS - 1) + 1
        self.sizes = [self.SHAPES, self.COLOURS, self.joint, 2]
        self.patch = Linear(cfg.vit_width, sum(self.sizes))
        self.cell = Linear(cfg.width, self.joint + 2)
        self.motion = Linear(cfg.width, self.MOTIONS + 4)
        self.past = Linear(cfg.width, self.joint)
        self.events, self.changes = (
            nn.Sequential(nn.LayerNorm(cfg.width), Linear(cfg.width, 2 * (self.SHAPES - 1) * self.COLOURS + 2 * self.joint))
            for _ in range(2))

    def patches(self, features):
        """Logits of shape, colour, joint class, and the position."""
        return self.patch(features).split(self.sizes, -1)

    def cells(self, tokens):
        """Logits of the joint class, and the position."""
        return self.cell(tokens).split([self.joint, 2], -1)

    def motions(self, hidden):
        """Motion logits, previous position, displacement."""
        return self.motion(hidden).split([self.MOTIONS, 2, 2], -1)

    def memories(self, head, summary):
        """Head events or changes of a frame set's summary [n, C]: logits of the colour of each shape now and in the frame
        set before [n, colour, shape] (colour 0: absent), and of the newest departure and arrival."""
        table = (self.SHAPES - 1) * self.COLOURS
        now, before, left, came = head(summary).split([table, table, self.joint, self.joint], -1)
        return now.view(-1, self.COLOURS, self.SHAPES - 1), before.view(-1, self.COLOURS, self.SHAPES - 1), left, came

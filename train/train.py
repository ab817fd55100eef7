"""Trains the demo model: stage 1 the vision tower alone, stage 2 everything together.

    python3 train.py -simgen BIN -vocab FILE -out DIR [-stage1 MIN] [-budget MIN] [-cooldown MIN]

Two processes of one thread each share the parameters and average their
gradients. The run continues from DIR/last.pt when that exists, also with a
larger -budget. SIGTERM saves and ends.
"""
import argparse
import dataclasses
import json
import math
import multiprocessing
import os
import pathlib
import random
import signal
import sys
import time

# The libraries read these when they are loaded, so the script restarts itself once.
# Page faults are dear in virtual machines: keep freed memory.
_ENV = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
if __name__ == "__main__" and os.environ.get("MALLOC_MMAP_MAX_") != "0":
    if "avx512bw" in pathlib.Path("/proc/cpuinfo").read_text() and "OPENBLAS_CORETYPE" not in os.environ:
        _ENV["OPENBLAS_CORETYPE"] = "SkylakeX"
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **_ENV})

import torch  # noqa: E402

import data  # noqa: E402
import evaluate  # noqa: E402
import losses  # noqa: E402
from model import Config, Heads, VisualRWKV  # noqa: E402

BETA1, BETA2, EPS = 0.9, 0.98, 1e-8
EMA = 0.999
WORKERS = 2
TEXT_WEIGHT = 1.0
PATCH_WEIGHTS = {"shape": 0.1, "colour": 0.1, "joint": 0.2, "place": 0.4}
CELL_WEIGHTS = {"cell_what": 0.2, "cell": 0.4, "motion": 0.2, "past": 0.3, "before": 0.4, "moved": 0.8}
EVENT_WEIGHTS = {"now": 0.2, "then": 0.2, "gone": 0.3, "came": 0.2,
                 "early_now": 0.2, "early_then": 0.3, "early_gone": 0.6, "early_came": 0.3}
STAGE1_WEIGHTS = {"shape": 1, "colour": 1, "joint": 1, "place": 2, "cell_what": 1, "cell": 2}


class Whole(torch.nn.Module):
    """Model and auxiliary heads: what is optimised and saved for resuming."""

    def __init__(self, cfg):
        super().__init__()
        self.model = VisualRWKV(cfg)
        self.heads = Heads(cfg)


class Flat:
    """All parameters as views into one shared vector, and AdamW over slices of it."""

    def __init__(self, module):
        self.names = [n for n, _ in module.named_parameters()]
        params = list(module.parameters())
        self.sizes = [p.numel() for p in params]
        self.shapes = [p.shape for p in params]
        total = sum(self.sizes)
        self.size = total
        self.value = torch.zeros(total).share_memory_()
        self.grads = torch.zeros(WORKERS, total).share_memory_()
        self.m, self.v, self.ema = (torch.zeros(total).share_memory_() for _ in range(3))
        self.norms = torch.zeros(WORKERS, dtype=torch.float64).share_memory_()
        with torch.no_grad():
            for p, view in zip(params, self.value.split(self.sizes)):
                view.copy_(p.flatten())
                p.data = view.view(p.shape)
        self.ema.copy_(self.value)
        self.key_rates = {n.replace("key_rate", "key.weight"): b for n, b in module.named_buffers() if n.endswith("key_rate")}
        self.decays = torch.cat([torch.full((n,), float(len(s) == 2 and "time_" not in name))
                                 for name, n, s in zip(self.names, self.sizes, self.shapes)])

    def bind(self, module, rank):
        """Makes .grad of every parameter a view into this worker's gradient vector."""
        for p, g in zip(module.parameters(), self.grads[rank].split(self.sizes)):
            p.grad = g.view(p.shape)

    def rates(self, stage, tower):
        """Learning rate factor per element: stage 1 trains tower, projector and heads; later the tower at its own rate."""
        factors = []
        for name, n in zip(self.names, self.sizes):
            vision = name.startswith("model.vit.")
            if stage == 1:
                f = 1.0 if vision or name.startswith(("heads.", "model.proj.")) else 0.0
            else:
                f = tower if vision else 1.0
            factor = torch.full((n,), f)
            if name in self.key_rates:
                factor = (factor.view(len(self.key_rates[name]), -1) * self.key_rates[name].sqrt()).flatten()
            factors.append(factor)
        return torch.cat(factors)

    def state_dict(self, vector):
        return {n: v.view(s).clone() for n, v, s in zip(self.names, vector.split(self.sizes), self.shapes)}

    def load(self, vector, state):
        """Auxiliary heads that the checkpoint has in another size, or not at all, keep their values."""
        for name, view, shape in zip(self.names, vector.split(self.sizes), self.shapes):
            saved = state.get(name) if name.startswith("heads.") else state[name]
            if saved is not None and saved.shape == shape:
                view.copy_(saved.flatten())
            elif not name.startswith("heads."):
                raise ValueError(f"checkpoint has {name} as {tuple(saved.shape)}, want {tuple(shape)}")

    def part(self, rank):
        edge = [self.size * i // WORKERS for i in range(WORKERS + 1)]
        return slice(edge[rank], edge[rank + 1])

    def step(self, rank, barrier, rate, factors, steps, decay, clip):
        """One AdamW step; every worker updates its part. steps counts from 1 since the moments were zero."""
        barrier.wait()
        s = self.part(rank)
        g = self.grads[:, s].mean(0)
        self.norms[rank] = float(g.norm()) ** 2
        barrier.wait()
        norm = math.sqrt(float(self.norms.sum()))
        if math.isfinite(norm):
            g.mul_(min(1.0, clip / (norm + 1e-12)))
            m, v, x, f = self.m[s], self.v[s], self.value[s], factors[s]
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            denominator = (v / (1 - BETA2**steps)).sqrt_().add_(EPS)
            x.addcmul_(x, f * self.decays[s], value=-rate * decay)
            x.addcmul_(f, m / denominator, value=-rate / (1 - BETA1**steps))
            self.ema[s].lerp_(x, 1 - EMA)
        barrier.wait()
        return norm


@dataclasses.dataclass
class Clock:
    """Progress that is saved: updates overall, updates and seconds of each stage."""

    updates: int = 0
    stage: int = 1
    steps: int = 0  # updates in this stage
    seconds: float = 0.0  # in this stage
    total: float = 0.0
    sets: int = 0  # frame sets seen, both workers


def rate(o, clock):
    """Learning rate: warm-up, constant, then cosine to 2 % at the end of the stage."""
    if clock.stage == 1:
        peak, budget, cooldown, warm = o.lr1, o.stage1 * 60, o.stage1 * 30, 100
    else:
        peak, budget, cooldown, warm = o.lr2, o.budget * 60, o.cooldown * 60, 200
    left = budget - clock.seconds
    scale = min(1.0, (clock.steps + 1) / warm)
    if left < cooldown:
        scale *= 0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * max(0.0, left) / cooldown))
    return peak * scale


def share_of_short(o, clock):
    """Share of streams that live briefly: all of them at first, so that the state is learnt before its upkeep."""
    return 1.0 if clock.stage == 1 or clock.seconds < o.short * 60 else 0.5


class Source:
    """Segments for one worker: two generators (two views, one view) with persistent encoder memory."""

    def __init__(self, o, cfg, rank, generation, short):
        self.o, self.sims, self.memory, self.pending, self.short = o, {}, {}, {}, short
        self.random = {k: random.Random(f"{o.seed} {generation} {k}") for k in (1, 2)}
        for k in (1, 2):
            seed = 1000 * generation + 10 * o.seed + rank
            streams = o.streams * (2 if k == 1 else 1)
            self.sims[k] = data.Simulator([o.simgen], seed, "train", streams, k, cfg.image_size, cfg.grid,
                                          ["-questions", str(o.questions), "-short", str(short), *o.gen.split()])
            self.memory[k] = None

    def _ask(self, k, stage):
        self.sims[k].request(1 if stage == 1 else self.random[k].choice(self.o.frames))

    def next(self, stage, steps):
        """-> views, segment. Both workers get the same kind and length at the same update."""
        k = 1 if steps % 5 == 4 else 2
        if k not in self.pending:
            self._ask(k, stage)
        segment = self.sims[k].receive()
        if k not in self.pending:
            segment.reset[:] = True
        self._ask(k, stage)
        self.pending[k] = True
        return k, segment

    def close(self):
        for s in self.sims.values():
            s.close()


def forward(whole, vocab, source, segment, k, stage):
    """-> loss, parts {name: float}."""
    model, cfg = whole.model, whole.model.cfg
    frozen = stage == 2 and source.o.tower == 0
    with torch.set_grad_enabled(not frozen):
        features = model.see(segment.images.flatten(0, 2))
    parts = {} if frozen else losses.patch_losses(whole.heads, segment, features)
    b, t = segment.B, segment.T
    tokens = model.encoder_tokens(features).reshape(b, t * k * cfg.encoder_tokens, cfg.width)
    if stage == 1:
        parts.update(losses.cell_losses(whole.heads, segment, tokens, None, cfg.grid))
        return sum(w * parts[n] for n, w in STAGE1_WEIGHTS.items()), parts
    memory = source.memory[k] or model.state_encoder.zero_memory(b)
    states, hidden, source.memory[k] = model.state_encoder(
        tokens, evaluate.restart(memory, segment.reset), k * cfg.encoder_tokens)
    parts.update(losses.cell_losses(whole.heads, segment, tokens, hidden[-1], cfg.grid))
    parts.update(losses.event_losses(whole.heads, segment, hidden))
    batch = data.Batch(vocab, segment, cfg.decoder_tokens)
    x = model.rwkv.embed(batch.ids, batch.at, model.image_tokens(features).flatten(0, 1))
    x, _ = model.rwkv(batch.layout, x, states.flatten(0, 1))
    text, kinds = losses.text_losses(batch, model.rwkv.head(x[batch.where]))
    loss = TEXT_WEIGHT * text
    for name, w in {**PATCH_WEIGHTS, **CELL_WEIGHTS, **EVENT_WEIGHTS}.items():
        if name in parts:
            loss = loss + w * parts[name]
    parts["text"] = text
    for kind, (_, right) in kinds.items():
        parts[f"right {kind}"] = right
    return loss, parts


class Meter:
    """Running means for the log."""

    def __init__(self):
        self.sums = {}

    def add(self, parts):
        for n, v in parts.items():
            v = float(v)
            if math.isfinite(v):
                s = self.sums.setdefault(n, [0.0, 0])
                s[0] += v
                s[1] += 1

    def take(self):
        out = {n: round(s / c, 4) for n, (s, c) in self.sums.items()}
        self.sums = {}
        return out


def held_out(o, cfg, rank):
    """Validation segments of this worker, the same in every run."""
    sim = data.Simulator([o.simgen], 77 + rank, "val", 4, 2, cfg.image_size, cfg.grid, ["-questions", "3"])
    out = []
    for _ in range(o.eval_segments):
        sim.request(3)
        out.append(sim.receive())
    sim.close()
    return out


def worker(rank, o, cfg, whole, flat, shared, barrier, counts):
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(o.seed + rank)
    flat.bind(whole, rank)
    vocab = data.Vocabulary(o.vocab)
    clock = Clock(**shared["clock"])
    source = Source(o, cfg, rank, clock.updates, share_of_short(o, clock))
    validation = held_out(o, cfg, rank)
    if rank == 0:
        log = open(o.out / "log.jsonl", "a")
        signal.signal(signal.SIGTERM, lambda *_: shared["stop"].fill_(1))
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN if rank else signal.default_int_handler)
    factors = flat.rates(clock.stage, o.tower)
    meter = Meter()
    last = logged = time.monotonic()
    saved = clock.total
    evaluated = clock.total
    logged_updates, logged_sets = clock.updates, clock.sets

    def write(record):
        print(json.dumps(record), file=log, flush=True)

    def check():
        """Held-out accuracy of the averaged weights, counted by both workers together."""
        averaged = VisualRWKV(cfg).eval()
        prefix = "model."
        averaged.load_state_dict({n[len(prefix):]: t for n, t in flat.state_dict(flat.ema).items() if n.startswith(prefix)})
        total = evaluate.score(averaged, vocab, validation)
        if rank:
            counts.put(dict(total))
        else:
            for kind, (right, asked) in counts.get().items():
                total[kind][0] += right
                total[kind][1] += asked
            write({"eval": evaluate.percent(total), "updates": clock.updates, "stage": clock.stage,
                   "minutes": round(clock.total / 60, 2)})

    while True:
        if source.short != share_of_short(o, clock):
            source.close()
            source = Source(o, cfg, rank, clock.updates, share_of_short(o, clock))
        k, segment = source.next(clock.stage, clock.steps)
        flat.grads[rank].zero_()
        loss, parts = forward(whole, vocab, source, segment, k, clock.stage)
        loss.backward()
        if rank == 0:
            shared["rate"].fill_(rate(o, clock))
        parts["loss"] = loss
        meter.add({n: float(v.detach()) if torch.is_tensor(v) else v for n, v in parts.items()})
        clock.steps += 1
        clock.updates += 1
        clock.sets += WORKERS * segment.B * segment.T
        # The first barrier inside the step publishes the rate and the stop flag.
        norm = flat.step(rank, barrier, shared["rate"], factors, clock.steps, o.decay, o.clip)
        meter.add({"norm": norm})
        if rank == 0:
            now = time.monotonic()
            shared["elapsed"].fill_(now - last)
            last = now
            shared["halt"].fill_(float(shared["stop"]))
        barrier.wait()
        clock.seconds += float(shared["elapsed"])
        clock.total += float(shared["elapsed"])
        halt = bool(shared["halt"])

        if rank == 0 and time.monotonic() - logged > 20:
            now = time.monotonic()
            span = now - logged
            write({"updates": clock.updates, "stage": clock.stage, "minutes": round(clock.total / 60, 2),
                   "rate": round(float(shared["rate"]), 6), "updates_s": round((clock.updates - logged_updates) / span, 2),
                   "sets_s": round((clock.sets - logged_sets) / span, 1), **meter.take()})
            logged, logged_updates, logged_sets = now, clock.updates, clock.sets
        done = clock.stage == 2 and clock.seconds >= o.budget * 60
        if clock.stage == 2 and (clock.total - evaluated > o.eval_every * 60 or done):
            evaluated = clock.total
            check()
        if clock.stage == 1 and clock.seconds >= o.stage1 * 60:
            clock.stage, clock.steps, clock.seconds = 2, 0, 0.0
            evaluated = clock.total
            factors = flat.rates(2, o.tower)
            part = flat.part(rank)
            flat.m[part].zero_()
            flat.v[part].zero_()
            flat.ema[part] = flat.value[part]
            barrier.wait()
            if rank == 0:
                save(o, flat, clock, cfg, "stage1.pt")
        if clock.total - saved > 180 or done or halt:
            saved = clock.total
            if rank == 0:
                save(o, flat, clock, cfg, "last.pt")
            barrier.wait()
        if done or halt:
            source.close()
            return


def save(o, flat, clock, cfg, name):
    """Writes a checkpoint in place of the old one, at once or not at all."""
    part = o.out / (name + ".part")
    torch.save({"config": dataclasses.asdict(cfg), "clock": dataclasses.asdict(clock), "updates": clock.updates,
                "last": flat.state_dict(flat.value), "ema": flat.state_dict(flat.ema),
                "m": flat.state_dict(flat.m), "v": flat.state_dict(flat.v)}, part)
    os.replace(part, o.out / name)


def deepened(saved, fresh, depth, added):
    """State of an encoder with blocks added before the last: theirs from fresh, their outputs made small."""
    out = {n: t for n, t in saved.items() if not n.startswith("model.state_encoder.blocks.")}
    for name, tensor in fresh.items():
        head, _, rest = name.partition("model.state_encoder.blocks.")
        if head or not rest:
            continue
        block, leaf = rest.split(".", 1)
        block = int(block)
        if block >= depth - 1 - added and block < depth - 1:
            out[name] = tensor * (0.2 if leaf in ("att.output.weight", "ffn.value.weight") else 1)
        else:
            old = block if block < depth - 1 else block - added
            out[name] = saved[f"model.state_encoder.blocks.{old}.{leaf}"]
    return out


def centre(o, model, index):
    """Centres encoder block index on a few scenes."""
    sim = data.Simulator([o.simgen], o.seed, "train", 16, 2, model.cfg.image_size, model.cfg.grid)
    sim.request(4)
    segment = sim.receive()
    sim.close()
    with torch.no_grad():
        tokens = model.encoder_tokens(model.see(segment.images.flatten(0, 2)))
    model.state_encoder.centre(tokens.reshape(segment.B, -1, model.cfg.width), index)


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-simgen", required=True, help="generator built from train/simgen")
    p.add_argument("-vocab", required=True, help="vocabulary file")
    p.add_argument("-out", required=True, type=pathlib.Path, help="folder of checkpoints and log")
    p.add_argument("-stage1", type=float, default=8, help="minutes of stage 1")
    p.add_argument("-budget", type=float, default=120, help="minutes of stage 2")
    p.add_argument("-cooldown", type=float, default=30, help="last minutes of stage 2, with falling learning rate")
    p.add_argument("-short", type=float, default=12, help="first minutes of stage 2, with short streams only")
    p.add_argument("-streams", type=int, default=4, help="streams per worker (twice as many with one view)")
    p.add_argument("-frames", type=lambda s: [int(x) for x in s.split(",")], default=[2, 3, 4, 4, 5, 5],
                   help="frame sets per segment, drawn from this list")
    p.add_argument("-questions", type=int, default=3, help="questions per frame set")
    p.add_argument("-gen", default="", help="further options of the generator, such as '-short 1 -life 2'")
    p.add_argument("-lr1", type=float, default=2e-3)
    p.add_argument("-lr2", type=float, default=1.3e-3)
    p.add_argument("-tower", type=float, default=0.5, help="rate of the tower in stage 2 relative to the rest; 0 freezes it")
    p.add_argument("-decay", type=float, default=0.02)
    p.add_argument("-clip", type=float, default=1.0)
    p.add_argument("-seed", type=int, default=1)
    p.add_argument("-eval_every", type=float, default=10, help="minutes between held-out evaluations")
    p.add_argument("-eval_segments", type=int, default=10)
    for f in dataclasses.fields(Config):
        p.add_argument("-model_" + f.name, type=int, default=f.default)
    return p.parse_args()


def main():
    o = options()
    o.out.mkdir(parents=True, exist_ok=True)
    cfg = Config(**{f.name: getattr(o, "model_" + f.name) for f in dataclasses.fields(Config)})
    torch.manual_seed(o.seed)
    torch.set_num_threads(1)
    clock = Clock()
    checkpoint = o.out / "last.pt"
    saved = None
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location="cpu")
        depth = max(cfg.encoder_depth, saved["config"]["encoder_depth"])
        cfg, clock = Config(**{**saved["config"], "encoder_depth": depth}), Clock(**saved["clock"])
    whole = Whole(cfg)
    flat = Flat(whole)
    if saved:
        added = depth - saved["config"]["encoder_depth"]
        for key in ("last", "ema", "m", "v") if added else ():
            saved[key] = deepened(saved[key], flat.state_dict(flat.value if key in ("last", "ema") else flat.m), depth, added)
        for vector, key in ((flat.value, "last"), (flat.ema, "ema"), (flat.m, "m"), (flat.v, "v")):
            flat.load(vector, saved[key])
        for index in range(depth - 1 - added, depth - 1):
            centre(o, whole.model, index)
        if added:
            flat.ema.copy_(flat.value)
    shared = {"clock": dataclasses.asdict(clock)}
    for name in ("rate", "elapsed", "stop", "halt"):
        shared[name] = torch.zeros((), dtype=torch.float64).share_memory_()
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(WORKERS, timeout=900)
    counts = fork.Queue()
    args = (o, cfg, whole, flat, shared, barrier, counts)
    other = fork.Process(target=worker, args=(1, *args), daemon=True)
    other.start()
    worker(0, *args)
    other.join()


if __name__ == "__main__":
    main()

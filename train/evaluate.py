"""Held-out accuracy with greedy decoding, per kind of question and per object count.

    python3 evaluate.py -checkpoint DIR/last.pt -simgen BIN [-split test] [-segments N]
"""
import argparse
import collections
import json

import torch

import data
import fused
from model import Config, VisualRWKV

LONGEST = 48  # answer tokens


@torch.no_grad()
def answer(model, vocab, batch, images, states):
    """Greedy answers to all texts of a batch made with answers=False."""
    lm = model.rwkv
    x, carry = lm(batch.layout, lm.embed(batch.ids, batch.at, images), states, keep=True)
    texts = slice(batch.sets, None)
    logits = lm.head(x[batch.layout.last_rows()[texts]])
    carry = [tuple(c[texts] for c in block) for block in carry]
    image = batch.layout.image[texts]
    out = [[] for _ in batch.kinds]
    live = torch.arange(len(out))
    for _ in range(LONGEST):
        nxt = logits.argmax(-1)
        for i, token in zip(live.tolist(), nxt.tolist()):
            out[i].append(token)
        go = nxt != vocab.stop
        live, image = live[go], image[go]
        if len(live) == 0:
            break
        carry = [tuple(c[go].contiguous() for c in block) for block in carry]
        layout = fused.Layout([1] * len(live), image=image.contiguous())
        x, carry = lm(layout, lm.emb(nxt[go]), states, carry=carry, keep=True)
        logits = lm.head(x)
    return [vocab.decode(ids[:-1] if ids[-1] == vocab.stop else ids).strip() for ids in out]


@torch.no_grad()
def segment_states(model, segment, memory):
    """Runs tower and encoder over a segment -> image states [B*T,H,N,N], decoder tokens [B*T*K*p^2, C], new memory."""
    b, t, k = segment.B, segment.T, segment.K
    features = model.see(segment.images.flatten(0, 2))
    tokens = model.encoder_tokens(features).reshape(b, t * k * model.cfg.encoder_tokens, -1)
    states, _, memory = model.state_encoder(tokens, memory, k * model.cfg.encoder_tokens)
    images = model.image_tokens(features)  # [B*T*K, p^2, C], in the order of Batch.at
    return states.flatten(0, 1), images.flatten(0, 1), memory


def restart(memory, reset):
    """Zeroes the memory of streams that began anew."""
    keep = (~reset).float()
    return [tuple(x * keep.view(-1, *[1] * (x.dim() - 1)) for x in block) for block in memory]


@torch.no_grad()
def score(model, vocab, segments):
    """-> counts {name: [right, asked]} over all texts; captions also by number of objects, motion by still or not."""
    counts = collections.defaultdict(lambda: [0, 0])
    memory = None
    for segment in segments:
        memory = restart(memory or model.state_encoder.zero_memory(segment.B), segment.reset)
        states, images, memory = segment_states(model, segment, memory)
        batch = data.Batch(vocab, segment, model.cfg.decoder_tokens, answers=False)
        got = iter(answer(model, vocab, batch, images, states))
        for b in range(segment.B):
            for t in range(segment.T):
                present = int((segment.shape[b, t] > 0).sum())
                for kind, _, truth in segment.texts[b][t]:
                    right = next(got) == truth
                    names = [kind]
                    if kind == "caption":
                        names.append(f"caption of {present}")
                    elif kind in ("motion", "moved", "left", "entered"):
                        names.append(f"{kind}: {'nothing' if truth in ('still', 'nothing', 'nothing.', 'still.') else 'something'}")
                    if kind != "caption":
                        names.append("questions")
                    for name in names:
                        counts[name][0] += right
                        counts[name][1] += 1
    return counts


def percent(counts):
    return {k: round(100 * r / n, 1) for k, (r, n) in sorted(counts.items())}


def load(path, weights="ema"):
    """-> model, saved checkpoint."""
    saved = torch.load(path, map_location="cpu")
    model = VisualRWKV(Config(**saved["config"]))
    state = {k: v for k, v in saved[weights].items() if not k.startswith("heads.")}
    model.load_state_dict({k[len("model."):]: v for k, v in state.items()})
    return model.eval(), saved


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-checkpoint", required=True)
    p.add_argument("-simgen", required=True)
    p.add_argument("-vocab", required=True)
    p.add_argument("-weights", default="ema", choices=["ema", "last"])
    p.add_argument("-split", default="test")
    p.add_argument("-seed", type=int, default=1)
    p.add_argument("-views", type=int, default=2)
    p.add_argument("-streams", type=int, default=8)
    p.add_argument("-segments", type=int, default=30)
    p.add_argument("-frames", type=int, default=4)
    o = p.parse_args()
    torch.set_num_threads(1)
    model, saved = load(o.checkpoint, o.weights)
    vocab = data.Vocabulary(o.vocab)
    c = model.cfg
    sim = data.Simulator([o.simgen], o.seed, o.split, o.streams, o.views, c.image_size, c.grid)

    def segments():
        sim.request(o.frames)
        for i in range(o.segments):
            if i + 1 < o.segments:
                sim.request(o.frames)
            yield sim.receive()

    counts = score(model, vocab, segments())
    sim.close()
    print(json.dumps({"updates": saved["updates"], "percent": percent(counts),
                      "counts": {k: v[1] for k, v in sorted(counts.items())}}, indent=1))


if __name__ == "__main__":
    main()

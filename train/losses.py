"""Losses and their parts as they are logged."""
import math

import torch
import torch.nn.functional as F

from model import Heads, pool

BACKGROUND = 0.15  # weight of background patches in the classification losses
POSITION_BETA = 0.1  # where the position loss turns from quadratic to linear, world units


def _position(predicted, wanted):
    return F.smooth_l1_loss(predicted, wanted, beta=POSITION_BETA)


def _pick(table, patches):
    """table [B,T,M,...] or [B,T,K,M,...] looked up per patch [B,T,K,P] -> flat over patches."""
    b, t, k, p = patches.shape
    if table.dim() == 3:
        table = table[:, :, None].expand(b, t, k, -1)
        return table.gather(3, patches).flatten()
    return table.gather(3, patches[..., None].expand(b, t, k, p, 2)).reshape(-1, 2)


def _joint(shape, colour):
    """Class of a shape with a colour, 0 for the background."""
    return torch.where(shape > 0, (shape - 1) * (Heads.COLOURS - 1) + colour, 0)


def main_objects(patches, grid, out):
    """Main object of each cell of out x out cells, from that of each patch, [B,T,K,P] -> [B,T,K,out*out]."""
    if grid == out:
        return patches
    b, t, k, p = patches.shape
    votes = F.one_hot(patches.view(b * t * k, p)).float()
    votes[..., 0] *= 0.25  # a cell with an object in a quarter of it is about that object
    return pool(votes, grid, out).argmax(-1).view(b, t, k, out * out)


def patch_losses(heads, segment, features):
    """Classification and position losses per patch of the tower's output."""
    patches = segment.patches.flatten(3)
    shape, colour = _pick(segment.shape, patches), _pick(segment.colour, patches)
    joint = _joint(shape, colour)
    on = shape > 0
    s, c, j, at = (x.flatten(0, -2) for x in heads.patches(features))
    weight = torch.where(on, 1.0, BACKGROUND)

    def classify(logits, wanted):
        return (F.cross_entropy(logits, wanted, reduction="none") * weight).sum() / weight.sum()

    out = {"shape": classify(s, shape), "colour": classify(c, colour), "joint": classify(j, joint)}
    out["place"] = _position(at[on], _pick(segment.axes, patches)[on])
    with torch.no_grad():
        out["shape_right"] = (s.argmax(-1) == shape)[on].float().mean()
        out["place_error"] = (at[on] - _pick(segment.axes, patches)[on]).abs().mean()
    return out


def cell_losses(heads, segment, tokens, hidden, grid):
    """Class and position from the encoder's input tokens; from hidden (None: left out) the motion,
    and what each cell showed in the frame set before, without which departures are hardly learnt.

    With the position alone the projector would keep nothing else: trained so, it
    put 97 % of its variance into three directions and colour was gone.

    tokens, hidden: [B, T*K*q^2, C].
    """
    b, t, k = segment.B, segment.T, segment.K
    q2 = tokens.shape[1] // (t * k)
    cells = main_objects(segment.patches.flatten(3), grid, math.isqrt(q2))
    on = cells.flatten() > 0
    what, at = heads.cells(tokens.reshape(-1, tokens.shape[-1])[on])
    joint = _joint(_pick(segment.shape, cells)[on], _pick(segment.colour, cells)[on])
    out = {"cell_what": F.cross_entropy(what, joint), "cell": _position(at, _pick(segment.axes, cells)[on])}
    if hidden is None:
        return out
    if t > 1:
        was = _joint(_pick(segment.shape, cells), _pick(segment.colour, cells)).view(b, t, -1)[:, :-1].flatten()
        logits = heads.past(hidden.reshape(b, t, -1, hidden.shape[-1])[:, 1:].flatten(0, 2))
        weight = torch.where(was > 0, 1.0, BACKGROUND)
        out["past"] = (F.cross_entropy(logits, was, reduction="none") * weight).sum() / weight.sum()
        with torch.no_grad():
            out["past_right"] = (logits.argmax(-1) == was)[was > 0].float().mean()
    on = ((cells > 0) & segment.seen[:, :, None, None]).flatten()
    if not on.any():
        return out
    motion, before, moved = heads.motions(hidden.reshape(-1, hidden.shape[-1])[on])
    prev, now = _pick(segment.prev, cells)[on], _pick(segment.axes, cells)[on]
    kind = _pick(segment.motion, cells)[on]
    out["motion"] = F.cross_entropy(motion, kind)
    out["before"] = _position(before, prev)
    out["moved"] = _position(moved, now - prev)
    with torch.no_grad():
        going = kind > 0
        out["motion_right"] = (motion.argmax(-1) == kind)[going].float().mean()
    return out


def event_losses(heads, segment, hidden):
    """What is in the room and was in the frame set before, and the newest departure and arrival,
    from the mean of hidden [B, T*K*q^2, C] over the second half of each frame set. The last hidden
    must know the newest events there were; the one before it those of this frame set, so that the
    last block can store them: a block never stores what it reads.

    Without these losses the encoder tells which shape left but forgets its colour.
    """
    out = {}
    last = _summary_losses(heads, heads.events, segment, hidden[-1], segment.left, segment.came)
    out.update({n: last[n] for n in ("now", "then", "gone", "came", "gone_right", "came_right") if n in last})
    if segment.T > 1 and len(hidden) > 1:
        early = _summary_losses(heads, heads.changes, segment, hidden[-2], _fresh(segment.left), _fresh(segment.came))
        out.update({"early_" + n: v for n, v in early.items()})
    return out


def _fresh(event):
    """The event [B,T,2] where it is that of the frame set itself, -1 where that is unknown."""
    same = (event[:, 1:] == event[:, :-1]).all(-1, keepdim=True)
    return torch.cat([torch.full_like(event[:, :1], -1), event[:, 1:].masked_fill(same, 0)], 1)


def _summary_losses(heads, head, segment, hidden, left, came):
    b, t = segment.B, segment.T
    per = hidden.view(b, t, -1, hidden.shape[-1])
    now, before, *events = heads.memories(head, per[:, :, per.shape[2] // 2 :].mean(2).flatten(0, 1))
    present = torch.zeros(b, t, Heads.SHAPES, dtype=torch.long).scatter_(2, segment.shape, segment.colour)[:, :, 1:]
    out = {"now": F.cross_entropy(now, present.flatten(0, 1))}
    if t > 1:
        later = before.view(b, t, *before.shape[1:])[:, 1:].flatten(0, 1)
        out["then"] = F.cross_entropy(later, present[:, :-1].flatten(0, 1))
    for name, logits, event in zip(("gone", "came"), events, (left, came)):
        wanted = torch.where(event[..., 0] < 0, -1, _joint(event[..., 0], event[..., 1])).flatten()
        out[name] = F.cross_entropy(logits, wanted, ignore_index=-1)
        some = wanted > 0
        if some.any():
            out[name + "_right"] = (logits.argmax(-1) == wanted)[some].float().mean()
    return out


def text_losses(batch, logits):
    """Mean cross-entropy of all answer tokens, and per kind of text its loss and exact answers (teacher forced)."""
    each = F.cross_entropy(logits, batch.target, reduction="none")
    with torch.no_grad():
        n = len(batch.kinds)
        wrong = torch.zeros(n).index_add_(0, batch.text, (logits.argmax(-1) != batch.target).float())
        loss = torch.zeros(n).index_add_(0, batch.text, each) / torch.zeros(n).index_add_(
            0, batch.text, torch.ones_like(each))
        right = (wrong == 0).float()
    per = {}
    for i, kind in enumerate(batch.kinds):
        if kind in ("left", "entered", "moved") and not batch.truth[i].startswith("nothing"):
            kind += " something"
        per.setdefault(kind, []).append(i)
    parts = {kind: (loss[i].mean().item(), right[i].mean().item()) for kind, i in per.items()}
    return each.mean(), parts

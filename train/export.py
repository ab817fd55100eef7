"""Writes a training checkpoint as the authors' kind of file, with what the file does not tell beside it.

    python3 export.py -checkpoint DIR/last.pt -vocab vocab.txt -o DIR/demo.pth [-type bf16|f32|f16]

DIR/demo.pth is a VisualRWKV-HM checkpoint (torch zip, the authors' tensor
names); DIR/demo.json holds the hyperparameters that cannot be derived from
shapes, under the keys that the model file format uses. Convert both with
`edged convert`.
"""
import argparse
import collections
import json
import pathlib

import torch

import data
import evaluate

TYPES = {"bf16": torch.bfloat16, "f32": torch.float32, "f16": torch.float16}


def metadata(cfg, vocab):
    tower = "visualrwkv.vision.siglip."
    return {
        "general.name": "edged demo",
        "visualrwkv.image.token_index": cfg.vocab - 1,
        "visualrwkv.image.decoder_tokens": cfg.decoder_tokens,
        "visualrwkv.image.encoder_tokens": cfg.encoder_tokens,
        "visualrwkv.image.views": 2,
        "visualrwkv.vision.towers": ["siglip"],
        tower + "image_size": cfg.image_size,
        tower + "patch_size": cfg.patch_size,
        tower + "head_count": cfg.vit_heads,
        tower + "feature_block": cfg.vit_depth - 1,
        tower + "activation": "gelu_erf",
        tower + "image_mean": [0.5, 0.5, 0.5],
        tower + "image_std": [0.5, 0.5, 0.5],
        "visualrwkv.prompt.caption": data.CAPTION,
        "visualrwkv.prompt.questions_lowercase": True,
        "visualrwkv.prompt.stop": vocab.stop,
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-checkpoint", required=True)
    p.add_argument("-vocab", required=True)
    p.add_argument("-o", required=True, type=pathlib.Path)
    p.add_argument("-type", default="bf16", choices=TYPES)
    p.add_argument("-weights", default="ema", choices=["ema", "last"])
    o = p.parse_args()
    model, _ = evaluate.load(o.checkpoint, o.weights)
    state = collections.OrderedDict((n, t.to(TYPES[o.type]).contiguous()) for n, t in model.state_dict().items())
    torch.save(state, o.o)
    described = json.dumps(metadata(model.cfg, data.Vocabulary(o.vocab)), indent=1)
    o.o.with_suffix(".json").write_text(described + "\n")


if __name__ == "__main__":
    main()

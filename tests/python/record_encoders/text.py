"""Records what transformers and OpenCLIP make of texts, for tests/encoders/{clip_text,t5,sd3_text}.rs.

    pip install torch==2.15.0 numpy safetensors transformers==5.24.0 tokenizers==0.23.3 open_clip_torch==3.3.0
    python tests/python/record_encoders/text.py tests/golden/encoders

Weights are the formula of `formula.py`. With `--full` the T5 layer of full width is recorded too, which takes 3 GB of memory.
"""
import argparse
import collections
import json
import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

import formula

torch.set_num_threads(1)
torch.set_grad_enabled(False)

# A small vocabulary keeps files small; its last token ends a text, as in that of CLIP.
VOCABULARY = 1000
BEGIN, END = VOCABULARY - 2, VOCABULARY - 1
# Of hidden states every so many tokens and channels are kept, beside the mean and the mean square of all.
STEP = (11, 17)


def summary(arrays, name, hidden):
    hidden = hidden.double().numpy()
    arrays[f"{name}.part"] = hidden[:, :: STEP[0], :: STEP[1]].astype(np.float32).copy()
    arrays[f"{name}.mean"] = np.array([hidden.mean(), (hidden**2).mean()])


def clip_tokens(padding):
    random = np.random.default_rng(14)
    rows = []
    for length in (0, 11, 75):
        text = random.integers(1, BEGIN, length).tolist()
        rows.append(([BEGIN, *text, END] + [padding] * 77)[:77])
    return torch.tensor(rows)


def names(module):
    return [[name, list(tensor.shape)] for name, tensor in module.state_dict().items()]


CLIP = {
    "l": dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, hidden_act="quick_gelu", projection_dim=768),
    "g": dict(hidden_size=1280, intermediate_size=5120, num_attention_heads=20, hidden_act="gelu", projection_dim=1280),
}


def record_clip(arrays, listed):
    for size, padding in (("l", END), ("g", 0)):
        config = CLIPTextConfig(vocab_size=VOCABULARY, num_hidden_layers=2, bos_token_id=BEGIN, eos_token_id=END, **CLIP[size])
        config._attn_implementation = "eager"
        model = CLIPTextModelWithProjection(config).eval()
        tables = [f"text_model.embeddings.{kind}_embedding.weight" for kind in ("token", "position")]
        formula.fill(model, tables=tables)
        tokens = clip_tokens(padding)
        found = model.text_model(input_ids=tokens, output_hidden_states=True)
        arrays[f"clip_{size}.tokens"] = tokens.numpy()
        summary(arrays, f"clip_{size}.penultimate", found.hidden_states[-2])
        summary(arrays, f"clip_{size}.pooled", found.pooler_output[:, None])
        if size == "g":
            summary(arrays, f"clip_{size}.projected", model.text_projection(found.pooler_output)[:, None])
        listed[f"clip_{size}"] = names(model)


def record_open_clip(arrays, listed):
    import open_clip
    from open_clip.transformer import TextTransformer

    tower = TextTransformer(context_length=77, vocab_size=VOCABULARY, width=1280, heads=20, layers=2, output_dim=1280).eval()
    formula.fill(tower, tables=["token_embedding.weight", "positional_embedding"])
    tokens = clip_tokens(0)
    hidden = []
    handle = tower.transformer.resblocks[0].register_forward_hook(lambda module, inputs, output: hidden.append(output))
    summary(arrays, "open_clip.projected", tower(tokens)[:, None])
    handle.remove()
    states = hidden[0] if hidden[0].shape[0] == tokens.shape[0] else hidden[0].transpose(0, 1)
    arrays["open_clip.tokens"] = tokens.numpy()
    summary(arrays, "open_clip.penultimate", states)
    listed["open_clip"] = names(tower)
    listed["open_clip_version"] = open_clip.__version__


T5 = {
    "small": dict(vocab_size=100, d_model=48, d_kv=16, d_ff=96, num_layers=3, num_heads=4),
    "full": dict(vocab_size=100, d_model=4096, d_kv=64, d_ff=10240, num_layers=1, num_heads=64),
}


def record_t5(arrays, listed, size, lengths):
    config = T5Config(feed_forward_proj="gated-gelu", dropout_rate=0.0, tie_word_embeddings=False, **T5[size])
    config._attn_implementation = "eager"
    model = T5EncoderModel(config).eval()
    shared = "shared.weight"
    rename = lambda name: shared if name == "encoder.embed_tokens.weight" else name
    distances = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    formula.fill(model, rename=rename, tables=[shared, distances])
    random = np.random.default_rng(15)
    for length in lengths:
        tokens = torch.from_numpy(random.integers(0, 100, (2, length)))
        tokens[0, length // 2 :] = 0
        tokens[0, length // 2] = 1
        name = f"t5_{size}.{length}"
        arrays[f"{name}.tokens"] = tokens.numpy()
        summary(arrays, name, model(input_ids=tokens).last_hidden_state)
    listed[f"t5_{size}"] = [entry for entry in names(model) if entry[0] != "encoder.embed_tokens.weight"]


PROMPTS = [
    "",
    "A photo of a cat.",
    "it's 3 o'clock -- don't we'll THEY'RE!!",
    "  many   spaces\tand\nlines \r\n",
    "Ünïcödé ÇAFÉ naïve",
    "e\u0301 joined with its accent",
    "\u65e5\u672c\u8a9e \u30c6\u30b9\u30c8",
    "a cat \U0001f431 and a dog \U0001f436, \u201cquoted\u201d don\u2019t",
    "(a red:1.3) car, [blue], {green}",
    "1234567890 3.14159 x2",
    "the end <|endoftext|> comes early",
    "\ufb01ne ligatures\u00a0and other spaces\u2003here",
    "a painting of a mountain lake at sunset with a small boat and two birds above it in the style of an old master, " * 4,
]
CORPUS = [
    "a photo of a cat", "a photo of a dog", "a painting of a mountain lake at sunset", "a small boat on a lake", "two birds above a red car",
    "the style of an old master", "a green apple and a blue cup", "an old clock at three", "they don't know that it's the end",
    "many lines and spaces in a photo", "a dog and a cat with a red ball", "the mountain above the small lake",
]


def merged(words, count):
    """So many merges of the most frequent pairs, the first in the alphabet of several."""
    words = {(*word[:-1], word[-1] + "</w>"): n for word, n in words.items()}
    merges = []
    for _ in range(count):
        pairs = collections.Counter()
        for word, n in words.items():
            pairs.update({pair: word_count * n for pair, word_count in collections.Counter(zip(word, word[1:])).items()})
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        joined = collections.Counter()
        for word, n in words.items():
            parts = []
            for part in word:
                if parts and (parts[-1], part) == best:
                    parts[-1] += part
                else:
                    parts.append(part)
            joined[tuple(parts)] += n
        words = joined
    return merges


def clip_tokenizer(folder):
    """Pairs of bytes merged as often as the corpus says, in the order of CLIP's vocabulary."""
    from tokenizers import pre_tokenizers

    merges = merged(collections.Counter(word for line in CORPUS for word in line.replace("'", " '").split()), 100)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    vocabulary = list(dict.fromkeys(vocabulary)) + ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(vocabulary)}, merges=merges)
    found = {prompt: tokenizer(prompt, padding="max_length", max_length=77, truncation=True)["input_ids"] for prompt in PROMPTS}
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    whole["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    (folder / "clip_tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
    return found


def t5_tokenizer(folder):
    """Pieces of words as likely as they are frequent, which is not how T5's were found."""
    words = ["\u2581" + word for line in CORPUS for word in line.split()]
    pieces = collections.Counter(word[i:j] for word in words for i in range(len(word)) for j in range(i + 1, len(word) + 1))
    kept = sorted((piece, count) for piece, count in pieces.items() if len(piece) == 1 or count > 2)
    total = sum(count for _, count in kept)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(piece, math.log(count / total)) for piece, count in kept]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=4)
    found = {prompt: tokenizer(prompt)["input_ids"] for prompt in PROMPTS}
    whole = json.loads(tokenizer.backend_tokenizer.to_str())
    (folder / "t5_tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    arrays, listed = {}, {}
    record_clip(arrays, listed)
    record_open_clip(arrays, listed)
    record_t5(arrays, listed, "small", (77, 301))
    if arguments.full:
        record_t5(arrays, listed, "full", (77,))
    save_file(arrays, arguments.folder / "text.safetensors")
    clip, t5 = clip_tokenizer(arguments.folder), t5_tokenizer(arguments.folder)
    prompts = [{"prompt": prompt, "clip": clip[prompt], "t5": t5[prompt]} for prompt in PROMPTS]
    (arguments.folder / "text.json").write_text(json.dumps({"names": listed, "prompts": prompts}, separators=(",", ":")))


if __name__ == "__main__":
    main()

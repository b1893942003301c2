"""A small GGUF with random weights: a llama of two layers that babbles, with a chat template of its own."""

from pathlib import Path

import gguf
import numpy as np

VOCABULARY_OF_BYTES = [*range(33, 127), *range(161, 173), *range(174, 256)]  # the bytes that GPT-2 writes as themselves
TEMPLATE = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}<|assistant|>"


def write(file: Path, width: int = 64, layers: int = 2, context: int = 4096) -> Path:
    """Write the file and return its path."""
    chance = np.random.default_rng(7)
    tokens = _byte_tokens() + ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 4)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 4)
    writer.add_token_merges([f"{tokens[1]} {tokens[2]}"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(256)
    writer.add_chat_template(TEMPLATE)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (chance.standard_normal((rows, columns)) / np.sqrt(columns)).astype(np.float32)

    writer.add_tensor("token_embd.weight", matrix(len(tokens), width))
    writer.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    for layer in range(layers):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(width, dtype=np.float32))
        shapes = {
            "attn_q": (width, width),
            "attn_k": (width // 2, width),
            "attn_v": (width // 2, width),
            "attn_output": (width, width),
        }
        shapes |= {"ffn_gate": (2 * width, width), "ffn_up": (2 * width, width), "ffn_down": (width, 2 * width)}
        for name, shape in shapes.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix(*shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _byte_tokens() -> list[str]:
    """Return GPT-2's 256 byte tokens: printable bytes as themselves, the others moved behind code point 256."""
    tokens, moved = [], 0
    for byte in range(256):
        if byte in VOCABULARY_OF_BYTES:
            tokens.append(chr(byte))
        else:
            tokens.append(chr(256 + moved))
            moved += 1
    return tokens

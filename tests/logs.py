"""Logs as people paste them, made from parts, so that tests can vary what does not matter."""

import random

OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.27 GiB. GPU 0 has a total capacity of 11.76 GiB of which 276.44 MiB is free. "
    "Including non-PyTorch memory, this process has 11.48 GiB memory in use. Of the allocated memory 10.90 GiB is allocated by PyTorch, and "
    "210.00 MiB is reserved by PyTorch but unallocated."
)


def out_of_memory_while_loading(lines: int = 200, seed: int = 1) -> str:
    """Return a log of about `lines` lines: start-up chatter, shards, then the traceback of a model that does not fit."""
    chance = random.Random(seed)
    head = [
        f"2026-11-20 12:{index // 60:02d}:{index % 60:02d},{chance.randrange(1000):03d} - INFO - preparing worker {index} of the pool"
        for index in range(lines - 40)
    ]
    shards = [
        f"Loading checkpoint shards:  {10 * step}%|{'█' * step:<10}| {step}/10 [00:0{step % 10}<00:05,  1.2s/it]"
        for step in range(10)
    ]
    frames = []
    for depth in range(12):
        frames += [
            f'  File "/home/someone/venv/lib/python3.11/site-packages/transformers/modeling_utils.py", line {400 + depth}, in step_{depth}',
            f"    return self.step_{depth + 1}(*args, **kwargs)",
        ]
    return "\n".join(
        [
            *head,
            *shards,
            "Traceback (most recent call last):",
            '  File "/home/someone/run.py", line 12, in <module>',
            '    model = AutoModelForCausalLM.from_pretrained(name).to("cuda")',
            *frames,
            OOM,
        ]
    )

"""Small random models of transformers' own classes, for recorded and live parity. Needs torch and transformers."""

import torch
import transformers

BASE = {"attn_implementation": "eager", "use_cache": False, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}


def local(flag: bool) -> str:
    return "sliding_attention" if flag else "full_attention"


def gemma(*, epsilon: float, rope: float, **sizes):
    return transformers.GemmaConfig(rms_norm_eps=epsilon, rope_parameters=plain_rope(rope), **sizes, **BASE)


def gemma2(*, epsilon: float, rope: float, window: int, scalar: int, caps: tuple[float, float], **sizes):
    return transformers.Gemma2Config(
        rms_norm_eps=epsilon, rope_parameters=plain_rope(rope), sliding_window=window, query_pre_attn_scalar=scalar,
        attn_logit_softcapping=caps[0], final_logit_softcapping=caps[1], **sizes, **BASE,
    )  # fmt: skip


def gemma3_text(
    *, epsilon: float, rope_local: float, rope_global: float, factor: float, window: int, scalar: int, **sizes
):
    both = {
        local(True): plain_rope(rope_local),
        local(False): {"rope_type": "linear", "factor": factor, "rope_theta": rope_global},
    }
    return transformers.Gemma3TextConfig(
        rms_norm_eps=epsilon, rope_parameters=both, sliding_window=window, query_pre_attn_scalar=scalar, **sizes, **BASE
    )


def vaultgemma(*, epsilon: float, rope: float, scalar: int, caps: tuple[float, float], **sizes):
    return transformers.VaultGemmaConfig(
        rms_norm_eps=epsilon, rope_parameters=plain_rope(rope), query_pre_attn_scalar=scalar,
        layer_types=[local(False)] * sizes["num_hidden_layers"], attn_logit_softcapping=caps[0],
        final_logit_softcapping=caps[1], **sizes, **BASE,
    )  # fmt: skip


def recurrent_gemma(*, epsilon: float, rope: float, fraction: float, window: int, cap: float, taps: int, **sizes):
    return transformers.RecurrentGemmaConfig(
        rms_norm_eps=epsilon, rope_parameters=plain_rope(rope) | {"partial_rotary_factor": fraction},
        attention_window_size=window, logits_soft_cap=cap, conv1d_width=taps, **sizes, **BASE,
    )  # fmt: skip


def plain_rope(base: float) -> dict:
    return {"rope_type": "default", "rope_theta": base}


FAMILIES = {config.__name__: config for config in (gemma, gemma2, gemma3_text, vaultgemma, recurrent_gemma)}


def random_model(config, seed: int, spread: float = 2.0):
    """A model whose every weight is random, exact in bfloat16, and large enough for caps and gates to bite."""
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            deviation = 0.4 if weight.ndim == 1 else spread * weight.shape[-1] ** -0.5
            weight.copy_(deviation * torch.randn(weight.shape, generator=generator))
            weight.copy_(weight.to(torch.bfloat16))
    return model


def raw_logits(model, tokens):
    """Float32 logits `[T, V]` of one row of tokens, uncached."""
    with torch.no_grad():
        return model(torch.as_tensor(tokens)[None], use_cache=False).logits[0].float().numpy()


def load(folder, dtype=torch.float32):
    """The model in a folder. Not `model.to(dtype)`, which would round the frequencies of the rotary embedding too."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()

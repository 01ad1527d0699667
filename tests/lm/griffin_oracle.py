"""Griffin and Hawk written a second time, from the equations of 2402.19427, in float64 and with loops alone.

It shares nothing with `culet` but the names of the weights, such as `blocks.0.mixer.linear_x.weight`. The paper leaves
three things open that are taken from the authors' published code: norms scale by 1 + w, the first token of a sequence
enters the recurrence unscaled, and only the first half of a head's channels is rotated.
"""

import math

import numpy as np

Weights = dict[str, np.ndarray]


def logits(weights: Weights, config, tokens) -> np.ndarray:
    """Logits `[T, V]` of one document. Section 2: residual blocks of a temporal mixer and a gated MLP."""
    embedding = weights["embedding"]
    stream = [embedding[token] for token in tokens]
    for layer in range(config.layers):
        kind = config.pattern[layer % len(config.pattern)]
        mix = recurrent_block if kind == "R" else attention
        inside = part(weights, f"blocks.{layer}")
        mixed = mix(part(inside, "mixer"), config, [norm(x, inside["mixer_norm.scale"], config) for x in stream])
        stream = [x + y for x, y in zip(stream, mixed, strict=True)]
        fed = [mlp(part(inside, "mlp"), norm(x, inside["mlp_norm.scale"], config)) for x in stream]
        stream = [x + y for x, y in zip(stream, fed, strict=True)]
    return np.stack([embedding @ norm(x, weights["final_norm.scale"], config) for x in stream])


def part(weights: Weights, prefix: str) -> Weights:
    return {name[len(prefix) + 1 :]: value for name, value in weights.items() if name.startswith(prefix + ".")}


def norm(x, scale, config):
    size = math.sqrt(sum(float(value) ** 2 for value in x) / len(x) + config.epsilon)
    return np.array([value / size * (1.0 + weight) for value, weight in zip(x, scale, strict=True)])


def gelu(x: float) -> float:
    return x / (1.0 + math.exp(-2.0 * math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))  # x * (1 + tanh(u)) / 2


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def affine(weights: Weights, name: str, x):
    return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0.0)


def mlp(weights: Weights, x):
    """Section 2.2: two linear maps, gelu on one, their product, and a last linear map."""
    gate, up = affine(weights, "gate", x), affine(weights, "up", x)
    return affine(weights, "down", np.array([gelu(g) * u for g, u in zip(gate, up, strict=True)]))


def recurrent_block(weights: Weights, config, stream):
    """Section 2.3: one branch goes through a convolution of width 4 and the RG-LRU, the other through gelu."""
    branch = [affine(weights, "linear_x", x) for x in stream]
    gates = [[gelu(value) for value in affine(weights, "linear_y", x)] for x in stream]
    convolved = []
    for time in range(len(stream)):
        value = weights["conv_bias"].copy()
        for back in range(min(time, config.conv_width - 1) + 1):
            value = value + weights["conv_weight"][:, config.conv_width - 1 - back] * branch[time - back]
        convolved.append(value)
    states = rg_lru(part(weights, "lru"), config, convolved)
    return [affine(weights, "linear_out", np.array(g) * h) for g, h in zip(gates, states, strict=True)]


def rg_lru(weights: Weights, config, inputs):
    """Section 2.4, equations 1 to 4, one channel at a time. The weight `a` is minus the paper's Lambda."""
    size = config.lru_width // config.lru_blocks
    state, states = [0.0] * config.lru_width, []
    for time, x in enumerate(inputs):
        after = []
        for channel in range(config.lru_width):
            block, within = divmod(channel, size)
            near = x[block * size : (block + 1) * size]
            r = sigmoid(near @ weights["a_gate_weight"][block][:, within] + weights["a_gate_bias"][block][within])
            i = sigmoid(
                near @ weights["input_gate_weight"][block][:, within] + weights["input_gate_bias"][block][within]
            )
            decay = sigmoid(-weights["a"][channel]) ** (8.0 * r)
            scale = 1.0 if time == 0 else math.sqrt(1.0 - decay**2)
            after.append(decay * state[channel] + scale * i * x[channel])
        state = after
        states.append(np.array(state))
    return states


def attention(weights: Weights, config, stream):
    """Section 2.3: multi-query attention to the last `window` tokens, with rotary embedding."""
    head = config.head_dim
    keys = [rotate(weights["key.weight"] @ x, time, config) for time, x in enumerate(stream)]
    values = [weights["value.weight"] @ x for x in stream]
    out = []
    for time, x in enumerate(stream):
        queries, heads = weights["query.weight"] @ x, []
        for index in range(config.heads):
            query = rotate(queries[index * head : (index + 1) * head], time, config)
            seen = range(max(0, time - config.window + 1), time + 1)
            scores = [math.exp(float(query @ keys[s]) / math.sqrt(head)) for s in seen]
            heads.append(sum(score * values[s] for score, s in zip(scores, seen, strict=True)) / sum(scores))
        out.append(affine(weights, "output", np.concatenate(heads)))
    return out


def rotate(x, time: int, config):
    turned, dim = np.array(x), config.head_dim // 2
    for i in range(dim // 2):
        angle = time * config.rope_local ** (-2.0 * i / dim)
        one, other = x[i], x[i + dim // 2]
        turned[i] = one * math.cos(angle) - other * math.sin(angle)
        turned[i + dim // 2] = one * math.sin(angle) + other * math.cos(angle)
    return turned

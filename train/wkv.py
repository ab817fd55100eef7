"""Reference form of the RWKV-6 recurrence, for tests: a plain loop over tokens.

The trainer uses fused.wkv, which computes the same in C.
"""
import torch


def wkv_loop(r, k, v, x, u, state):
    """r, k, v, x: [B, T, H, N], x the decay before exp(-exp(.)); u [H, N]; state [B, H, N, N].

    Returns y [B, T, H, N] and the states after every token [B, T, H, N, N]
    (key axis first). Differentiable, in the dtype of the inputs.
    """
    ys, states = [], []
    for t in range(k.shape[1]):
        kv = k[:, t, :, :, None] * v[:, t, :, None, :]
        ys.append(torch.einsum("bhi,bhij->bhj", r[:, t], state + u[None, :, :, None] * kv))
        state = torch.exp(-torch.exp(x[:, t]))[..., None] * state + kv
        states.append(state)
    return torch.stack(ys, 1), torch.stack(states, 1)

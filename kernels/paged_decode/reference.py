"""The oracle: slow, obvious, any float dtype."""

from torch import Tensor

from ..chunk_attention.reference import chunk_attention_reference
from .pages import Pool, split_pool


def paged_decode_reference(
    q: Tensor, pool: Pool, page_table: Tensor, indices: Tensor, weights: Tensor, scale: float
) -> Tensor:
    """Lay every session's chunks side by side, then attend as `chunk_attention_reference` does.

    Arguments are those of `paged_decode`; all chosen chunks must have a page.
    """
    k, v = (part.to(q.dtype)[page_table.clamp(min=0)] for part in split_pool(pool))
    one_token = (q[:, None], k, v, indices[:, None], weights[:, None])
    return chunk_attention_reference(*one_token, scale)[:, 0]

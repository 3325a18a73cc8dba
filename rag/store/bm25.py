"""How well do a chunk's words answer a query's? The arithmetic of BM25 that every embedded store shares.

Okapi's BM25 with Lucene's idf (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009, section 3;
Lucene's BM25Similarity for the "1 +" that keeps idf positive), in the variant that LanceDB computes: the numerator
keeps its factor k1 + 1, a chunk's length is its exact number of terms, statistics are those of all chunks that have
terms whatever the filter, and a term that stands twice in the query counts twice.
"""

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75


def term_scores(
    times: NDArray[np.floating], lengths: NDArray[np.floating], worded: int, mean_length: float
) -> NDArray[np.float64]:
    """float64[M] > 0: what one term of a query is worth in each of the M chunks that it stands in.

        idf * times * (k1 + 1) / (times + k1 * (1 - b + b * length / mean length)),
        idf = log(1 + (worded - M + .5) / (M + .5))

    `times` it stands there, `lengths` in terms; `worded` chunks have terms at all, `mean_length` on average.
    """
    idf = np.log(1 + (worded - len(times) + 0.5) / (len(times) + 0.5))
    norm = 1 - B + B * lengths / mean_length
    return np.asarray(idf * times * (K1 + 1) / (times + K1 * norm), np.float64)

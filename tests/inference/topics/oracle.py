"""LDA and HDP a second time: plain loops in float64 from the papers' equations, with responsibilities written out."""

import numpy as np
from scipy.special import digamma, gammaln, xlogy


def expected_log(concentration):
    """Of Dirichlets in the rows."""
    return digamma(concentration) - digamma(concentration.sum(axis=1, keepdims=True))


def lda_document(counts, log_beta, alpha, sweeps):
    """gamma [K] and phi [V, K] after so many sweeps over one document; `log_beta` is E[log beta], [K, V]."""
    topics, words = log_beta.shape
    gamma = np.array([alpha[k] + counts.sum() / topics for k in range(topics)])
    phi = np.zeros((words, topics))
    for _ in range(sweeps):
        phi = lda_shares(counts, log_beta, gamma)
        gamma = alpha + counts @ phi
    return gamma, lda_shares(counts, log_beta, gamma)


def lda_shares(counts, log_beta, gamma):
    """phi [V, K]: which topic each word came from."""
    log_theta = expected_log(gamma[None])[0]
    phi = np.zeros(log_beta.T.shape)
    for w in range(len(counts)):
        p = np.exp(log_theta + log_beta[:, w])
        phi[w] = p / p.sum()
    return phi


def lda_bound(counts, concentrations, gammas, alpha, eta):
    """The evidence lower bound of a corpus, term by term (Blei, Ng and Jordan 2003, equation 15)."""
    log_beta = expected_log(concentrations)
    total = 0.0
    for row, gamma in zip(counts, gammas, strict=True):
        phi, log_theta = lda_shares(row, log_beta, gamma), expected_log(gamma[None])[0]
        for w in range(len(row)):
            for k in range(len(gamma)):
                if phi[w, k] > 0:
                    total += row[w] * phi[w, k] * (log_theta[k] + log_beta[k, w] - np.log(phi[w, k]))
        total += dirichlet_entropy(gamma) + dirichlet_energy(alpha, log_theta)
    for k in range(len(concentrations)):
        total += dirichlet_entropy(concentrations[k])
        total += dirichlet_energy(np.full(concentrations.shape[1], eta), log_beta[k])
    return total


def dirichlet_energy(prior, log_p):
    return gammaln(prior.sum()) - gammaln(prior).sum() + ((prior - 1) * log_p).sum()


def dirichlet_entropy(q):
    return -dirichlet_energy(q, expected_log(q[None])[0])


def sticks(mass, concentration):
    """E[log sigma] of truncated sticks, one after another."""
    found, left = [], 0.0
    for k in range(len(mass)):
        a, b = 1 + mass[k], concentration + mass[k + 1 :].sum()
        if k == len(mass) - 1:
            found.append(left)
        else:
            found.append(left + digamma(a) - digamma(a + b))
            left += digamma(b) - digamma(a + b)
    return np.array(found)


def softmax(x):
    p = np.exp(x - x.max())
    return p / p.sum()


def hdp_document(counts, log_beta, log_sigma, alpha, tables, sweeps):
    """q(z) [V, S] and q(c) [S, T] of one document after so many sweeps; `log_beta` is [T, V]."""
    words = len(counts)
    usage = sum(counts[w] * softmax(log_beta[:, w] + log_sigma) for w in range(words))
    best = np.argsort(-usage, kind="stable")[:tables]
    topic_of_table = np.eye(len(log_sigma))[best]
    size = np.full(tables, counts.sum() / tables)

    def seats():
        log_pi = sticks(size, alpha)
        return np.array([softmax(log_pi + topic_of_table @ log_beta[:, w]) for w in range(words)])

    for _ in range(sweeps):
        tokens = seats() * counts[:, None]
        topic_of_table = np.array([softmax(log_sigma + log_beta @ tokens[:, t]) for t in range(tables)])
        size = tokens.sum(axis=0)
    return seats(), topic_of_table


def hdp_bound(counts, concentrations, tables, seats, topics, alpha, gamma, eta):
    """The evidence lower bound of a corpus under the HDP, term by term (Wang, Paisley and Blei 2011, section 3.1).

    `concentrations` [T, V] of q(beta), `tables` [T] of q(v), whose sticks stand by falling size; of each document
    q(z) `seats` [V, S] and q(c) `topics` [S, T], with the sticks q(pi) that are best for q(z).
    """
    order = np.argsort(-tables, kind="stable")
    log_beta, log_sigma = expected_log(concentrations), np.zeros(len(tables))
    log_sigma[order] = sticks(tables[order], gamma)
    total = sticks_bound(tables[order], gamma)
    for concentration, log_p in zip(concentrations, log_beta, strict=True):
        total += dirichlet_entropy(concentration) + dirichlet_energy(np.full(len(log_p), eta), log_p)
    for row, phi, varphi in zip(counts, seats, topics, strict=True):
        size = row @ phi
        total += sticks_bound(size, alpha) + size @ sticks(size, alpha)
        total += (varphi * log_sigma).sum() + row @ (phi * (varphi @ log_beta).T).sum(axis=1)
        total -= xlogy(varphi, varphi).sum() + row @ xlogy(phi, phi).sum(axis=1)
    return total


def sticks_bound(mass, concentration):
    """E[log p(v)] - E[log q(v)] of truncated sticks with the prior Beta(1, concentration)."""
    total = 0.0
    for k in range(len(mass) - 1):
        q = np.array([1 + mass[k], concentration + mass[k + 1 :].sum()])
        total += dirichlet_entropy(q) + dirichlet_energy(np.array([1.0, concentration]), expected_log(q[None])[0])
    return total

"""BG/NBD: the classic model of who still is a customer, from nothing but how often and how lately; the baseline that trees have to beat.

While a customer is alive, purchases come at a rate that varies over customers by a gamma; after each one, the customer leaves with a
probability that varies by a beta. Source: Fader, Hardie and Lee, "Counting Your Customers" the Easy Way, Marketing Science 24 (2005),
equations 6 (likelihood) and the posterior that follows from it.
"""

from typing import NamedTuple

import numpy as np

from model.features import FloatArray


class Repeats(NamedTuple):
    """Days with a purchase after the first (x), the customer's age at the last one (t_x) and now (T), in weeks; one entry a customer."""

    times: FloatArray
    last: FloatArray
    age: FloatArray


class BgNbd(NamedTuple):
    """The parameters: purchase rates are gamma(r, alpha), the chances to leave beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, repeats: Repeats) -> FloatArray:
        """Return each customer's."""
        from scipy.special import betaln, gammaln

        x, last, age = repeats
        common = gammaln(self.r + x) - gammaln(self.r) + self.r * np.log(self.alpha)
        stayed = betaln(self.a, self.b + x) - (self.r + x) * np.log(self.alpha + age)
        left = betaln(self.a + 1, self.b + np.maximum(x, 1) - 1) - (self.r + x) * np.log(self.alpha + last)
        return np.asarray(common - betaln(self.a, self.b) + np.where(x > 0, np.logaddexp(stayed, left), stayed))

    def alive(self, repeats: Repeats) -> FloatArray:
        """Return each customer's probability to be one still; 1 without a repeat, since one leaves only after a purchase."""
        x, last, age = repeats
        odds = self.a / (self.b + np.maximum(x, 1) - 1) * ((self.alpha + age) / (self.alpha + last)) ** (self.r + x)
        return np.asarray(np.where(x > 0, 1 / (1 + odds), 1.0))

    def silent(self, repeats: Repeats, weeks: float) -> FloatArray:
        """Return each customer's probability of no purchase within so many weeks."""
        x, _, age = repeats
        none = ((self.alpha + age) / (self.alpha + age + weeks)) ** (self.r + x)
        return np.asarray(1 - self.alive(repeats) * (1 - none))


def fit_bg_nbd(repeats: Repeats) -> BgNbd:
    """Return the parameters of the largest likelihood, drawn a little towards 1 so that a degenerate log has some, too."""
    from scipy.optimize import minimize

    rows, counts = np.unique(np.stack(repeats, axis=1), axis=0, return_counts=True)
    distinct = Repeats(*rows.T)

    def loss(logs: FloatArray) -> float:
        model = BgNbd(*np.exp(logs))
        return float(-(counts * model.log_likelihood(distinct)).sum() / counts.sum() + 1e-4 * (logs**2).sum())

    found = minimize(loss, np.zeros(4), method="L-BFGS-B", bounds=[(-8, 8)] * 4)
    return BgNbd(*(float(value) for value in np.exp(found.x)))

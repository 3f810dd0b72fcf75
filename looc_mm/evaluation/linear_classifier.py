"""Softmax regression on features, by two solvers.

Shapes: N samples, C feature width, K classes.
"""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class LinearClassifier:
    """One linear layer.

    Args:
        solver: 'lbfgs' finds the optimum of the convex problem on standardised features and needs no tuning; 'sgd' is
            the recipe of the paper (section 4): momentum 0.9, batch 256, no weight decay, on the features as they are.
        l2: Weight of ``|W|^2 / 2`` beside the mean cross-entropy, for 'lbfgs'.
        max_iter: Most iterations of 'lbfgs'.
        tolerance: Largest derivative at the optimum that 'lbfgs' accepts.
        lr: Learning rate of 'sgd', times 0.1 at 60 % and at 80 % of the epochs.
        epochs: Epochs of 'sgd'.
        batch_size: Batch size of 'sgd'.
        seed: Of the initial weights and the order of samples of 'sgd'.

    Attributes:
        weight: (K, C), of the features as they are; after :meth:`fit`.
        bias: (K,).

    Raises:
        ValueError: The solver is neither of the two.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        solver: str = 'lbfgs',
        l2: float = 1e-2,
        max_iter: int = 1000,
        tolerance: float = 1e-6,
        lr: float = 30.0,
        epochs: int = 200,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        if solver not in ('lbfgs', 'sgd'):
            raise ValueError(f"solver is 'lbfgs' or 'sgd', got {solver!r}.")
        self.solver = solver
        self.l2 = l2
        self.max_iter = max_iter
        self.tolerance = tolerance
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.seed = seed

    def fit(self, x: Tensor, y: Tensor, classes: int, scale: Tensor | None = None) -> 'LinearClassifier':
        """Find the weights.

        Args:
            x: (N, C), on the device to compute on.
            y: (N,) int64 in [0, K).
            classes: K.
            scale: (C,), for 'lbfgs': what each standardised channel is multiplied by. The penalty of its weights is
                divided by the square of it. None for 1.

        Returns:
            Itself.

        Raises:
            ValueError: SGD diverged, or it was given a scale.
        """
        if self.solver == 'lbfgs':
            return self._lbfgs(x, y, classes, scale)
        if scale is not None:
            raise ValueError("A scale needs standardised features: set solver='lbfgs', or leave the scale out.")
        return self.fit_epochs(lambda epoch: x, y, classes)

    def predict(self, x: Tensor) -> Tensor:
        """Logits (N, K) of features (N, C)."""
        return F.linear(x.to(self.weight), self.weight, self.bias)

    def fit_epochs(self, features_of: Callable[[int], Tensor], y: Tensor, classes: int) -> 'LinearClassifier':
        """Find the weights by SGD on features that may differ from epoch to epoch.

        Args:
            features_of: Gives the features, (N, C), of epoch 1, 2, ...; it is called once for each.
            y: (N,) int64 in [0, K).
            classes: K.

        Returns:
            Itself.

        Raises:
            ValueError: SGD diverged.
        """
        draw = torch.Generator().manual_seed(self.seed)
        features = features_of(1)
        weight = 0.01 * torch.randn(classes, features.shape[1], generator=draw)
        weight = weight.to(features).requires_grad_()
        bias = features.new_zeros(classes, requires_grad=True)
        optimizer = torch.optim.SGD([weight, bias], lr=self.lr, momentum=0.9)
        milestones = [math.ceil(0.6 * self.epochs), math.ceil(0.8 * self.epochs)]
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)

        chance = math.log(classes)
        for epoch in range(1, self.epochs + 1):
            features = features if epoch == 1 else features_of(epoch)
            total = features.new_zeros(())
            for rows in torch.randperm(len(features), generator=draw).to(features.device).split(self.batch_size):
                loss = F.cross_entropy(F.linear(features[rows], weight, bias), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(rows)
            schedule.step()
            mean_loss = total.item() / len(features)
            if not math.isfinite(mean_loss) or (epoch == self.epochs and mean_loss > chance):
                raise ValueError(
                    f'SGD diverged on these features: training loss {mean_loss:.3g} in epoch {epoch}, where guessing '
                    f'has {chance:.3g}. Lower lr={self.lr:g}, say lr={self.lr / 10:g}, or take solver="lbfgs".'
                )
        self.weight, self.bias = weight.detach(), bias.detach()
        return self

    def _lbfgs(self, features: Tensor, y: Tensor, classes: int, scale: Tensor | None) -> 'LinearClassifier':
        x = features.double()
        std, mean = torch.std_mean(x, dim=0, correction=0)
        std = torch.where(std > 1e-6 * mean.abs(), std, 1.0)  # a dead channel stays zero
        if scale is not None:
            std = std / scale.to(std)
        x = (x - mean) / std

        weight = x.new_zeros(classes, x.shape[1], requires_grad=True)
        bias = x.new_zeros(classes, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=self.max_iter,
            max_eval=2 * self.max_iter,
            tolerance_grad=self.tolerance,
            tolerance_change=1e-10,
            line_search_fn='strong_wolfe',
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(F.linear(x, weight, bias), y) + self.l2 / 2 * weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        if optimizer.state[weight]['n_iter'] >= self.max_iter:
            warnings.warn(f'L-BFGS is not done after {self.max_iter} iterations: raise max_iter or l2.', stacklevel=2)
        self.weight = weight.detach() / std  # standardising is affine: fold it into the layer
        self.bias = bias.detach() - self.weight @ mean
        return self


def classifier_of(who: str, options: Mapping[str, Any], seed: int) -> LinearClassifier:
    """The classifier of a protocol, from the options that the protocol did not know.

    Raises:
        ValueError: An option is unknown; as :class:`LinearClassifier`.
    """
    known = [name for name in inspect.signature(LinearClassifier).parameters if name != 'seed']
    if unknown := sorted(set(options) - set(known)):
        more = ' Only LinearProbe sweeps.' if 'sweep' in unknown else ''
        raise ValueError(f'{who} got the unknown options {unknown}. Those of its classifier are {known}.{more}')
    return LinearClassifier(**options, seed=seed)

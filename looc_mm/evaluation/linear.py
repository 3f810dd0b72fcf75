"""Linear evaluation: one linear layer on frozen features (paper section 4).

Shapes: N samples, C feature width, K classes.
"""

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from looc_mm.registry import PROTOCOLS

from .features import Features
from .protocol import FrozenProtocol, accuracies, factor_of, record, require_label


@PROTOCOLS.register_module()
class LinearProbe(FrozenProtocol):
    """Softmax regression on features that were extracted once.

    Args:
        label: Which of the dataset's labels to predict.
        solver: 'lbfgs' finds the optimum of the convex problem on standardised features and needs no tuning; 'sgd' is
            the recipe of the paper (section 4): momentum 0.9, batch 256, no weight decay, on the features as they are.
        l2: Weight of ``|W|^2 / 2`` beside the mean cross-entropy, for 'lbfgs'.
        max_iter: Most iterations of 'lbfgs'.
        lr: Learning rate of 'sgd', times 0.1 at 60 % and at 80 % of the epochs.
        epochs: Epochs of 'sgd'.
        batch_size: Batch size of 'sgd'.
        sweep: Values of ``l2`` ('lbfgs') or ``lr`` ('sgd') to choose from for a second figure, ``top1/swept``: the best
            on a tenth of the training samples, then fitted on all of them. Values that diverge drop out.
        seed: Of the initial weights, the order of samples of 'sgd' and the tenth that is held out.

    Raises:
        ValueError: The solver is neither of the two.
    """

    name = 'linear'

    def __init__(
        self,
        label: str = 'gt_label',
        solver: str = 'lbfgs',
        l2: float = 1e-2,
        max_iter: int = 1000,
        lr: float = 30.0,
        epochs: int = 200,
        batch_size: int = 256,
        sweep: Sequence[float] = (),
        seed: int = 0,
    ) -> None:
        if solver not in ('lbfgs', 'sgd'):
            raise ValueError(f"solver is 'lbfgs' or 'sgd', got {solver!r}.")
        self.label = label
        self.solver = solver
        self.l2 = l2
        self.max_iter = max_iter
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.sweep = tuple(sweep)
        self.seed = seed

    def evaluate(self, train: Features, test: Features) -> list[dict[str, Any]]:
        """Fit on one split and score on the other.

        Args:
            train: Features to fit.
            test: Features to score.

        Returns:
            One dict per metric with ``metric``, ``value`` (percent), ``ci``, ``solver`` and, where the label is not the
            class of the image but a factor of it, ``factor``.

        Raises:
            ValueError: The dataset has no such label, or SGD diverged.
        """
        self.fit_for(train, test)
        records = self.records(test)
        if self.sweep:
            best = self.swept(train.x, train.labels[self.label], len(self.bias))
            records += [{**each, 'metric': f'{each["metric"]}/swept'} for each in best.records(test)]
        return records

    def records(self, test: Features) -> list[dict[str, Any]]:
        """What the fitted layer scores; as :meth:`evaluate`."""
        more = {'solver': self.solver, **factor_of(self.label)}
        return [record(*each, **more) for each in self.score(test.x, test.labels[self.label]).items()]

    def fit_for(self, train: Features, test: Features) -> None:
        """Fit on one split, with a class for every label of either.

        Raises:
            ValueError: A split has no such label, or SGD diverged.
        """
        self.fit(train.x, *self.classes(train, test))

    def classes(self, train: Features, test: Features) -> tuple[Tensor, int]:
        """The labels to fit, and how many classes the labels of both splits need.

        Raises:
            ValueError: A split has no such label.
        """
        require_label((train, test), self.label)
        labels = train.labels[self.label], test.labels[self.label]
        return labels[0], 1 + int(max(each.max() for each in labels))

    def swept(self, features: Tensor, labels: Tensor, num_classes: int) -> 'LinearProbe':
        """A probe with the value of the sweep that is best on held-out training samples, fitted on all.

        Raises:
            ValueError: Every value diverged.
        """
        order = torch.randperm(len(features), generator=torch.Generator().manual_seed(self.seed)).to(features.device)
        held, rest = order[: max(1, len(order) // 10)], order[max(1, len(order) // 10) :]
        tried: list[tuple[float, int, LinearProbe]] = []
        for value in self.sweep:
            probe = copy.copy(self)
            setattr(probe, 'l2' if self.solver == 'lbfgs' else 'lr', value)
            try:
                probe.fit(features[rest], labels[rest], num_classes)
            except ValueError:  # diverged
                continue
            tried.append((probe.score(features[held], labels[held])['top1'], -len(tried), probe))
        if not tried:
            raise ValueError(f'SGD diverged with every value of sweep={self.sweep}; give lower ones.')
        return max(tried)[-1].fit(features, labels, num_classes)

    def fit(self, features: Tensor, labels: Tensor, num_classes: int) -> 'LinearProbe':
        """Find ``weight`` (K, C) and ``bias`` (K,), on the features as they are.

        Args:
            features: (N, C), on the device to compute on.
            labels: (N,) int64 in [0, K).
            num_classes: K.

        Returns:
            Itself.

        Raises:
            ValueError: SGD diverged.
        """
        if self.solver == 'lbfgs':
            self.weight, self.bias = self._lbfgs(features, labels, num_classes)
        else:
            self.weight, self.bias = self._sgd(lambda epoch: features, labels, num_classes)
        return self

    def predict(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features (N, C)."""
        return F.linear(features.to(self.weight), self.weight, self.bias)

    def score(self, features: Tensor, labels: Tensor) -> dict[str, float]:
        """Top-1 and, with more than five classes, top-5 accuracy in percent.

        Args:
            features: (N, C).
            labels: (N,).

        Returns:
            Metric name to value.
        """
        return accuracies(self.predict(features), labels)

    def _lbfgs(self, features: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        x = features.double()
        std, mean = torch.std_mean(x, dim=0, correction=0)
        std = torch.where(std > 1e-6 * mean.abs(), std, 1.0)  # a dead channel stays zero
        x = (x - mean) / std

        weight = x.new_zeros(num_classes, x.shape[1], requires_grad=True)
        bias = x.new_zeros(num_classes, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=self.max_iter,
            max_eval=2 * self.max_iter,
            tolerance_grad=1e-6,
            tolerance_change=1e-10,
            line_search_fn='strong_wolfe',
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(F.linear(x, weight, bias), labels) + self.l2 / 2 * weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        if optimizer.state[weight]['n_iter'] >= self.max_iter:
            warnings.warn(f'L-BFGS is not done after {self.max_iter} iterations: raise max_iter or l2.', stacklevel=2)
        weight, bias = weight.detach() / std, bias.detach()  # standardising is affine: fold it into the layer
        return weight, bias - weight @ mean

    def _sgd(self, features_of: Callable[[int], Tensor], labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Descend on the features of epoch 1, 2, ...; they are asked for once each and may differ."""
        draw = torch.Generator().manual_seed(self.seed)
        features = features_of(1)
        weight = 0.01 * torch.randn(num_classes, features.shape[1], generator=draw)
        weight = weight.to(features).requires_grad_()
        bias = features.new_zeros(num_classes, requires_grad=True)
        optimizer = torch.optim.SGD([weight, bias], lr=self.lr, momentum=0.9)
        milestones = [math.ceil(0.6 * self.epochs), math.ceil(0.8 * self.epochs)]
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)

        chance = math.log(num_classes)
        for epoch in range(1, self.epochs + 1):
            features = features if epoch == 1 else features_of(epoch)
            total = features.new_zeros(())
            for rows in torch.randperm(len(features), generator=draw).to(features.device).split(self.batch_size):
                loss = F.cross_entropy(F.linear(features[rows], weight, bias), labels[rows])
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
        return weight.detach(), bias.detach()

"""Merge four fine-tuned networks into one, with your own validation score in charge."""

from pathlib import Path

from digits.problem import log_probs, network, prepare

import dfmerge
import dfmerge.torch

# Your checkpoints: state dicts, .safetensors files or Hugging Face folders.
problem = prepare(Path("build/quickstart"))
module = network().eval()  # the candidates are written straight into its parameters


def evaluate(trial: dfmerge.Trial) -> dict[str, float]:
    """Scores the candidate that is in `module` now: one number per task, larger is better."""
    return problem.evaluate(module, "validation")


# How sure each model is of each parameter; unlabelled validation data is enough.
fisher = dfmerge.torch.Fisher(module, data=problem.fisher_data(), log_probs=log_probs, samples=100)
search = dfmerge.Search(
    module, problem.base, problem.models, evaluate, fisher, journal="build/quickstart/run.jsonl"
)
result = search.run()  # Ctrl-C keeps the best so far; the same command continues

print(result)
result.save("build/quickstart/merged/")
result.report("build/quickstart/report.html")

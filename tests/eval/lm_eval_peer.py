"""lm-evaluation-harness around one of our checkpoints: its own prompts, few-shots and metrics, and a forward pass that
shares nothing with samosa's scoring."""

import torch
import yaml
from lm_eval.api.model import TemplateLM

MMLU = {
    "letter": {
        "doc_to_text": "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\n"
        "D. {{choices[3]}}\nAnswer:",
        "doc_to_choice": ["A", "B", "C", "D"],
        "description": "The following are multiple choice questions (with answers) about old maps.\n\n",
    },
    "continuation": {
        "doc_to_text": "Question: {{question.strip()}}\nAnswer:",
        "doc_to_choice": "{{choices}}",
        "description": "The following are questions (with answers) about old maps.\n\n",
    },
}
METRICS = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")]


def mmlu_task(folder, form, shots):
    """A local task as cais/mmlu's are configured in the harness (its 0.4.13 templates), for folder/{test,dev}.jsonl."""
    return _task(
        folder,
        f"peer_mmlu_{form}",
        {
            "data_files": {"test": f"{folder}/test.jsonl", "dev": f"{folder}/dev.jsonl"},
            "fewshot_split": "dev",
            "fewshot_config": {"sampler": "first_n"},
            "doc_to_target": "{{answer}}",
            "num_fewshot": shots,
            **MMLU[form],
        },
    )


def arc_task(folder):
    """A local task as ARC is configured in the harness."""
    return _task(
        folder,
        "peer_arc",
        {
            "data_files": {"test": f"{folder}/test.jsonl"},
            "doc_to_text": "Question: {{question}}\nAnswer:",
            "doc_to_target": "{{choices.label.index(answerKey)}}",
            "doc_to_choice": "{{choices.text}}",
            "num_fewshot": 0,
        },
    )


def _task(folder, name, fields):
    files = fields.pop("data_files")
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "test_split": "test",
        "output_type": "multiple_choice",
        "metric_list": METRICS,
        **fields,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task))
    return name


class Peer(TemplateLM):
    """Scores one sequence at a time with the model's plain forward pass."""

    def __init__(self, model, tokenizer):
        super().__init__()
        self.model, self.samosa = model, tokenizer

    @property
    def eot_token_id(self):
        return self.samosa.bos

    prefix_token_id = eot_token_id

    def tok_encode(self, string, **_):
        return self.samosa.encode(string)

    @torch.no_grad()
    def _loglikelihood_tokens(self, requests, **_):
        answers = []
        for _, context, continuation in requests:
            ids = torch.tensor([[self.samosa.bos, *context, *continuation]])
            logprobs = self.model(ids[:, :-1])[0, len(context) :].double().log_softmax(-1)
            targets = ids[0, len(context) + 1 :]
            total = logprobs.gather(1, targets[:, None]).sum().item()
            answers.append((total, bool((logprobs.argmax(-1) == targets).all())))
        return answers

    def loglikelihood_rolling(self, requests, **_):
        raise NotImplementedError

    def generate_until(self, requests, **_):
        raise NotImplementedError

"""What the owner of a model, or of the machine, can do about each verdict."""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_crds.conditions import Reason

ADVICE: Mapping[Reason, str] = {
    Reason.SAFE: "nothing; whether a competition admits the model is up to its spec.admission (licence, size, architecture)",
    Reason.REPOSITORY_NOT_FOUND: "check the spelling of owner/name; for a private repository set HF_TOKEN",
    Reason.REVISION_NOT_FOUND: "name a branch, tag or commit that exists, as owner/name@revision",
    Reason.ACCESS_DENIED: "accept the repository's terms on the hub, or set HF_TOKEN to a token that may read it",
    Reason.NO_SAFETENSORS: "save the model with save_pretrained(..., safe_serialization=True) and upload model*.safetensors",
    Reason.CORRUPT_WEIGHTS: "save the weights and config.json again from one model object, and upload all of the files",
    Reason.CUSTOM_CODE: "remove auto_map and custom code; only architectures that need no code of the repository are loaded",
    Reason.BAD_CONFIG: "correct the named member of the configuration; it has to describe the weights that are there",
    Reason.BAD_TOKENIZER: "save the tokenizer again with save_pretrained from a fast tokenizer that fits vocab_size",
    Reason.TOO_LARGE: "use a smaller or quantised model, or remove files that do not belong to it",
    Reason.UNSUPPORTED_ARCHITECTURE: "use one of the architectures that the message names",
    Reason.UNSUPPORTED_QUANTIZATION: "use one of the methods that the message names, or plain weights",
    Reason.NON_FINITE_WEIGHTS: "find the training step that made the tensor NaN or infinite, and save an earlier checkpoint",
    Reason.TEMPLATE_REFUSED: (
        'write the named lines so that they lay out any conversation alike (docs/mining.md, "What a template may do"); '
        "without a template the model gets a plain ChatML one"
    ),
    Reason.HUB_UNAVAILABLE: "try again later; check HF_ENDPOINT, proxy and network",
    Reason.FETCH_FAILED: "try again; if it stays, the message names the file or request that failed",
    Reason.INFRASTRUCTURE_FAULT: "try again on a machine with free memory; the model is not at fault",
}
"""By the reason of a verdict."""

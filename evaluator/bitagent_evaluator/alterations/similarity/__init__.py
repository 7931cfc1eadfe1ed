"""How alike two texts are in meaning: sentence embeddings, one file a model, behind the registry in `embedding`.

An embedding is computed here, without network and without the engine's libraries, so that a task set can be built in a small pod.
"""

from bitagent_evaluator.alterations.similarity.embedding import EMBEDDINGS, Embedding, similarity

__all__ = ["EMBEDDINGS", "Embedding", "similarity"]

"""The first error of a document, in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from bitagent_crds.conditions import Reason
from bitagent_evaluator.support.faults import ModelFault, first_error


class Inner(BaseModel):
    size: int


class Outer(BaseModel):
    items: list[Inner]
    name: str = ""


def refusal(document: str) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate_json(document)
    return caught.value


def test_the_place_of_the_first_error_is_dotted() -> None:
    found = first_error(refusal('{"items": [{"size": 1}, {"size": "many"}], "name": 7}'))
    assert found.where == "items.1.size"
    assert str(found) == f"items.1.size: {found.message}"


@pytest.mark.parametrize(("whole", "text"), [("", "Invalid JSON"), ("document", "document: Invalid JSON")])
def test_an_error_of_the_whole_document_may_be_given_its_name(whole: str, text: str) -> None:
    assert str(first_error(refusal("{"), whole=whole)).startswith(text)


def test_the_input_is_left_out() -> None:
    assert "s3cret" not in str(first_error(refusal('{"items": [{"size": "s3cret"}]}')))


@given(st.text(st.characters(codec=None)))
def test_the_message_of_a_fault_is_printable(text: str) -> None:
    fault = ModelFault(Reason.BAD_TOKENIZER, text)
    assert fault.message == str(fault) and fault.message.replace("\n", "").replace("\t", "").isprintable()

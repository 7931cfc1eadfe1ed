"""Documents for programs.

schemas    members of the JSON documents
documents  boards to these
openapi    the OpenAPI document, from the schemas
tables     CSV of a round
feed       Atom feed of rounds
badge      a model's rank as a picture
"""

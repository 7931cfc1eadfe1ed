# The simulated chain (bitagent_local.chain), the model hub (bitagent_local.hub) and an endpoint for miners
# (bitagent_local.endpoint), for demo and tests.
# The first two stages are those of the validator's image, line for line, so that a builder finds them in its cache.
ARG BASE=docker.io/library/python:3.11-slim

# pip and the build backend stay in here.
FROM ${BASE} AS tools
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt

FROM tools AS dependencies
COPY requirements/validator.txt requirements/
# Bytecode is written once, here, and trusted unchecked: the image's file system is read-only and its files keep no times worth comparing.
RUN python3 -m venv --without-pip /opt/venv \
 && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --require-hashes --no-deps -r requirements/validator.txt \
 && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM dependencies AS code
COPY local/bitagent_local/__init__.py /opt/world/bitagent_local/
COPY local/bitagent_local/chain /opt/world/bitagent_local/chain
COPY local/bitagent_local/hub /opt/world/bitagent_local/hub
COPY local/bitagent_local/endpoint /opt/world/bitagent_local/endpoint
COPY local/bitagent_local/models/__init__.py local/bitagent_local/models/damage.py \
     local/bitagent_local/models/safetensors_header.py /opt/world/bitagent_local/models/
COPY local/models /opt/world/models
COPY local/datasets /opt/world/datasets
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/world

FROM ${BASE}
# A passwd entry: libraries ask for the user's name and fail without one.
RUN groupadd --gid 65532 app && SOURCE_DATE_EPOCH=86400 useradd --uid 65532 --gid 65532 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin app
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=code /opt/world /opt/world
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    PYTHONPATH=/opt/world
USER 65532:65532
ENTRYPOINT ["python", "-m"]
CMD ["bitagent_local.chain", "--help"]

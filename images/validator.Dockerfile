# The validator: the one pod that holds a hotkey. Reads the chain, makes rounds, sets weights.
ARG BASE=docker.io/library/python:3.11-slim
# validator-tracking.txt: with Weights & Biases' library, for spec.tracking (81 MB more beside the hotkey).
ARG REQUIREMENTS=validator.txt

# pip and the build backend stay in here.
FROM ${BASE} AS tools
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt

FROM tools AS dependencies
ARG REQUIREMENTS
COPY requirements/${REQUIREMENTS} requirements/
# Bytecode is written once, here, and trusted unchecked: the image's file system is read-only and its files keep no times worth comparing.
RUN python3 -m venv --without-pip /opt/venv \
 && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --require-hashes --no-deps -r requirements/${REQUIREMENTS} \
 && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

# The project on its own, so that a change of code is one small layer.
FROM dependencies AS code
COPY pyproject.toml ./
COPY crds/bitagent_crds crds/bitagent_crds
COPY kube/bitagent_kube kube/bitagent_kube
COPY wire/bitagent_wire wire/bitagent_wire
COPY validator/bitagent_validator validator/bitagent_validator
# The build backend requires the readme to exist; the image does not need its text.
RUN touch README.md \
 && /opt/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-warn-script-location --no-compile --no-deps --no-index --root /staged /wheels/*.whl \
 && find /staged/opt/venv/bin -type f ! -name bitagent-validator -delete \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /staged/opt/venv/lib

FROM ${BASE}
# A passwd entry: libraries ask for the user's name and fail without one.
RUN groupadd --gid 65532 app && SOURCE_DATE_EPOCH=86400 useradd --uid 65532 --gid 65532 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin app
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=code /staged/opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
ENTRYPOINT ["bitagent-validator"]

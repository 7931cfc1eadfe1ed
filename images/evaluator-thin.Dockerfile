# The evaluator's code alone. The locked environment (vLLM, torch, ...) comes at run time from a read-only volume at /opt/site, through PYTHONPATH:
# for a node that already has that environment on disk, such as the local world, where a 4 GB image would be built, pushed and pulled for nothing.
ARG BASE=docker.io/library/python:3.11-slim

FROM ${BASE} AS tools
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt

FROM tools AS code
COPY pyproject.toml ./
COPY crds/bitagent_crds crds/bitagent_crds
COPY evaluator/bitagent_evaluator evaluator/bitagent_evaluator
# The build backend requires the readme to exist; the image does not need its text.
RUN touch README.md \
 && python3 -m venv --without-pip /opt/venv \
 && /opt/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-warn-script-location --no-compile --no-deps --no-index /wheels/*.whl \
 && find /opt/venv/bin -type f -name 'bitagent-*' ! -name bitagent-eval -delete \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${BASE}
# libnuma: the CPU engine's threads.
RUN dpkg --status libnuma1 >/dev/null 2>&1 \
 || { apt-get update && apt-get install --yes --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*; }
# A passwd entry: torch asks for the user's name and fails without one.
RUN groupadd --gid 65532 app && SOURCE_DATE_EPOCH=86400 useradd --uid 65532 --gid 65532 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin app
COPY --from=code /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    PYTHONPATH=/opt/site VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
USER 65532:65532
ENTRYPOINT ["bitagent-eval"]

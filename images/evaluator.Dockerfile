# The evaluator with its engine: what fetch, task-set and evaluate Jobs run. ENGINE=gpu is for production; ENGINE=cpu for machines without a GPU.
ARG BASE=docker.io/library/python:3.11-slim
ARG ENGINE=gpu

# pip and the build backend stay in here.
FROM ${BASE} AS tools
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements/build.txt

FROM tools AS dependencies
ARG ENGINE
COPY requirements/evaluator-${ENGINE}.txt requirements/
COPY evaluator/vllm_on_cpu evaluator/vllm_on_cpu
# A path in the lock is our own package: it has no hash and is built apart.
RUN python3 -m venv --without-pip /opt/venv \
 && grep -v '^\./' requirements/evaluator-${ENGINE}.txt > /tmp/locked.txt \
 && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --require-hashes --no-deps -r /tmp/locked.txt \
 && for own in $(sed -n 's|^\(\./[^ ]*\).*|\1|p' requirements/evaluator-${ENGINE}.txt); do \
      /opt/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/own "$own" \
   && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-warn-script-location --no-compile --no-deps --no-index /tmp/own/*.whl || exit 1; \
    done
# Bytecode is written once, here, and trusted unchecked: the image's file system is read-only and its files keep no times worth comparing.
# Files meant for newer Pythons do not compile; nothing imports them.
RUN /opt/venv/bin/python -m compileall -qq -j 0 --invalidation-mode unchecked-hash /opt/venv/lib || true

# The project on its own, so that a change of code is one small layer.
FROM tools AS code
COPY pyproject.toml ./
COPY crds/bitagent_crds crds/bitagent_crds
COPY evaluator/bitagent_evaluator evaluator/bitagent_evaluator
# The build backend requires the readme to exist; the image does not need its text.
RUN touch README.md \
 && python3 -m venv --without-pip /opt/venv \
 && /opt/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/tools/bin/pip --python /opt/venv/bin/python install --no-warn-script-location --no-compile --no-deps --no-index --root /staged /wheels/*.whl \
 && find /staged/opt/venv/bin -type f ! -name bitagent-eval -delete \
 && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /staged/opt/venv/lib

FROM ${BASE}
ARG ENGINE
# libnuma: the CPU engine's threads. On a GPU, Triton compiles launchers while it runs: a C compiler and Python's headers.
RUN set -e; packages=libnuma1; \
    if [ "${ENGINE}" = gpu ]; then \
      packages="$packages gcc libc6-dev"; \
      [ -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] || packages="$packages python3-dev"; \
    fi; \
    if ! dpkg --status $packages >/dev/null 2>&1; then \
      apt-get update; apt-get install --yes --no-install-recommends $packages; rm -rf /var/lib/apt/lists/*; \
    fi
# A passwd entry: torch asks for the user's name and fails without one.
RUN groupadd --gid 65532 app && SOURCE_DATE_EPOCH=86400 useradd --uid 65532 --gid 65532 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin app
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=code /staged/opt/venv /opt/venv
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
    VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
USER 65532:65532
ENTRYPOINT ["bitagent-eval"]
